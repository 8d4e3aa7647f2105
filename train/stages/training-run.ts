/** What the stages of a ranking model share: one encoder on the device, and what was learned so far. */
import type { ScorerOptions } from '../../model/inference/scored.ts';
import { type SequenceModel, toArrays } from '../../model/encoders/sequence-model.ts';
import type { Files } from '../../model/storage/files.ts';
import type { Tensors } from '../../model/storage/checkpoint.ts';
import { loadModel } from '../../model/storage/load-model.ts';
import type { AttributeModel } from '../../model/transitions/attribute-model.ts';
import type { SegmentPrior } from '../../model/transitions/segment-prior.ts';
import { type Blend, DeviceTransitions, type ItemTransitions } from '../../model/transitions/transitions.ts';
import type { Device, ItemCodes } from '../../engine/index.ts';
import type { BaselineMetrics } from '../baselines/metrics.ts';
import { createEncoder } from '../loop/trainer.ts';
import type { TrainProgress, TrainResult, Validation } from '../loop/options.ts';
import type { Partitions } from '../parallel/options.ts';
import type { RankingPlan } from '../plan.ts';
import type { Stage } from './stage.ts';

/** A stage of a ranking model; they run in the order of `STAGES` (train/run-plan.ts). */
export interface RankingStage extends Stage<TrainingRun> {
  /** Whether a plan has it. */
  applies(plan: RankingPlan): boolean;
}

export interface RunSinks {
  onProgress?(progress: TrainProgress): void;
  onValidation?(validation: Validation): void;
  /** A line of what was found on the way. */
  log?(line: string): void;
}

/** A training that runs: what its stages have learned, live on the device. */
export class TrainingRun {
  readonly plan: RankingPlan;
  readonly device: Device;
  readonly files: Files;
  readonly sinks: RunSinks;
  /** Who trains the encoder's partitions, where the plan divides it. */
  readonly partitions: Partitions | null;
  /** How the encoder's training ended; null before that. */
  result: TrainResult | null = null;
  /** null where there was no time for them. */
  baselines: BaselineMetrics | null = null;
  transitions: ItemTransitions | null = null;
  /** Whether the encoder has weights of another model (train/stages/transfer.ts). */
  initialized = false;
  /** With `items=codes`. */
  codes: ItemCodes | null = null;
  blend: Blend | null = null;
  attributes: AttributeModel | null = null;
  prior: SegmentPrior | null = null;
  #encoder: SequenceModel | null = null;
  #transitions: DeviceTransitions | null = null;

  constructor(plan: RankingPlan, device: Device, files: Files, sinks: RunSinks, partitions: Partitions | null = null) {
    this.plan = plan;
    this.device = device;
    this.files = files;
    this.sinks = sinks;
    this.partitions = partitions;
  }

  get includeSeen(): boolean {
    return this.plan.config.seen === 'kept';
  }

  /** The encoder: with fresh weights, or those that an update starts from, at first; with its best ones once it is trained. */
  get encoder(): SequenceModel {
    const { device, plan } = this;
    if (this.#encoder) return this.#encoder;
    const encoder = createEncoder({ ...plan, device, seed: plan.config.seed, codes: this.codes });
    if (plan.warm) encoder.parameters.load('params', toArrays(plan.warm.tensors));
    this.#encoder = encoder;
    return encoder;
  }

  /** Ends the training of the encoder: from now on it has these weights, those of the folder by default. */
  async useBest(best: Tensors | null): Promise<void> {
    const tensors = best ?? (await loadModel(this.files)).tensors;
    const { parameters } = this.encoder;
    parameters.freeze();
    parameters.load('params', toArrays(tensors));
    this.encoder.touch();
  }

  /** The transitions on the device. */
  deviceTransitions(transitions: ItemTransitions): DeviceTransitions {
    this.#transitions ??= new DeviceTransitions(this.device, transitions);
    return this.#transitions;
  }

  /** As the model is served: the encoder alone where no blend was fitted. */
  scoring(): ScorerOptions['blend'] {
    const { blend, transitions } = this;
    return blend && transitions && { transitions: this.deviceTransitions(transitions), weights: blend };
  }

  /** @param done 0 to 1, of the stage */
  report(phase: TrainProgress['phase'], done: number | null = null): void {
    const { result } = this;
    this.sinks.onProgress?.({
      phase,
      done,
      step: result?.step ?? 0,
      epoch: result?.epoch ?? 0,
      steps: 0,
      fraction: result ? 1 : 0,
      loss: null,
      tokensPerSecond: 0,
      secondsLeft: null,
      bestNdcg: result?.bestNdcg ?? null,
    });
  }

  dispose(): void {
    this.#transitions?.dispose();
    this.#encoder?.dispose();
  }
}

/**
 * Whether what an earlier training fitted still fits: the encoder has nothing more to learn, and its weights are those of
 * this step. Folders of earlier versions do not tell the step.
 */
export const stillFits = ({ result }: TrainingRun, { step = result?.bestStep }: { step?: number | null }): boolean =>
  (result?.reason === 'finished before' || result?.reason === 'ranker') && step === result.bestStep;
