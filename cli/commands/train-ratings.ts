/** `attune train --task rating|ctr`: from a log of ratings to a model folder with out-of-fold predictions. */
import { existsSync } from 'node:fs';
import type { Protocol } from '../../data/splits/protocol.ts';
import { InputError } from '../../data/errors.ts';
import {
  FIVE_FOLDS,
  RATING_SPLITS,
  type RatingSplit,
  ratingRounds,
  ratingSplitFlag,
} from '../../data/ratings/split.ts';
import type { RatingFeatures } from '../../data/ratings/side-features.ts';
import type { Ratings, RatingTask } from '../../data/ratings/ratings.ts';
import { contextNames } from '../../data/features/event-encoder.ts';
import { type Item, loadConfig, loadItems, type ModelConfig } from '../../model/storage/config.ts';
import { createFolder, holdsWeights } from '../../model/storage/folder.ts';
import { writeRatingCard } from '../../model/ratings/card.ts';
import { loadPredictions } from '../../model/ratings/folder.ts';
import { ratingSettings, type RatingSettings, storedRatingSettings } from '../../model/ratings/settings.ts';
import { NodeFiles } from '../../recommend/sources/files.node.ts';
import { lockFolder } from '../../recommend/sources/lock.node.ts';
import { catalogItems } from '../../train/plan.ts';
import type { Notes } from '../../train/side-features.ts';
import { countRatings, ratingConfig } from '../../train/ratings/config.ts';
import { ratingReport } from '../../train/ratings/report.ts';
import { type RatingRunProgress, type RatingRunResult, trainRatings } from '../../train/ratings/run.ts';
import { commandName, onInterrupt, openDevice, Output, say, shellWord, versionOf } from '../common.ts';
import { columnsOf, openItems } from '../input/data.ts';
import { addVectors } from '../input/item-vectors.ts';
import { checkRatingSideFeatureFlags, inferRatingFeatures, loadRatingFeatures } from '../input/rating-side-features.ts';
import { contextOf, eventNames } from '../input/side-features.ts';
import { pathsExist } from '../input/paths.ts';
import { InterruptedError, UsageError } from '../errors.ts';
import { openRatings, printReport, reportObject, requireSameRatings, splitOf, usualPoint } from '../input/ratings.ts';
import { type FixedFlag, requireSameFlags } from '../resume.ts';
import type { TrainFlags } from './train.ts';
import { createProgress, formatCount, formatDuration, printable, type Progress } from '../output/ui.ts';

export interface RatingTrainFlags extends Omit<TrainFlags, 'protocol'> {
  task: RatingTask | 'next';
  protocol: Protocol | RatingSplit;
  folds?: number;
  positive?: number;
}

/** Flags of ranking alone, and those that come from the folder with `--resume`. */
const RANKING = ['recipe', 'minInteractions', 'minRating', 'includeSeen', 'coldItems'] as const;
const FIXED = [
  'set',
  'seed',
  'items',
  'schema',
  'vectors',
  'usersSchema',
  'events',
  'protocol',
  'folds',
  'positive',
  'epochs',
] as const satisfies readonly FixedFlag[];

interface Prepared {
  files: NodeFiles;
  config: ModelConfig;
  settings: RatingSettings;
  split: RatingSplit;
  ratings: Ratings;
  beside: RatingFeatures | null;
  /** null on `--resume`: the folder has them. */
  items: Item[] | null;
}

/** @param given names of the flags that the user typed */
export async function runTrainRatings(flags: RatingTrainFlags, given: ReadonlySet<string>): Promise<void> {
  const started = performance.now();
  const out = new Output(flags.json);
  checkUsage(flags, given);
  const prepared = flags.resume ? await prepareResume(flags, given, out) : await prepareNew(flags, given, out);
  const { files, config, ratings, split } = prepared;
  const device = await openDevice(flags.device, out);
  try {
    await NodeFiles.create(flags.out);
    const lock = await lockFolder(flags.out);
    try {
      if (prepared.items) {
        config.device = device.name;
        await createFolder(files, config, prepared.items, { overwrite: flags.overwrite });
      } else if (flags.data !== undefined) {
        const saved = await loadPredictions(files);
        if (saved) requireSameRatings(ratings, saved.predictions, flags.out);
      }
      out.note(`training on ${device.name}: ${describe(prepared)}`);
      const deadline = flags.maxMinutes === undefined ? undefined : started + flags.maxMinutes * 60_000;
      const bar = createProgress({ total: 1000, force: flags.progress });
      const interrupt = onInterrupt(() =>
        process.stderr.write('\nattune: stopping; the rounds that have ended are saved (Ctrl-C again stops at once)\n'),
      );
      let result: RatingRunResult;
      try {
        result = await trainRatings({
          device,
          files,
          ratings,
          split,
          settings: prepared.settings,
          seed: config.seed,
          beside: prepared.beside,
          deadline,
          resume: flags.resume,
          signal: interrupt.signal,
          onProgress: (p) => show(bar, p),
          log: (line) => (process.stderr.isTTY || flags.progress ? bar.note(line) : out.note(line)),
        });
      } finally {
        interrupt.end();
        bar.stop();
      }
      await finish(result, prepared, flags, out);
    } finally {
      await lock.release();
    }
  } finally {
    device.close();
  }
}

