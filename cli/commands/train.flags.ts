import type { Protocol } from '../../data/splits/protocol.ts';
import {
  choiceFlag,
  command,
  type FlagsOf,
  hidden,
  on,
  required,
  text,
  withDefault,
  withoutDefault,
} from '../flags/declare.ts';
import { RATING_HELP, RECIPE_HELP } from '../flags/settings-help.ts';
import {
  anyProtocol,
  data,
  device,
  filterFlags,
  json,
  logFlags,
  overwrite,
  PROTOCOL_HELP,
  progress,
  queue,
  set,
  vectors,
} from '../flags/shared.ts';
import { SYNC } from '../../train/parallel/options.ts';
import { integerFlag, keyValue, list, numberFlag, numbersByName } from '../flags/values.ts';
import { describeChoices } from '../../train/privacy/options.ts';
import { MAPS } from '../../train/transfer/maps.ts';

const MAP_HELP = Object.entries(MAPS)
  .map(([name, { help }]) => `${name}: ${help}`)
  .join('; ');

const flags = {
  data: data('the log (with --resume: the one it was started with, unless given)'),
  out: required(text('<dir>', 'folder of the model')),
  items: text('<path>', 'titles and attributes of the items: CSV or TSV with a header, Parquet, or movies.dat'),
  schema: text(
    '<file>',
    'JSON with the types of the columns of --items, where they are not inferred (items=tower, or ratings)',
  ),
  vectors,
  users: text('<path>', 'user features: CSV or TSV with a header, Parquet, or users.dat'),
  usersSchema: text('<file>', 'JSON with the types of the columns of --users, where they are not inferred'),
  events: text('<names>', 'event context to read: rating, gap, hour, weekday and columns of the log, as rating,device'),
  coldItems: text('<file>', 'IDs of the cold items, one on each line, for --protocol cold-items (default: drawn)'),
  recipe: text('<name>', 'what to train: see attune recipes (default: chosen by the size of the log, and reported)'),
  init: text('<model>', 'start from the weights of this model, of another log or catalog (see docs/transfer.md)'),
  map: withoutDefault(text('<how>', `with --init, which rows of its items are taken over: ${MAP_HELP}`), 'ids'),
  initVectors: list('<file>', 'with --map vectors: the vectors of the items of --init; may be repeated'),
  freezeEpochs: integerFlag('<n>', 'with --init: train the item table alone for this many epochs (default: 0)', 0),
  domainColumn: text(
    '<name>',
    'column of the items or of the log that says of which domain items are (of several logs without it: their names); evaluate reports each',
  ),
  task: withDefault(
    choiceFlag('<name>', 'what to learn: the next item, ratings, or whether a rating is positive', [
      'next',
      'rating',
      'ctr',
    ]),
    'next',
  ),
  protocol: anyProtocol,
  folds: integerFlag('<k>', 'with ratings: this many folds of cross-validation (default: 5)', 2),
  round: integerFlag('<i>', 'with folds: train this round alone, from 1; the last is the model of all ratings', 1),
  queue: queue('share the rounds of folds among workers, or with --workers the training'),
  workers: integerFlag(
    '<n>',
    'with --queue: divide the users into this many partitions, train them side by side, and average the weights now and then',
    1,
  ),
  sync: keyValue(
    '<key=value>',
    `with --workers, how the weights are averaged: ${Object.entries(SYNC)
      .map(([key, { help, default: value }]) => `${key}: ${help} (${value})`)
      .join('; ')}`,
    'steps=50',
  ),
  dp: numbersByName(
    '<key=value,...>',
    `train with user-level differential privacy: ${describeChoices()}`,
    'epsilon=8,delta=1e-6',
  ),
  // What workers do for a training with --workers.
  partition: hidden(integerFlag('<p>', 'with --round: train this partition for a round', 1)),
  positive: numberFlag(
    '<r>',
    'with --task ctr: the lowest rating that is positive (default: 4; 1 where all are 0 or 1)',
  ),
  epochs: integerFlag('<n>', 'stop after this many epochs in all', 1),
  maxMinutes: numberFlag('<m>', 'stop in time to have everything saved after this many minutes', { above: 0 }),
  ...filterFlags,
  minRating: numberFlag('<r>', 'count only rows with at least this rating (default: every row counts)'),
  ...logFlags,
  set: set('change a setting of the recipe'),
  seed: withDefault(integerFlag('<n>', 'one seed, one result on one device', 0), 1),
  device,
  includeSeen: on('validation ranks items that the user had before, too'),
  final: text(
    '<model>',
    'train on all events, the newest included, with the recipe, settings, epochs and blend that the training of this model chose',
  ),
  guard: on('leave out users whose profiles look injected, and say who and why (as --set guard=on)'),
  // No measurement speaks for it yet (docs/reranking.md).
  ranker: hidden(
    on('also train a second stage (as --set ranker=on); with --resume: that alone, the model stays as it is'),
  ),
  resume: on('continue the training in --out; the limits are those of this command'),
  overwrite: overwrite('the model in --out'),
  progress,
  json,
};

/** With a protocol of any task. */
export type RatingTrainFlags = FlagsOf<typeof flags>;
export type TrainFlags = Omit<RatingTrainFlags, 'protocol'> & { protocol: Protocol };

export default command({
  name: 'train',
  summary: 'Train a model on an interaction log',
  details:
    'The log: CSV, TSV and similar with a header, or without one (--columns), RecBole atomic files, MovieLens :: files, JSON lines, lines of "user item" or "user item item ...", each gzip-compressed or not, or Parquet. The last interaction of each user is held out for the test, the one before it for validation. Without --epochs and --max-minutes, early stopping on validation NDCG@10 decides.',
  example: 'train --data ratings.csv --items movies.csv --out my-model --max-minutes 30',
  flags,
  notes: [PROTOCOL_HELP, RECIPE_HELP, RATING_HELP],
  async run(flags, { typed }) {
    const { holdsRatings } = await import('../input/ratings.ts');
    if (flags.task !== 'next' || (flags.resume && (await holdsRatings(flags.out)))) {
      return (await import('./train-ratings.ts')).runTrainRatings(flags, typed);
    }
    if (flags.partition !== undefined) return (await import('./train-partition.ts')).runTrainPartition(flags);
    const { requireRanking, runTrain } = await import('./train.ts');
    await runTrain(requireRanking(flags), typed);
  },
});
