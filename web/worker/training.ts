/** A training in the worker: the same as `attune train`, into a folder of the private file system. */
import { atOnce } from '../../data/pieces.ts';
import { InputError } from '../../data/errors.ts';
import type { Device } from '../../engine/index.ts';
import type { Files } from '../../model/storage/files.ts';
import { readMetrics } from '../../model/storage/folder.ts';
import type { Metrics } from '../../train/evaluation/metrics.ts';
import type { TrainProgress } from '../../train/loop/options.ts';
import { planTraining, type RankingPlan, type TrainingSource } from '../../train/plan.ts';
import { resumePlan } from '../../train/resume-plan.ts';
import { runPlan } from '../../train/run-plan.ts';
import type { Filter, TrainingOutcome, Plan, TrainEvent, ValidationPoint } from './contract.ts';
import { sharedDevice, trim } from './device.ts';
import { keepSource, keptSource, loadRun, modelFiles, newModel, type Run, saveRun } from './library.ts';
import { filterOf, openSource, type Opened } from './log.ts';

export type OnTrain = (event: TrainEvent) => void;

/** Milliseconds between two reports of progress: what a chart can show. */
const REPORT_MS = 120;

export interface Prepared {
  files: Files;
  run: Run;
  plan: RankingPlan;
  /** Columns by user ID. */
  users: Opened['users'];
}

/** Plans a training on an opened log. @throws InputError */
export function planNew(opened: Opened, filter: Filter, asked: Plan): RankingPlan {
  return planTraining(sourceOf(opened), {
    ...filterOf(filter),
    recipe: asked.recipe ?? undefined,
    settings: asked.settings,
    events: opened.reading.events,
    epochs: asked.epochs ?? undefined,
    seed: asked.seed,
    includeSeen: asked.includeSeen,
  });
}

function sourceOf({ log, infos, users, reading, source }: Opened): TrainingSource {
  const files = source.kind === 'file' ? source : null;
  return {
    log,
    name: log.source,
    columns: { ...reading.columns },
    items: infos,
    itemsName: files?.items?.name,
    users,
    usersName: files?.users?.name,
  };
}

/** Plans a training, and makes its folder with what is needed to continue it later. @throws InputError */
export async function prepareNew(opened: Opened, filter: Filter, asked: Plan): Promise<Prepared> {
  const plan = planNew(opened, filter, asked);
  const { source, reading } = opened;
  const files = await newModel(asked.name);
  const run: Run = { source: keptAs(source), reading, filter, plan: asked, state: 'running' };
  if (source.kind === 'file') await keepSource(files, source);
  await saveRun(files, run);
  return { files, run, plan, users: opened.users };
}

const keptAs = (source: Opened['source']): Run['source'] =>
  source.kind === 'shop'
    ? source
    : {
        kind: 'file',
        name: source.file.name,
        items: source.items?.name ?? null,
        users: source.users?.name ?? null,
      };

/** Continues a training that was paused, or cut off by a reload. @throws InputError */
export async function prepareResume(id: string, onProgress: (share: number) => void): Promise<Prepared> {
  const files = await modelFiles(id);
  const run = await loadRun(files);
  if (!run)
    throw new InputError('unsupported', `${id}: was not trained in this browser: the log to continue on is not here`);
  const { source: kept, reading } = run;
  const source = kept.kind === 'shop' ? kept : ({ kind: 'file', ...(await keptSource(files, run)) } as const);
  const opened = await openSource(source, reading, onProgress);
  const plan = await resumePlan(files, sourceOf(opened), { epochs: run.plan.epochs ?? undefined });
  return { files, run, plan, users: opened.users };
}

/** Trains until it is done or the signal says to stop; leaves a folder that loads either way. */
export async function runTraining(p: Prepared, signal: AbortSignal, report: OnTrain): Promise<TrainingOutcome> {
  const device = await sharedDevice();
  try {
    return await trainOn(device, p, signal, report);
  } finally {
    trim(device);
  }
}

/** The same on a device that is open. */
export async function trainOn(
  device: Device,
  { files, run, plan }: Prepared,
  signal: AbortSignal,
  report: OnTrain,
): Promise<TrainingOutcome> {
  const { settings, config, reasons, warnings, resume } = plan;
  const baselines = atOnce(plan.baselines());
  const records = resume ? await readMetrics(files) : [];
  report({
    kind: 'started',
    model: files.where,
    device: device.name,
    about: `${config.recipe}, width ${settings.d}, ${settings.blocks} block${settings.blocks === 1 ? '' : 's'}, window ${settings.window}, batches of ${settings.budget.toLocaleString('en-US')} tokens`,
    baselines: baselines.metrics,
    users: baselines.users,
    notes: [...reasons, ...warnings],
    earlier: earlier(records),
  });
  await saveRun(files, { ...run, state: 'running' });
  const spent = Number(records.at(-1)?.elapsedSeconds ?? 0);
  const { minutes } = run.plan;
  const left = minutes === null ? undefined : Math.max(5, minutes * 60 - spent);
  try {
    const trained = await runPlan(plan, {
      device,
      files,
      deviceName: `${device.name} in a browser`,
      deadline: left === undefined ? undefined : performance.now() + 1000 * left,
      signal,
      onProgress: rarely(report),
      onValidation: ({ step, metrics }) => report({ kind: 'validation', step, metrics }),
      log: (text) => report({ kind: 'note', text }),
    });
    const { result, metrics, components } = trained;
    await saveRun(files, { ...run, state: result.reason === 'interrupted' ? 'paused' : 'finished' });
    const { reason, step, epoch, bestNdcg, seconds, tokens } = result;
    return { reason, step, epoch, bestNdcg, seconds, tokens, model: files.where, metrics, components };
  } catch (error) {
    await saveRun(files, { ...run, state: 'paused' }).catch(() => {});
    throw error;
  }
}

function earlier(records: readonly Record<string, unknown>[]) {
  const validations = records.map(
    ({ step, valid }): ValidationPoint => ({ step: Number(step), metrics: valid as Metrics }),
  );
  const losses = records.map(({ step, loss }): [number, number] => [Number(step), Number(loss)]);
  return { losses, validations };
}

/** Passes on what changes the phase, and of the rest what a chart can show. */
function rarely(report: OnTrain): (progress: TrainProgress) => void {
  let last = 0;
  let phase = '';
  return (progress) => {
    const at = performance.now();
    if (at - last < REPORT_MS && progress.phase === phase) return;
    last = at;
    phase = progress.phase;
    report({ kind: 'progress', at, ...progress });
  };
}
