/** What the training of an encoder takes, what it reports and how it ends. */
import { InputError } from '../../data/errors.ts';
import type { ItemFeatures } from '../../data/features/encoder.ts';
import type { Split } from '../../data/splits/split.ts';
import { type Device, permutation } from '../../engine/index.ts';
import type { Settings } from '../../model/recipes/settings.ts';
import type { Tensors } from '../../model/storage/checkpoint.ts';
import type { Files } from '../../model/storage/files.ts';
import type { BlendWeights, DeviceTransitions, TransitionSettings } from '../../model/transitions/transitions.ts';
import { usersWithTarget } from '../evaluation/evaluate.ts';
import type { Metrics } from '../evaluation/metrics.ts';

/** Stream of the seed that draws the validation users; the model's own streams start at 0. */
const VALIDATION_STREAM = 0x7fffffff;

/** Weights to start from, and how much of what they were trained on is trained on again. */
export interface WarmStart {
  tensors: Tensors;
  /** Its blend until one is fitted, or the time is up; null where the transformer scores alone. */
  blend: BlendWeights | null;
  /** How its item transitions were learned; null without any. */
  transitions: TransitionSettings | null;
  /** Tokens for each token of a window with a fresh event (data/batching/replay.ts). */
  replay: number;
  /** What the learning rate of the item table is multiplied by. */
  tableRate: number;
}

export interface TrainOptions {
  device: Device;
  files: Files;
  split: Split;
  settings: Settings;
  /** Of the catalog, for the item tower. */
  features?: ItemFeatures | null;
  seed: number;
  /** What the encoder will be blended with: training stops sooner where it adds nothing to them. Not owned. */
  transitions?: DeviceTransitions | null;
  /** What an update starts from. */
  warm?: WarmStart | null;
  /** The encoder has other weights than the seed's: they are validated before the first step. */
  initialized?: boolean;
  /** Epochs in which the item table alone is trained. */
  frozenEpochs?: number;
  resume?: boolean;
  epochs?: number;
  /** Stop after this step; all rows of the item table are up to date then. */
  lastStep?: number;
  /** `performance.now()` at which everything must be saved. */
  deadline?: number;
  signal?: AbortSignal;
  includeSeen?: boolean;
  onProgress?(progress: TrainProgress): void;
  onValidation?(validation: Validation): void;
  /** A line of what was found on the way. */
  log?(line: string): void;
}

export interface TrainProgress {
  phase:
    | 'recording'
    | 'baselines'
    | 'transitions'
    | 'codes'
    | 'transfer'
    | 'batching'
    | 'compiling'
    | 'training'
    | 'validating'
    | 'saving'
    | 'blending'
    | 'ranking';
  /** 0 to 1, of this phase where that is known. */
  done: number | null;
  step: number;
  epoch: number;
  /** Steps of this epoch. */
  steps: number;
  /** 0 to 1, of the run as far as its end is known. */
  fraction: number;
  loss: number | null;
  tokensPerSecond: number;
  secondsLeft: number | null;
  bestNdcg: number | null;
}

export interface Validation {
  step: number;
  epoch: number;
  metrics: Metrics;
}

export interface TrainResult {
  reason: 'early-stopping' | 'epochs' | 'steps' | 'time' | 'interrupted' | 'finished before' | 'ranker';
  step: number;
  epoch: number;
  bestNdcg: number | null;
  bestStep: number | null;
  losses: { step: number; loss: number }[];
  validations: Validation[];
  /** Of this run, without those before a resumption. */
  seconds: number;
  tokens: number;
  /** Of this run, where the training is divided among workers. */
  rounds?: readonly RoundRecord[];
}

/** What came of a round of a training that is divided among workers. */
export interface RoundRecord {
  round: number;
  /** Of the partition that made most, and tokens of all together. */
  steps: number;
  tokens: number;
  /** Of all partitions together: the shared weights as they were sent, the changes that came back, the moments that stay. */
  bytes: { weights: number; changes: number; states: number };
  /**
   * `round`: from its start to the new weights. Of the partition that took longest: `steps`, `exchange` (reading and writing
   * weights, changes, and moments) and `start` (the process, the log, and compiling). `average`: reading the changes and the
   * outer step.
   */
  seconds: { round: number; steps: number; exchange: number; start: number; average: number };
  /** Partitions, from 1, that do not count in this round, and why. */
  leftOut: { partition: number; reason: string }[];
}

/** @throws InputError where the device cannot train in the precision that the settings ask for */
export function requirePrecision(device: Device, { precision }: Settings): void {
  const lacks = device.lacksPrecision(precision);
  if (lacks)
    throw new InputError('conflicting-settings', lacks, {
      setting: 'settings.precision',
      value: precision,
      hint: 'leave it out (precision=f32)',
    });
}

/** Users with fresh events that an update needs to be validated on them alone. */
const FEWEST_FRESH = 100;

/**
 * The users that are validated on: all, or as many as the settings say, drawn once by the seed. Where events are marked as
 * fresh, those who have some, if there are enough of them: what a model is updated for.
 */
export function validationUsers(split: Split, settings: Settings, seed: number): Uint32Array {
  const all = usersWithTarget(split, 'valid');
  const { fresh } = split.dataset;
  const isActive = (u: number): boolean => {
    const [from, to] = split.range(u);
    return fresh?.subarray(from, to).includes(1) ?? true;
  };
  const active = all.filter(isActive);
  const users = active.length < FEWEST_FRESH ? all : active;
  return permutation(users.length, seed, VALIDATION_STREAM)
    .slice(0, settings.validateUsers)
    .map((i) => users[i])
    .sort();
}
