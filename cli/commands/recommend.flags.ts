import { choiceFlag, command, type FlagsOf, on, text, withDefault } from '../flags/declare.ts';
import { CONDITION_HELP, postProcessingFlags } from '../flags/post-processing.ts';
import { about, data, logFlags, model, overwrite, queue, runFlags } from '../flags/shared.ts';
import { integerFlag, keyValue, moment } from '../flags/values.ts';

const flags = {
  model,
  history: text('<id,id,...>', 'item IDs, oldest first; an ID with a comma is in double quotes'),
  user: text('<id>', 'the user of --data to recommend for'),
  data: data('the log that --user is in, or that --all is of'),
  users: text('<path>', 'columns of the users, for --user and models that read them'),
  at: moment(
    '<time>',
    'when: a date, or a time as in the log (default: the current time where the model reads it); later events do not count',
  ),
  new: on('for a cold-start user: what similar users like (--about), or popular items'),
  about,
  all: on('a list for every user of --data, written to --out as Parquet'),
  out: text('<dir>', 'with --all: folder of the lists; the same command continues where it was stopped'),
  partitions: withDefault(integerFlag('<n>', 'with --all: files that the lists are divided into', 1), 16),
  partition: integerFlag('<i>', 'with --all: write this file alone, from 1, to share the work by hand', 1),
  queue: queue('with --all: share the files among workers'),
  overwrite: overwrite('the lists in --out'),
  items: text('<id,id,...>', 'with a model of ratings: predict the ratings of these items'),
  context: withDefault(
    keyValue(
      '<column=value>',
      'with a model of ratings that reads --events: the context of the ratings, as device=phone; may be repeated',
      'device=phone',
    ),
    new Map(),
    'unknown',
  ),
  k: withDefault(integerFlag('<n>', 'how many, at most 128', 1), 10),
  exclude: text('<ids>', 'exclude these items this time: ID,ID,... or @FILE with one ID on each line'),
  includeSeen: on('recommend items of the history, too (default: they are excluded)'),
  ...logFlags,
  ...postProcessingFlags,
  ...runFlags,
  explain: {
    ...choiceFlag('[method]', 'explain each: by leaving out each event, or by where attention looked', [
      'occlusion',
      'rollout',
    ]),
    preset: 'occlusion',
  },
  heatmap: text('<file.svg>', 'draw where attention looked in the history: its roll-out over all blocks'),
  block: integerFlag('<n>', 'draw this block of the model, the mean of its heads', 1),
  head: integerFlag('<n>', 'draw this head of --block', 1),
};

export type RecommendFlags = FlagsOf<typeof flags>;

export default command({
  name: 'recommend',
  summary: 'Recommend the next items for a history',
  details:
    'The history is a list of item IDs (of any user, also of one never seen), or that of a user of a log. --new serves a user without events, --all every user of a log. A model of ratings (--task rating or ctr) takes --history ID=RATING,... and lists the highest predicted ratings, or with --items those of the items named.',
  example: 'recommend --model my-model --history 1193,661,914 --k 5',
  flags,
  notes: [CONDITION_HELP],
  async run(flags, { typed }) {
    if (await (await import('../input/ratings.ts')).holdsRatings(flags.model)) {
      await (await import('./recommend-ratings.ts')).runRecommendRatings(flags, typed);
    } else if (flags.all) await (await import('./recommend-all.ts')).runRecommendAll(flags, typed);
    else await (await import('./recommend.ts')).runRecommend(flags);
  },
});
