/** `attune train --task rating|ctr`: from a log of ratings to a model folder with out-of-fold predictions. */
import type { RatingTrainFlags } from './train.flags.ts';
import { existsSync, rmSync } from 'node:fs';
import path from 'node:path';
import type { Protocol } from '../../data/splits/protocol.ts';
import { InputError } from '../../data/errors.ts';
import { FIVE_FOLDS, RATING_SPLITS, type RatingSplit } from '../../data/ratings/split.ts';
import type { RatingTask } from '../../data/ratings/ratings.ts';
import { loadConfig } from '../../model/storage/config.ts';
import { NodeFiles } from '../../recommend/sources/files.node.ts';
import { lockFolder } from '../../recommend/sources/lock.node.ts';
import { checkRatingOptions, planRatings, type RatingPlan, resumeRatings } from '../../train/ratings/plan.ts';
import type { RatingRunProgress } from '../../train/ratings/rating-run.ts';
import { runRatingPlan, type TrainedRatingModel } from '../../train/ratings/run-plan.ts';
import { commandName, onInterrupt, openDevice, Output, planFrom, say, shellWord } from '../common.ts';
import { kebab } from '../flags/names.ts';
import { columnsOf } from '../input/data.ts';
import { columnChoices, eventNames } from '../input/side-features.ts';
import { InterruptedError, UsageError } from '../errors.ts';
import { printReport, reportObject } from '../input/ratings.ts';
import { type FixedFlag, requireSameFlags } from '../resume.ts';
import { SharedWork, wordsWithout } from '../shared-work.ts';
import { openStoredSource, openTrainingSource, refuseModel, withRows } from '../training.ts';
import { createProgress, formatDuration, printable, type Progress } from '../output/ui.ts';

/** Flags of ranking alone, and those that come from the folder with `--resume`. */
const RANKING = [
  'recipe',
  'minInteractions',
  'minRating',
  'includeSeen',
  'coldItems',
  'workers',
  'sync',
  'init',
  'map',
  'initVectors',
  'freezeEpochs',
  'domainColumn',
  'dp',
  'guard',
] as const;
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

