/**
 * SASRec (Kang & McAuley, ICDM 2018) as today's literature trains it: pre-layernorm, learned positions, GELU, item
 * embeddings tied to the output layer.
 *
 *   x = dropout(E[item] + P[position])
 *   x = x + dropout(Attention(LN(x)));  x = x + dropout(FF(LN(x)))      for each block
 *   h = LN(x);  score of item v = h · E[v]
 */
import { InputError } from '../data/errors.ts';
import {
  addLayernorm,
  attention,
  crossEntropy,
  type Device,
  embeddingSum,
  layernorm,
  matmul,
  normal as randomNormal,
  type NumericArray,
  ParameterArena,
  type ParameterSpec,
  type Table,
  tableScores,
  type Tensor,
} from '../engine/index.ts';
import type { Settings } from './recipes.ts';
import type { StoredTensor } from './safetensors.ts';

/** A packed batch on the device; all [L]. Token i belongs to the sequence [start[i], end[i]). */
export interface PackedTokens {
  items: Tensor;
  positions: Tensor;
  start: Tensor;
  end: Tensor;
}

/** What training adds: targets, loss weights, and the positions grouped by embedding row (engine/rows.ts). */
export interface TrainingTokens extends PackedTokens {
  targets: Tensor;
  weights: Tensor;
  itemGroups: Tensor;
  positionGroups: Tensor;
}

/** Standard deviation of initial embeddings and weights (as in BERT and GPT-2). */
const INIT_STD = 0.02;
/** The item table, the one parameter that grows with the catalogue. */
const ITEMS = 'items.weight';

/**
 * Names, shapes and initial values of the parameters; matrices are [in, out], used as x · W + b.
 * @param seed draws the matrices; null leaves them 0, for weights that are loaded
 */
export function parameterSpecs(s: Settings, items: number, seed: number | null): ParameterSpec[] {
  let stream = 0;
  const normal = (rows: number, cols: number): NumericArray =>
    seed === null ? new Float32Array(rows * cols) : randomNormal(rows * cols, seed, stream++, INIT_STD);
  const filled = (n: number, value: number): Float32Array => new Float32Array(n).fill(value);
  const specs: ParameterSpec[] = [];
  const matrix = (name: string, rows: number, cols: number, decay: boolean) =>
    specs.push({ name, shape: [rows, cols], decay, init: normal(rows, cols) });
  const vector = (name: string, n: number, value: number) =>
    specs.push({ name, shape: [n], decay: false, init: filled(n, value) });
  const norm = (name: string) => {
    vector(`${name}.weight`, s.d, 1);
    vector(`${name}.bias`, s.d, 0);
  };
  const linear = (name: string, rows: number, cols: number) => {
    matrix(`${name}.weight`, rows, cols, true);
    vector(`${name}.bias`, cols, 0);
  };
  specs.push({ name: ITEMS, shape: [items, s.d], decay: false, init: normal(items, s.d), table: true });
  matrix('positions.weight', s.window, s.d, false);
  for (let i = 0; i < s.blocks; i++) {
    norm(`blocks.${i}.norm1`);
    linear(`blocks.${i}.attention.qkv`, s.d, 3 * s.d);
    linear(`blocks.${i}.attention.out`, s.d, s.d);
    norm(`blocks.${i}.norm2`);
    linear(`blocks.${i}.ffn.up`, s.d, s.ff);
    linear(`blocks.${i}.ffn.down`, s.ff, s.d);
  }
  norm('norm');
  return specs;
}

/**
 * Every parameter but the item table is one binding, and so are 64 rows of that; said before weights are drawn, with what
 * to change.
 */
function requireRoom(device: Device, { d, ff, window }: Settings, items: number): void {
  const limit = device.maxBindingBytes;
  const largest: [string, number, number, string][] = [
    ['64 rows of items.weight', Math.min(items, 64), d, 'd'],
    ['positions.weight', window, d, 'window or d'],
    ['blocks.0.attention.qkv.weight', d, 3 * d, 'd'],
    ['blocks.0.ffn.up.weight', d, ff, 'd or ff'],
  ];
  const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
  for (const [name, rows, cols, change] of largest) {
    const bytes = rows * cols * 4;
    if (bytes <= limit) continue;
    throw new InputError(
      `${name} [${rows},${cols}] needs ${mib(bytes)}, this adapter binds at most ${mib(limit)}; choose a smaller ${change}`,
    );
  }
}

