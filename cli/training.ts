/** A training as the commands run it: its input from files, its progress bar, its Ctrl-C. */
import { existsSync } from 'node:fs';
import { InputError } from '../data/errors.ts';
import { contextNames } from '../data/features/event-encoder.ts';
import type { Device } from '../engine/index.ts';
import type { Files } from '../model/storage/files.ts';
import type { ModelConfig } from '../model/storage/config.ts';
import { holdsWeights } from '../model/storage/folder.ts';
import type { TrainProgress } from '../train/loop/options.ts';
import type { Partitions } from '../train/parallel/options.ts';
import type { AnySource, RankingPlan, TrainingSource } from '../train/plan.ts';
import { runPlan, type TrainedModel } from '../train/run-plan.ts';
import { onInterrupt, Output } from './common.ts';
import { inFlags } from './flags/names.ts';
import { type ColumnFlags, type Columns, columnsOf, noRows, openAnyLog, openItems } from './input/data.ts';
import { addVectors } from './input/item-vectors.ts';
import { pathsExist } from './input/paths.ts';
import { contextOf, openUsers } from './input/side-features.ts';
import { createProgress, formatCount, type Progress, TimeLeft } from './output/ui.ts';

export interface SourceFlags {
  data: string;
  items?: string;
  vectors?: readonly string[];
  users?: string;
  maxBadRows: number;
  progress?: boolean;
}

/**
 * Reads the files of a training.
 * @param events event context that is read @param domain a column of the log that says of which domain items are
 * @throws InputError
 */
export async function openTrainingSource(
  { data, items, vectors, users, maxBadRows, progress }: SourceFlags,
  columns: Columns,
  events: readonly string[] = [],
  domain?: string,
): Promise<AnySource> {
  // The small files first: what is wrong with them is found before a large log is read.
  const infos = items === undefined ? null : await openItems(items);
  if (infos && vectors) await addVectors(infos, vectors);
  const known = users === undefined ? null : await openUsers(users);
  const context = [...new Set([...contextNames(events), ...(domain === undefined ? [] : [domain])])];
  const log = await openAnyLog(data, { columns, context, namedByFile: domain, maxBadRows }, progress);
  const names = 'dataset' in log ? log.columns : columns;
  return { log, name: data, columns: { ...names }, items: infos, itemsName: items, users: known, usersName: users };
}

/** The source of what learns from rows, as they are in the log. @throws InputError for a prepared one, which has none */
export function withRows(source: AnySource): TrainingSource {
  const { log } = source;
  if ('dataset' in log) throw noRows(log.source);
  return { ...source, log };
}

/** Reads the files that a training was started with, or those that flags name. @throws InputError */
export async function openStoredSource(
  flags: ColumnFlags & Partial<SourceFlags> & { out: string; maxBadRows: number },
  { data: was, schema }: ModelConfig,
): Promise<AnySource> {
  const { data = was.source, users = was.usersFile, items, vectors, out, maxBadRows, progress } = flags;
  if (flags.data === undefined && !pathsExist(data)) {
    throw new InputError('not-found', `${data}: the log that ${out} was started with is not there`, {
      hint: 'name it with --data PATH',
    });
  }
  if (schema.users && users !== undefined && !existsSync(users)) {
    throw new InputError('not-found', `${users}: the users that ${out} was started with are not there`, {
      hint: 'name them with --users PATH',
    });
  }
  return openTrainingSource(
    { data, items, vectors, users, maxBadRows, progress },
    columnsOf(flags, schema.columns),
    contextOf({ schema }),
  );
}

/** Refuses a folder in use before a log is read, which may take long; `createFolder` has the last word. */
export async function refuseModel(
  files: Files,
  { out, overwrite }: { out: string; overwrite?: boolean },
  hint = 'add --resume to continue it, --overwrite to replace it, or choose another --out',
): Promise<void> {
  if (overwrite || !(await holdsWeights(files))) return;
  throw new InputError('already-exists', `${out}: already holds a model`, { hint });
}

export interface Limits {
  /** `performance.now()` at which all must be saved. */
  deadline?: number;
  overwrite?: boolean;
  /** Show the bar without a terminal, too. */
  progress?: boolean;
  partitions?: Partitions;
}

/** Trains under a progress bar; the first Ctrl-C makes it save and end with the reason `interrupted`. */
export async function trainWithProgress(
  device: Device,
  plan: RankingPlan,
  files: Files,
  { deadline, overwrite, progress, partitions }: Limits,
): Promise<TrainedModel> {
  const bar = createProgress({ total: 1000, force: progress });
  const interrupt = onInterrupt(() =>
    process.stderr.write('\nattune: stopping after this step and saving (Ctrl-C again stops at once)\n'),
  );
  try {
    return await runPlan(plan, {
      device,
      files,
      overwrite,
      deadline,
      partitions,
      signal: interrupt.signal,
      onProgress: showProgress(bar),
      log: (line) => (process.stderr.isTTY || progress ? bar.note(inFlags(line)) : new Output().warn(line)),
    });
  } finally {
    interrupt.end();
    bar.stop();
  }
}

/** Moves a bar of 1000 with the training's progress; a better validation leaves a line above it. */
function showProgress(bar: Progress): (progress: TrainProgress) => void {
  let best: number | null = null;
  const left = new TimeLeft();
  return (p) => {
    if (p.bestNdcg !== null && p.bestNdcg !== best) {
      best = p.bestNdcg;
      bar.note(`step ${formatCount(p.step)}: validation NDCG@10 ${best.toFixed(4)}, the best so far`);
    }
    const phase = {
      recording: 'recording the training data',
      baselines: 'measuring the baselines',
      transitions: 'learning item transitions',
      codes: 'finding item codes',
      transfer: 'mapping item rows',
      batching: 'dividing the log into batches',
      compiling: 'compiling the kernels',
      training: `epoch ${p.epoch + 1}, step ${formatCount(p.step)}`,
      validating: 'validating',
      saving: 'saving',
      blending: 'fitting the blend',
      ranking: `ranker, step ${formatCount(p.step)}`,
    }[p.phase];
    bar.update(Math.round(p.fraction * 1000), {
      phase: p.done === null ? phase : `${phase}, ${Math.floor(100 * p.done)} %`,
      ...(p.loss !== null && { loss: p.loss }),
      ...(p.tokensPerSecond > 0 && { tokensPerSecond: p.tokensPerSecond }),
      secondsLeft: p.secondsLeft ?? (p.done === null ? undefined : left.of(p.phase, p.done)),
    });
  };
}
