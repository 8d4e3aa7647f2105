/** What the modules of an encoder share while a batch passes through, and what a block is. */
import type { CrossBounds, Sparse, Table, Tensor } from '../../engine/index.ts';
import type { NegativeTokens } from '../heads/losses/loss.ts';
import type { Norm, ParameterBuilder, Stream } from '../nn/index.ts';
import type { Kind } from '../recipes/setting.ts';
import type { Settings } from '../recipes/settings.ts';

/** A packed batch on the device; all [L]. Token i belongs to the sequence [start[i], end[i]). */
export interface PackedTokens {
  /** Item rows; V, one beyond the catalog, is the mask of a bidirectional model. */
  items: Tensor;
  /** Position in the sequence, from 0. */
  positions: Tensor;
  start: Tensor;
  end: Tensor;
  /** Times of the events, u32, for models that read them; without it, their positions count as times. */
  times?: Tensor;
  /** Times at which each event's next one is asked for, u32, for models that count from them. */
  queryTimes?: Tensor;
  /** Side features (data/features/side-features.ts), [L, A]; with their transpose while training. */
  side?: Sparse;
}

/** What training adds: targets, loss weights, and the positions grouped by embedding row (engine/rows.ts). */
export interface TrainingTokens extends PackedTokens {
  targets: Tensor;
  weights: Tensor;
  itemGroups: Tensor;
  positionGroups: Tensor;
  /** Where masks alone are predicted: their positions, as rows [M] of h and grouped by row, their targets and weights. */
  masked?: { rows: Tensor; groups: Tensor; targets: Tensor; weights: Tensor };
  /** For a loss over sampled negatives. */
  negatives?: NegativeTokens;
  /** Where a decoder continues each sequence: its own packed tokens, and the tokens of the history that each one reads. */
  continuation?: TrainingTokens & { keys: CrossBounds };
}

/** Tables that follow from the settings alone: [T, D] of sinusoidal positions, [T, K] of rotary angles. */
export interface PositionConstants {
  sinusoids?: Tensor;
  angles?: Tensor;
}

/**
 * Keys and values kept for the tokens to come (model/inference/stepper.ts). `attend` adds those of qkv [R, 3D], which
 * block i made, and gives what its queries attend to, [R, D].
 */
export interface KeyValueCache {
  attend(i: number, qkv: Tensor): Tensor;
}

/** Sees what each block's attention reads, qkv [L, 3D] with rotary positions applied. */
export type Watch = (block: number, qkv: Tensor) => void;

export interface Context {
  settings: Settings;
  tokens: PackedTokens;
  constants: PositionConstants;
  /** null outside of training. */
  training: TrainingTokens | null;
  /** The settings' dropout while training, 0 otherwise. */
  dropout: number;
  causal: boolean;
  /** The item table E [V, D] that histories are read with. */
  items: Table;
  watch?: Watch;
  /** Of a history that is continued item by item. */
  cache?: KeyValueCache;
}

export interface Block {
  /** The norm that the block reads its input through. */
  readonly norm1: Norm;
  /** Takes the stream with n of `norm1`, and gives it with n of `next`. */
  forward(c: Context, stream: Stream, next: Norm): Stream;
}

/** A kind of block: `block=NAME` of the settings. */
export interface BlockKind extends Kind<Settings> {
  /**
   * How it reads a history: by attention with a softmax; without, so that weights are not shares; or by other means, so
   * that there are no weights to show. Only the first keeps keys and values, which generation continues from.
   */
  attention: 'softmax' | 'pointwise' | 'none';
  /** Settings that it does not read. */
  ignores?: readonly (keyof Settings)[];
  /** @param p its parameters @param i its number, from 0 */
  create(p: ParameterBuilder, s: Settings, i: number): Block;
}
