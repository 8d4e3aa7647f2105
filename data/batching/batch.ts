/** A batch of packed training windows, and what batches are made from. */
import type { SideFeatureRows } from '../features/side-rows.ts';
import type { Augmentation } from './augment.ts';

/** Sequences laid end to end, each token with the one that follows it. */
interface TargetTokens {
  /** tokens in use */
  tokens: number;
  /** input item row */
  items: Uint32Array;
  /** position in the sequence, from 0 */
  positions: Uint32Array;
  /** item row that follows */
  targets: Uint32Array;
  /** 1 / tokens for tokens in use: the loss is their mean */
  weights: Float32Array;
  /** token i belongs to the sequence [start[i], end[i]) */
  start: Uint32Array;
  end: Uint32Array;
}

/**
 * Training windows laid end to end, up to a number of tokens. Every array has length `maxTokens`; the end that the last
 * window leaves free is zero: no target, no weight, and start = end = 0, so that it attends to nothing.
 */
export interface Batch extends TargetTokens {
  /** [maxTokens] time of the event; only where the log has times */
  times?: Uint32Array;
  /**
   * [maxTokens] the time at which the token's target is asked for: the target's own, or the token's where that is hidden; only
   * where the log has times and the model reads that of the request
   */
  requestTimes?: Uint32Array;
  /** Side features of the tokens in use; only where the model reads them. */
  side?: SideFeatureRows;
  /** What follows each window: if given, it alone is predicted, and the windows' own targets and weights are 0. */
  continuation?: ContinuationBatch;
}

/** The batches of one epoch, planned: which windows each holds. They are filled as they are asked for. */
export interface Epoch {
  /** Batches; the number varies a little between epochs. */
  readonly count: number;
  /** The batches from this number on, 0 by default. */
  batches(skip?: number): Generator<Batch, void, undefined>;
}

/** The cloze task (BERT4Rec, Sun et al. 2019, section 3.6): masked events are what is predicted. */
export interface Cloze {
  /** share of a window's events that are masked, at least one */
  share: number;
  /** share of the windows in which only the last event is masked, as in recommending */
  last: number;
}

export interface BatchOptions {
  /** tokens that a batch holds */
  maxTokens: number;
  /** longest window T, at most maxTokens */
  window: number;
  seed: number;
  /** counts from 0; each epoch has its own windows and order */
  epoch: number;
  /** Without it each event predicts the next. */
  cloze?: Cloze;
  augment?: Augmentation;
  /** Probability that a window is read without its user's features, and likewise without its event context. */
  sideDropout?: number;
  /** The target's time is read. The probability that it is hidden from a token, as it is where nobody knows it. */
  requestDropout?: number;
  /**
   * Of windows without an event that is marked as fresh, this many tokens for each token of those with one, drawn anew in
   * each epoch; all windows without it.
   */
  replay?: number | undefined;
  /** Windows are histories, and the up to so many items that follow each are predicted (see continuations.ts). */
  continuation?: number;
}

/**
 * What a decoder reads and predicts, laid end to end like a batch, in the order of its windows: first the last item of the
 * history, then those of the continuation but its last. All [continuationTokens].
 */
export interface ContinuationBatch extends TargetTokens {
  /** The history that it continues, as tokens of the batch. */
  keyStart: Uint32Array;
  keyEnd: Uint32Array;
  /** [maxTokens] The continuation of each token of the histories. */
  queryStart: Uint32Array;
  queryEnd: Uint32Array;
}
