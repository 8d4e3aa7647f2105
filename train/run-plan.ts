/** Runs a plan: stage after stage, under one time budget, into a model folder. */
import { InputError, option } from '../data/errors.ts';
import type { Device } from '../engine/index.ts';
import { writeModelCard } from '../model/storage/card.ts';
import type { Files } from '../model/storage/files.ts';
import { loadConfig, type ModelConfig } from '../model/storage/config.ts';
import { createFolder, holdsWeights, readMetrics } from '../model/storage/folder.ts';
import { loadModel } from '../model/storage/load-model.ts';
import type { PriorSettings } from '../model/transitions/segment-prior.ts';
import { recordTraining } from '../model/storage/training-record.ts';
import type { BaselineMetrics } from './baselines/metrics.ts';
import type { Metrics } from './evaluation/metrics.ts';
import { TimeBudget } from './loop/time-budget.ts';
import { requirePrecision, type TrainResult } from './loop/options.ts';
import type { Partitions } from './parallel/options.ts';
import type { RankingPlan } from './plan.ts';
import { describePrivacy, PUBLIC } from './privacy/options.ts';
import { attributeModel } from './stages/attribute-model.ts';
import { baselines } from './stages/baselines.ts';
import { blend } from './stages/blend.ts';
import { encoder } from './stages/encoder.ts';
import { guard } from './stages/guard.ts';
import { itemCodes } from './stages/item-codes.ts';
import { ranker } from './stages/ranker.ts';
import { recordStage } from './stages/record.ts';
import { segmentPrior } from './stages/segment-prior.ts';
import { runStages } from './stages/stage.ts';
import { type RankingStage, type RunSinks, TrainingRun } from './stages/training-run.ts';
import { transfer } from './stages/transfer.ts';
import { transitions } from './stages/transitions.ts';

const record: RankingStage = {
  applies: () => true,
  ...recordStage(({ files, plan }, pause) => recordTraining(files, plan.split, plan.config.seed, pause)),
};

/** In the order in which they run. */
export const STAGES: readonly RankingStage[] = [
  record,
  guard,
  baselines,
  transitions,
  itemCodes,
  transfer,
  encoder,
  blend,
  attributeModel,
  segmentPrior,
  ranker,
];

export interface RunOptions extends RunSinks {
  device: Device;
  /** Where the model is kept. */
  files: Files;
  /** Name of the device in config.json; its own by default. */
  deviceName?: string;
  /** Replace a model that `files` holds. */
  overwrite?: boolean;
  /** `performance.now()` at which everything must be saved. */
  deadline?: number;
  signal?: AbortSignal;
  /** Who trains the partitions of a plan with `parallel`. */
  partitions?: Partitions;
}

/** What a training has made. */
export interface TrainedModel {
  /** The model folder: `Recommender.load(files)` opens it, `packModel(files)` makes one file of it. */
  files: Files;
  config: ModelConfig;
  result: TrainResult;
  /** Of the whole model on the validation users; null where no validation has run. */
  metrics: Metrics | null;
  /** Of what the model combines, each alone: `transformer` and `memory` or `attributes`, `retrieval` and `ranker`. */
  components: Record<string, Metrics>;
  /** Simple recommenders on the same users; none where the time was too short. */
  baselines: Pick<BaselineMetrics, 'metrics' | 'users'>;
  /** How the segment prior does for cold-start users; null without one. */
  coldStart: PriorSettings['fitted'] | null;
  /** Of the weights that are served. */
  step: number;
  epoch: number;
  /** Which recipe was chosen and why, what the filter removed. */
  notes: string[];
}

/**
 * Trains by a plan. An interrupted training, and one whose time was up, leaves a folder that loads.
 * @throws InputError where the folder is in use, or the device cannot do what the plan says
 */
export async function runPlan(plan: RankingPlan, options: RunOptions): Promise<TrainedModel> {
  const started = performance.now();
  const { device, files, deadline, signal } = options;
  requirePrecision(device, plan.settings);
  requirePartitions(plan, options);
  if (!plan.resume) {
    const config = { ...plan.config, device: options.deviceName ?? device.name };
    await createFolder(files, config, plan.items, { overwrite: options.overwrite });
  }
  // What the stages leave is read again at the end, to be described: about as long as it took to write the folder.
  const budget = new TimeBudget(deadline, signal).without(performance.now() - started);
  const run = new TrainingRun(plan, device, files, options, options.partitions);
  const stages = STAGES.filter((stage) => stage.applies(plan));
  let ended: boolean;
  try {
    ended = await runStages(stages, run, budget, options.log);
  } finally {
    run.dispose();
  }
  const result = run.result ?? nothing;
  const known = run.baselines ?? { metrics: {}, users: plan.validationUsers.length };
  const reason = ended ? result.reason : 'interrupted';
  return describeModel(plan, files, known, { ...result, reason, seconds: (performance.now() - started) / 1000 });
}