function checkUsage(flags: RatingTrainFlags, given: ReadonlySet<string>): void {
  if (flags.resume && flags.overwrite) throw new UsageError('--resume and --overwrite exclude each other');
  if (!flags.resume && flags.data === undefined) throw new UsageError('--data PATH is missing: the log to learn from');
  const ranking = RANKING.filter((name) => given.has(name)).map(flagOf);
  if (ranking.length > 0)
    throw new UsageError(`${ranking.join(', ')}: for ranking the next item; leave that out for ratings`);
  checkRatingSideFeatureFlags(flags);
  if (flags.positive !== undefined && flags.task === 'rating') throw new UsageError('--positive goes with --task ctr');
}

const flagOf = (name: string): string => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

/** What `--protocol` and `--folds` come to. */
function splitFor({ protocol, folds }: RatingTrainFlags, given: ReadonlySet<string>): RatingSplit {
  const named = given.has('protocol') ? protocol : FIVE_FOLDS;
  if (!isSplit(named))
    throw new UsageError(`--protocol ${named.name}: ranks items; ratings are split by ${RATING_SPLITS.join(', ')}`);
  if (folds === undefined) return named;
  if (named.name !== 'folds')
    throw new UsageError(`--folds ${folds}: goes with --protocol folds, not with ${named.name}`);
  return { name: 'folds', k: folds };
}

export function isSplit(protocol: Protocol | RatingSplit): protocol is RatingSplit {
  return (RATING_SPLITS as readonly string[]).includes(protocol.name);
}

async function prepareNew(flags: RatingTrainFlags, given: ReadonlySet<string>, out: Output): Promise<Prepared> {
  const split = splitFor(flags, given);
  const task = flags.task as RatingTask;
  const overrides = Object.fromEntries(flags.set);
  ratingSettings(1, overrides); // what is wrong in them is said before the log is read, which may take long
  const files = new NodeFiles(flags.out);
  if (existsSync(flags.out) && !flags.overwrite) await refuseModel(await NodeFiles.open(flags.out), flags.out);
  const infos = flags.items === undefined ? null : await openItems(flags.items);
  if (infos && flags.vectors) await addVectors(infos, flags.vectors);
  const source = flags.data as string;
  const columns = columnsOf(flags);
  const ratings = await openRatings(
    source,
    { columns, context: contextNames(eventNames(flags)), maxBadRows: flags.maxBadRows },
    { task, positive: flags.positive },
    out,
    flags.progress,
  );
  ratingRounds(ratings, split, flags.seed);
  const settings = ratingSettings(ratings.size, overrides);
  if (flags.epochs !== undefined) settings.epochs = flags.epochs;
  const said: Notes = { notes: [], warnings: [] };
  const items = catalogItems(ratings.itemIds, countRatings(ratings), { items: infos, itemsName: flags.items }, said);
  const { schema: reads, beside } = await inferRatingFeatures(flags, ratings, items, said);
  say(said, out);
  const about = { attune: versionOf(), task, settings, split, source, columns: { ...columns }, seed: flags.seed };
  const config = ratingConfig({ ...about, reads, usersFile: flags.users }, ratings, items);
  return { files, config, settings, split, ratings, beside, items };
}

/** Refuses a folder in use before the log is read; `createFolder` has the last word. */
async function refuseModel(files: NodeFiles, dir: string): Promise<void> {
  if (!(await holdsWeights(files))) return;
  throw new InputError('already-exists', `${dir}: already holds a model`, {
    hint: 'add --resume to go on with it, --overwrite to replace it, or choose another --out',
  });
}

