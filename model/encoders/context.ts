/** What the parts of an encoder share while a batch passes through: settings, weights, tokens, dropout. */
import {
  type Activation,
  addLayernorm,
  type CrossBounds,
  layernorm,
  matmul,
  type ParameterArena,
  type Sparse,
  type Table,
  type Tensor,
} from '../../engine/index.ts';
import type { NegativeTokens } from '../heads/losses.ts';
import { ITEMS } from './parameters.ts';
import type { Settings } from '../recipes/recipes.ts';

/** A packed batch on the device; all [L]. Token i belongs to the sequence [start[i], end[i]). */
export interface PackedTokens {
  /** Item rows; V, one beyond the catalogue, is the mask of a bidirectional model. */
  items: Tensor;
  /** Place in the sequence, from 0. */
  positions: Tensor;
  start: Tensor;
  end: Tensor;
  /** Times of the events, u32, for models that read them; their order (positions) counts where this is missing. */
  times?: Tensor;
  /** What stands beside the items (data/features/side-features.ts), [L, A]; with its transpose while training. */
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
export interface Constants {
  sinusoids?: Tensor;
  angles?: Tensor;
}

/**
 * Keys and values that are kept for the tokens to come (model/inference/stepper.ts). `attend` adds those of qkv [R, 3D], which block i
 * made, and gives what its queries attend to, [R, D].
 */
export interface KeyValueCache {
  attend(i: number, qkv: Tensor): Tensor;
}

/** The residual stream x [L, D], and its norm n where the next part reads that. */
export interface Stream {
  x: Tensor;
  n: Tensor;
}

export type Watch = (block: number, qkv: Tensor) => void;

/** Block i: takes the stream, with n of the block's own first norm, and gives it with n of the norm called `next`. */
export type Block = (c: Context, i: number, stream: Stream, next: string) => Stream;

export class Context {
  readonly settings: Settings;
  readonly tokens: PackedTokens;
  readonly constants: Constants;
  /** null outside of training. */
  readonly training: TrainingTokens | null;
  /** The settings' dropout while training, 0 otherwise. */
  readonly dropout: number;
  /** Sees what each block's attention reads, qkv [L, 3D] with rotary positions applied. */
  readonly watch: Watch | undefined;
  /** The item table E [V, D] that histories are read with. */
  readonly items: Table;
  /** Of a history that is continued item by item; null otherwise. */
  readonly cache: KeyValueCache | null;
  private readonly parameters: ParameterArena;

  constructor(
    settings: Settings,
    parameters: ParameterArena,
    constants: Constants,
    tokens: PackedTokens,
    training: TrainingTokens | null,
    items: Table = parameters.table(ITEMS),
    watch?: Watch,
    cache: KeyValueCache | null = null,
  ) {
    this.items = items;
    this.settings = settings;
    this.parameters = parameters;
    this.constants = constants;
    this.tokens = tokens;
    this.training = training;
    this.cache = cache;
    this.dropout = training ? settings.dropout : 0;
    this.watch = watch;
  }

  get causal(): boolean {
    return this.settings.direction === 'causal';
  }

  p(name: string): Tensor {
    return this.parameters.get(name);
  }

  linear(x: Tensor, name: string, activation: Activation = 'none'): Tensor {
    return matmul(x, this.p(`${name}.weight`), { bias: this.p(`${name}.bias`), activation });
  }

  norm(x: Tensor, name: string): Tensor {
    return layernorm(x, this.p(`${name}.weight`), this.p(`${name}.bias`));
  }

  /** x + dropout(r), and its norm, in one kernel. */
  add(x: Tensor, r: Tensor, name: string, dropout = this.dropout): Stream {
    const { sum, norm } = addLayernorm(x, r, this.p(`${name}.weight`), this.p(`${name}.bias`), { dropout });
    return { x: sum, n: norm };
  }
}