/** @throws InputError where a training is divided among workers and there are none, or the reverse */
function requirePartitions(
  { config: { parallel }, rankerOnly, settings }: RankingPlan,
  { files, partitions }: Pick<RunOptions, 'files' | 'partitions'>,
): void {
  if (parallel && settings.items === 'codes')
    throw new InputError('unsupported', 'is trained by one machine', {
      setting: 'settings.items',
      value: 'codes',
      hint: `leave out ${option('workers')}`,
    });
  if (rankerOnly || (parallel !== undefined) === (partitions !== undefined)) return;
  const [reason, hint] = parallel
    ? [`is trained by ${parallel.workers} workers`, `name their queue (${option('queue')})`]
    : ['is trained by one machine', `leave out ${option('queue')}`];
  throw new InputError('conflicting-settings', `${files.where}: ${reason}`, { hint });
}

/** Of a training that was stopped before its first step. */
const nothing: TrainResult = {
  reason: 'interrupted',
  step: 0,
  epoch: 0,
  bestNdcg: null,
  bestStep: null,
  losses: [],
  validations: [],
  seconds: 0,
  tokens: 0,
};

/** What a folder holds after a training; writes its model card. */
async function describeModel(
  plan: RankingPlan,
  files: Files,
  baselines: TrainedModel['baselines'],
  result: TrainResult,
): Promise<TrainedModel> {
  const notes = [...plan.warnings, ...plan.notes];
  const config = await loadConfig(files);
  const model = {
    notes,
    files,
    config,
    result,
    baselines,
    components: {},
    metrics: null,
    coldStart: null,
    step: 0,
    epoch: 0,
  };
  if (!(await holdsWeights(files))) return model;
  const { weights, blended, prior, ranker } = await loadModel(files);
  const alone = weights.metrics as Metrics | null;
  // After an interruption the blend is that of an earlier end, or there is none.
  const ended = result.reason !== 'interrupted';
  const fitted = ended ? blended?.blend.fitted : undefined;
  const cold = ended ? config.attributeMemory?.fitted : undefined;
  const staged = ended ? ranker?.stages.fitted : undefined;
  const metrics = (ranker?.stages.weight ? staged?.both : staged?.retrieval) ?? cold?.blend ?? fitted?.blend ?? alone;
  const components: Record<string, Metrics> = {};
  if (staged) Object.assign(components, { retrieval: staged.retrieval, ranker: staged.ranker });
  if (cold) Object.assign(components, { transformer: cold.transformer, attributes: cold.attributes });
  else if (fitted && alone) Object.assign(components, { transformer: alone, memory: fitted.memory });
  const records = await readMetrics(files);
  await writeModelCard(files, config, {
    date: new Date(),
    step: weights.step,
    epoch: weights.epoch,
    elapsedSeconds: Math.max(result.seconds, Number(records.at(-1)?.elapsedSeconds ?? 0)),
    split: 'valid',
    seen: config.seen,
    users: baselines.users,
    metrics,
    ...(config.privacy && { privacy: [describePrivacy(config.privacy, weights.step), PUBLIC] }),
    baselines: { ...rowsOf(components, config.recipe), ...baselines.metrics },
  });
  const coldStart = prior?.settings.fitted ?? null;
  return { ...model, components, metrics, coldStart, step: weights.step, epoch: weights.epoch };
}

/** Components under the names that people read. */
export function rowsOf(components: Readonly<Record<string, Metrics>>, recipe: string): Record<string, Metrics> {
  const names: Record<string, string> = {
    retrieval: 'first stage',
    ranker: 'ranker alone',
    transformer: `${recipe} alone`,
    memory: 'transitions alone',
    attributes: 'attributes alone',
  };
  return Object.fromEntries(Object.entries(components).map(([name, metrics]) => [names[name] ?? name, metrics]));
}