export class SequenceModel {
  readonly device: Device;
  readonly settings: Settings;
  /** Catalogue size V. */
  readonly items: number;
  readonly parameters: ParameterArena;

  private constructor(device: Device, settings: Settings, items: number, specs: ParameterSpec[]) {
    this.device = device;
    this.settings = settings;
    this.items = items;
    this.parameters = new ParameterArena(device, specs);
  }

  /**
   * A model with fresh weights drawn from the seed (null: all matrices 0).
   * @throws InputError when a matrix is more than one binding of this adapter holds (the item table lies in shards), or
   *   the whole more than memory
   */
  static create(device: Device, settings: Settings, items: number, seed: number | null): SequenceModel {
    requireRoom(device, settings, items);
    try {
      return new SequenceModel(device, settings, items, parameterSpecs(settings, items, seed));
    } catch (error) {
      if (!(error instanceof RangeError)) throw error; // what an array too large for this machine throws
      const gib = ((items * settings.d * 4) / 2 ** 30).toFixed(1);
      throw new InputError(
        `items.weight [${items},${settings.d}] needs ${gib} GiB four times over, more than this machine gives (${error.message}); choose a smaller d, or raise --min-interactions`,
      );
    }
  }

  /** A model with stored weights; every parameter must be there in its shape. */
  static load(
    device: Device,
    settings: Settings,
    items: number,
    tensors: ReadonlyMap<string, StoredTensor>,
  ): SequenceModel {
    const model = SequenceModel.create(device, settings, items, null);
    model.parameters.load('params', toArrays(tensors));
    return model;
  }

  /** Hidden states h [L, D] of a packed batch. Dropout and gradients only where `training` is given. */
  encode(tokens: PackedTokens, training?: TrainingTokens): Tensor {
    const { blocks, heads, activation } = this.settings;
    const dropout = training ? this.settings.dropout : 0;
    const p = (name: string): Tensor => this.parameters.get(name);
    const norm = (name: string) => [p(`${name}.weight`), p(`${name}.bias`)] as const;
    const linear = (x: Tensor, name: string, act: Settings['activation'] | 'none' = 'none'): Tensor =>
      matmul(x, p(`${name}.weight`), { bias: p(`${name}.bias`), activation: act });
    const after = (i: number): string => (i < blocks ? `blocks.${i}.norm1` : 'norm');

    let x = embeddingSum(
      this.table,
      tokens.items,
      training?.itemGroups,
      p('positions.weight'),
      tokens.positions,
      training?.positionGroups,
      dropout,
    );
    let n = layernorm(x, ...norm(after(0)));
    for (let i = 0; i < blocks; i++) {
      const qkv = linear(n, `blocks.${i}.attention.qkv`);
      const a = attention(qkv, tokens, { heads, causal: true, dropout });
      ({ sum: x, norm: n } = addLayernorm(x, linear(a, `blocks.${i}.attention.out`), ...norm(`blocks.${i}.norm2`), {
        dropout,
      }));
      const f = linear(linear(n, `blocks.${i}.ffn.up`, activation), `blocks.${i}.ffn.down`);
      ({ sum: x, norm: n } = addLayernorm(x, f, ...norm(after(i + 1)), { dropout }));
    }
    return n;
  }

  /** The training loss, a scalar: Σ weights · cross-entropy of the next item over the whole catalogue. */
  loss(tokens: TrainingTokens): Tensor {
    const h = this.encode(tokens, tokens);
    return crossEntropy(h, this.table, tokens.targets, tokens.weights);
  }

  /** Scores [U, to − from] of the items from `from` (a multiple of 64) to `to`, all by default, for states [U, D]. */
  scores(states: Tensor, from = 0, to = this.items): Tensor {
    return tableScores(states, this.table, from, to);
  }

  /** The item table E [V, D], in shards where it is larger than one binding. */
  private get table(): Table {
    return this.parameters.table(ITEMS);
  }

  dispose(): void {
    this.parameters.dispose();
  }
}

/** Stored tensors as the arena takes them. */
export function toArrays(tensors: ReadonlyMap<string, StoredTensor>): Map<string, Float32Array> {
  return new Map(
    [...tensors].map(([name, t]) => [name, t.data instanceof Float32Array ? t.data : Float32Array.from(t.data)]),
  );
}