async function prepareResume(flags: RatingTrainFlags, given: ReadonlySet<string>, out: Output): Promise<Prepared> {
  const files = await NodeFiles.open(flags.out);
  const config = await loadConfig(files);
  const fixed = FIXED.filter((name) => given.has(name));
  requireSameFlags(fixed, flags, config, flags.out);
  const { task, positive } = config;
  if (task === undefined || (given.has('task') && flags.task !== task))
    throw new UsageError(`--task ${flags.task}: ${flags.out} was begun with another task; leave that out`);
  const settings = storedRatingSettings(config.hyperparameters, `${flags.out}/config.json: `);
  const source = flags.data ?? config.data.source;
  if (flags.data === undefined && !pathsExist(source))
    throw new InputError('not-found', `${source}: the log that ${flags.out} was begun with is not there`, {
      hint: 'name it with --data PATH',
    });
  const reading = {
    columns: columnsOf(flags, config.schema.columns),
    context: contextOf(config),
    maxBadRows: flags.maxBadRows,
  };
  const ratings = await openRatings(source, reading, { task, positive }, out, flags.progress);
  if (ratings.size !== config.data.interactions || ratings.itemIds.length !== config.data.items) {
    throw new InputError(
      'mismatched-data',
      `${source}: not the log that ${flags.out} was begun with (${formatCount(config.data.interactions)} ratings of ${formatCount(config.data.items)} items then; ` +
        `${formatCount(ratings.size)} of ${formatCount(ratings.itemIds.length)} now)`,
    );
  }
  if (flags.users !== undefined) config.data.usersFile = flags.users;
  const said: Notes = { notes: [], warnings: [] };
  const { beside } = await loadRatingFeatures(config, ratings, await loadItems(files), said);
  say(said, out);
  return { files, config, settings, split: splitOf(config), ratings, beside, items: null };
}

function describe({ settings: s, split, config }: Prepared): string {
  const rounds = split.name === 'folds' ? `${split.k} folds and a model of all ratings` : 'one round';
  return `d ${s.d}, ${s.blocks} self- and ${s.cross} cross-attention blocks on ${s.factors} factors, windows of ${s.window}, ${s.epochs} epochs, ${rounds}, seed ${config.seed}`;
}

function show(bar: Progress, p: RatingRunProgress): void {
  const what = {
    baseline: 'learning the factors',
    compiling: 'compiling the kernels',
    training: `epoch ${p.epoch + 1}`,
    predicting: 'predicting',
  }[p.phase];
  bar.update(Math.round(p.total * 1000), {
    phase: `round ${p.round} of ${p.of}, ${what}`,
    ...(p.loss !== null && { loss: p.loss }),
  });
}

async function finish(
  result: RatingRunResult,
  { files, config, split }: Prepared,
  flags: RatingTrainFlags,
  out: Output,
): Promise<void> {
  const { progress, predictions, reason } = result;
  const dir = shellWord(flags.out);
  if (reason === 'interrupted') {
    throw new InterruptedError(
      `stopped after round ${progress.rounds} of ${progress.of}; what has ended is saved in ${flags.out}; go on with: ${commandName()} train --out ${dir} --resume`,
    );
  }
  if (!predictions) throw new InputError('unfinished-model', `${flags.out}: no rating was tested`);
  const task = config.task as RatingTask;
  const point = usualPoint(split, task);
  const report = ratingReport(predictions, task, point);
  await writeRatingCard(files, config, {
    date: new Date(),
    split: ratingSplitFlag(split),
    ratings: report.ratings,
    elapsedSeconds: progress.elapsedSeconds,
    epochs: progress.epochs,
    point,
    rows: {
      'this model': report.metrics,
      'factors alone': report.baselines.factors,
      'biases alone': report.baselines.biases,
    },
  });
  out.object({
    ...reportObject(report, task, split, point),
    reason,
    epochs: progress.epochs,
    steps: progress.steps,
    seconds: result.seconds,
    model: { path: flags.out },
  });
  const why = {
    epochs: 'All epochs done',
    time: 'Cut by the time limit',
    'finished before': 'This training had finished before',
  }[reason];
  const epochs = progress.epochs.map((n) => Number(n.toFixed(1))).join(', ');
  out.line(
    `${why}; epochs of the ${progress.of} ${progress.of === 1 ? 'round' : 'rounds'}: ${epochs}; ${formatDuration(result.seconds)}.`,
  );
  printReport(report, split, point, out);
  const command = commandName();
  out.line(`\nThe model is in ${printable(flags.out)} (README.md there is its card). Next:`);
  out.line(`  ${command} evaluate --model ${dir} --dump predictions.jsonl`);
  out.line(`  ${command} recommend --model ${dir} --user ID --data ${shellWord(flags.data ?? config.data.source)}`);
}
