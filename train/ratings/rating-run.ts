/** What the stages of a rating model share: the predictions so far, and how far the training has come. */
import type { Fold } from '../../data/splits/folds.ts';
import { ratingRounds } from '../../data/ratings/split.ts';
import type { Ratings } from '../../data/ratings/ratings.ts';
import type { Device } from '../../engine/index.ts';
import { loadPredictions, type RatingProgress, type StoredPredictions } from '../../model/ratings/folder.ts';
import type { Files } from '../../model/storage/files.ts';
import type { RatingPlan } from './plan.ts';
import type { RoundProgress, RoundResult } from './round.ts';

export interface RatingRunProgress extends RoundProgress {
  /** From 1; the last of `of` may be the model of all ratings. */
  round: number;
  of: number;
  /** 0 to 1, of the whole. */
  total: number;
}

/** How the rounds are shared among processes; all are trained in this one by default. */
export interface RatingRunSharing {
  /** From 0; only this round is trained, in a folder of its own. */
  onlyRound?: number;
  /** Folders of rounds that were trained elsewhere. */
  trainedRound?(round: number): Promise<Files>;
}

export interface RatingRunSinks {
  onProgress?(progress: RatingRunProgress): void;
  /** A line of what was found on the way. */
  log?(line: string): void;
}

export class RatingRun {
  readonly plan: RatingPlan;
  readonly device: Device;
  readonly files: Files;
  readonly sinks: RatingRunSinks & RatingRunSharing;
  /** What each round tests; the last may be the model of all ratings. */
  readonly rounds: readonly Fold[];
  readonly predictions: StoredPredictions;
  readonly progress: RatingProgress;
  /** Of the round that has just ended. */
  result: RoundResult | null = null;
  /** Whether a round had too little time for all of its epochs. */
  cut = false;
  private readonly started = performance.now();
  private readonly secondsBefore: number;

  /** @param saved what the folder holds; null where no round has ended */
  private constructor(
    plan: RatingPlan,
    device: Device,
    files: Files,
    sinks: RatingRunSinks & RatingRunSharing,
    saved: Awaited<ReturnType<typeof loadPredictions>>,
  ) {
    this.plan = plan;
    this.device = device;
    this.files = files;
    this.sinks = sinks;
    const { ratings, split, config } = plan;
    const rounds = ratingRounds(ratings, split, config.seed);
    // The model of all ratings, unless the only round trains the model that is served.
    if (rounds.length > 1)
      rounds.push({ train: Uint32Array.from({ length: ratings.size }, (_, i) => i), test: new Uint32Array(0) });
    this.rounds = rounds;
    this.predictions = saved?.predictions ?? nothingYet(ratings);
    this.progress = saved?.progress ?? { rounds: 0, of: rounds.length, steps: 0, epochs: [], elapsedSeconds: 0 };
    this.secondsBefore = this.progress.elapsedSeconds;
  }

  static async open(
    plan: RatingPlan,
    device: Device,
    files: Files,
    sinks: RatingRunSinks & RatingRunSharing,
  ): Promise<RatingRun> {
    return new RatingRun(plan, device, files, sinks, plan.resume ? await loadPredictions(files) : null);
  }

  get done(): boolean {
    return this.progress.rounds >= this.rounds.length;
  }

  /** Of this run. */
  get seconds(): number {
    return (performance.now() - this.started) / 1000;
  }

  /** Of this run and those before. */
  get allSeconds(): number {
    return this.secondsBefore + this.seconds;
  }

  report(phase: 'recording'): void {
    this.reportRound({ phase, done: null, fraction: 0, epoch: 0, loss: null });
  }

  reportRound(round: RoundProgress): void {
    const { rounds, of } = this.progress;
    this.sinks.onProgress?.({ ...round, round: rounds + 1, of, total: (rounds + round.fraction) / of });
  }

  dispose(): void {
    this.result?.model.dispose();
    this.result = null;
  }
}

function nothingYet(ratings: Ratings): StoredPredictions {
  const empty = () => new Float32Array(ratings.size);
  return {
    round: new Uint32Array(ratings.size),
    rating: ratings.value.slice(),
    mean: empty(),
    median: empty(),
    factors: empty(),
    biases: empty(),
  };
}