/** @param given names of the flags that the user typed */
export async function runTrainRatings(flags: RatingTrainFlags, given: ReadonlySet<string>): Promise<void> {
  const started = performance.now();
  const out = new Output(flags.json);
  checkUsage(flags, given);
  const plan = flags.resume ? await planResume(flags, given) : await planNew(flags, given, out);
  say(plan, out);
  const rounds = plan.split.name === 'folds' ? plan.split.k + 1 : 1;
  if (flags.round !== undefined && flags.round > rounds)
    throw new UsageError(`--round ${flags.round}: there are ${rounds}, the last of which is the model of all ratings`);
  const elsewhere = flags.queue === undefined ? null : await shareRounds(flags, rounds, out, flags.queue);
  const device = await openDevice(flags.device, out);
  try {
    const files = await NodeFiles.create(flags.out);
    const lock = await lockFolder(flags.out);
    try {
      out.note(`training on ${device.name}: ${describe(plan)}`);
      const bar = createProgress({ total: 1000, force: flags.progress });
      const interrupt = onInterrupt(() =>
        process.stderr.write('\nattune: stopping; the rounds that have ended are saved (Ctrl-C again stops at once)\n'),
      );
      let trained: TrainedRatingModel;
      try {
        trained = await runRatingPlan(plan, {
          device,
          files,
          overwrite: flags.overwrite,
          deadline: flags.maxMinutes === undefined ? undefined : started + flags.maxMinutes * 60_000,
          signal: interrupt.signal,
          ...(flags.round !== undefined && { onlyRound: flags.round - 1 }),
          ...(elsewhere && { trainedRound: (r: number) => NodeFiles.open(elsewhere(r)) }),
          onProgress: (p) => show(bar, p),
          log: (line) => (process.stderr.isTTY || flags.progress ? bar.note(line) : out.note(line)),
        });
      } finally {
        interrupt.end();
        bar.stop();
      }
      report(trained, plan, flags, out);
      if (elsewhere) rmSync(path.dirname(elsewhere(0)), { recursive: true, force: true });
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
  const ranking = RANKING.filter((name) => given.has(name)).map(kebab);
  if (ranking.length > 0)
    throw new UsageError(`${ranking.join(', ')}: for ranking the next item; leave that out for ratings`);
  if (flags.round !== undefined && flags.queue !== undefined)
    throw new UsageError('--round trains one round here, --queue asks workers for all: give one of them');
  if (flags.queue !== undefined && flags.resume)
    throw new UsageError('--queue: start the training again without --resume');
  eventNames(flags);
  if (flags.usersSchema !== undefined && flags.users === undefined)
    throw new UsageError('--users-schema requires --users, whose columns it describes');
  for (const name of ['schema', 'vectors'] as const) {
    if (flags[name] !== undefined && flags.items === undefined)
      throw new UsageError(`--${name} requires --items, the items that it describes`);
  }
  if (flags.positive !== undefined && flags.task === 'rating') throw new UsageError('--positive requires --task ctr');
}

/**
 * Asks workers for the rounds, each in a folder of its own beside the model.
 * @returns the folder of each round, from 0
 */
async function shareRounds(
  flags: RatingTrainFlags,
  rounds: number,
  out: Output,
  address: string,
): Promise<(round: number) => string> {
  const folderOf = (r: number) => path.join(`${flags.out.replace(/[\\/]+$/, '')}.rounds`, String(r + 1));
  const typed = wordsWithout(['--queue', '--out', '--resume', '--overwrite', '--max-minutes']);
  const until = flags.maxMinutes === undefined ? undefined : Date.now() + flags.maxMinutes * 60_000;
  const shared = await SharedWork.open(address, out, flags.progress);
  try {
    const outcomes = await Promise.all(
      Array.from({ length: rounds }, (_, r) => {
        const own = ['--out', folderOf(r), '--round', String(r + 1)];
        return shared.run({
          title: `round ${r + 1} of ${rounds}`,
          words: ['train', ...typed, '--overwrite', ...own],
          ...(until !== undefined && { until }),
          // A round that has ended stays as it is.
          resume: {
            folder: folderOf(r),
            words: ['train', ...typed, '--resume', ...own],
            part: 'predictions.safetensors',
          },
        });
      }),
    );
    for (const result of outcomes) {
      if (result?.kind === 'refused') throw new InputError('unsupported', `a worker: ${result.reason}`);
      if (result?.kind === 'late')
        throw new InputError('conflicting-settings', 'the time was up before every round had been trained', {
          setting: 'maxMinutes',
          hint: 'give more time, or start more workers: the same command keeps the rounds that have ended',
        });
      if (result?.kind !== 'done')
        throw new InterruptedError('stopped; rounds that have ended are kept: the same command continues');
    }
  } finally {
    await shared.close();
  }
  return folderOf;
}

/** The split that `--protocol` and `--folds` name. */
function splitFor({ protocol, folds }: RatingTrainFlags, given: ReadonlySet<string>): RatingSplit {
  const named = given.has('protocol') ? protocol : FIVE_FOLDS;
  if (!isRatingProtocol(named))
    throw new UsageError(`--protocol ${named.name}: ranks items; ratings are split by ${RATING_SPLITS.join(', ')}`);
  if (folds === undefined) return named;
  if (named.name !== 'folds') throw new UsageError(`--folds ${folds}: requires --protocol folds, not ${named.name}`);
  return { name: 'folds', k: folds };
}

export function isRatingProtocol(protocol: Protocol | RatingSplit): protocol is RatingSplit {
  return (RATING_SPLITS as readonly string[]).includes(protocol.name);
}

async function planNew(flags: RatingTrainFlags, given: ReadonlySet<string>, out: Output): Promise<RatingPlan> {
  const events = eventNames(flags);
  const options = {
    task: flags.task as RatingTask,
    positive: flags.positive,
    split: splitFor(flags, given),
    settings: Object.fromEntries(flags.set),
    epochs: flags.epochs,
    seed: flags.seed,
    events,
  };
  checkRatingOptions(options); // before files are read, which may take long
  if (existsSync(flags.out)) await refuseModel(await NodeFiles.open(flags.out), flags);
  const itemColumns = await columnChoices(flags.schema);
  const userColumns = await columnChoices(flags.usersSchema);
  const source = withRows(await openTrainingSource({ ...flags, data: flags.data as string }, columnsOf(flags), events));
  return planFrom(source, out, () => planRatings(source, { ...options, itemColumns, userColumns }));
}

async function planResume(flags: RatingTrainFlags, given: ReadonlySet<string>): Promise<RatingPlan> {
  const files = await NodeFiles.open(flags.out);
  const config = await loadConfig(files);
  const fixed = FIXED.filter((name) => given.has(name));
  requireSameFlags(fixed, flags, config, flags.out);
  if (config.task === undefined || (given.has('task') && flags.task !== config.task))
    throw new UsageError(`--task ${flags.task}: ${flags.out} was started with another task; leave that out`);
  return resumeRatings(files, withRows(await openStoredSource(flags, config)));
}

function describe({ settings: s, split, config }: RatingPlan): string {
  const rounds = split.name === 'folds' ? `${split.k} folds and a model of all ratings` : 'one round';
  return `d ${s.d}, ${s.blocks} self- and ${s.cross} cross-attention blocks on ${s.factors} factors, windows of ${s.window}, ${s.epochs} epochs, ${rounds}, seed ${config.seed}`;
}

function show(bar: Progress, p: RatingRunProgress): void {
  const what = {
    recording: 'recording the training data',
    baseline: 'learning the factors',
    compiling: 'compiling the kernels',
    training: `epoch ${p.epoch + 1}`,
    predicting: 'predicting',
  }[p.phase];
  bar.update(Math.round(p.total * 1000), {
    phase: `round ${p.round} of ${p.of}, ${what}${p.done === null ? '' : `, ${Math.floor(100 * p.done)} %`}`,
    ...(p.loss !== null && { loss: p.loss }),
  });
}

function report(
  { result, report, point }: TrainedRatingModel,
  { split, task, config }: RatingPlan,
  flags: RatingTrainFlags,
  out: Output,
): void {
  const { progress, reason } = result;
  const dir = shellWord(flags.out);
  if (reason === 'interrupted') {
    throw new InterruptedError(
      `stopped after round ${progress.rounds} of ${progress.of}; what has ended is saved in ${flags.out}; continue with: ${commandName()} train --out ${dir} --resume`,
    );
  }
  if (flags.round !== undefined) {
    const { rounds, of, epochs, steps } = progress;
    out.object({
      task,
      round: flags.round,
      of,
      reason,
      epochs,
      steps,
      seconds: result.seconds,
      model: { path: flags.out },
    });
    out.line(`Round ${rounds} of ${of} is in ${printable(flags.out)}.`);
    return;
  }
  if (!report) throw new InputError('too-little-data', `${flags.out}: no rating was tested`);
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
