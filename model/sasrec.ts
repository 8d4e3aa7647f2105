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

/** Names, shapes and initial values of the parameters; matrices are [in, out], used as x · W + b. */
export function parameterSpecs(s: Settings, items: number, seed: number): ParameterSpec[] {
  let stream = 0;
  const normal = (...shape: number[]): NumericArray =>
    randomNormal(
      shape.reduce((a, b) => a * b, 1),
      seed,
      stream++,
      INIT_STD,
    );
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
  matrix('items.weight', items, s.d, false);
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

/** The item table is one binding; said before its weights are drawn, and with what to change. */
function requireRoom(device: Device, { d, heads }: Settings, items: number): void {
  const limit = device.caps?.maxBindingBytes ?? Number.POSITIVE_INFINITY;
  if (items * d * 4 <= limit) return;
  const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
  const most = Math.floor(limit / 4 / items / (4 * heads)) * 4 * heads;
  throw new InputError(
    `items.weight [${items},${d}] needs ${mib(items * d * 4)}, this adapter binds at most ${mib(limit)}: ` +
      (most > 0
        ? `at most d=${most} fits so many items (--set d=${most})`
        : 'so many items do not fit; raise --min-interactions'),
  );
}

export class SasRec {
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
   * A model with fresh weights drawn from the seed.
   * @throws InputError when its largest table is more than one binding of this adapter holds
   */
  static create(device: Device, settings: Settings, items: number, seed: number): SasRec {
    requireRoom(device, settings, items);
    return new SasRec(device, settings, items, parameterSpecs(settings, items, seed));
  }

  /** A model with stored weights; every parameter must be there in its shape. */
  static load(device: Device, settings: Settings, items: number, tensors: ReadonlyMap<string, StoredTensor>): SasRec {
    const model = SasRec.create(device, settings, items, 0);
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
      p('items.weight'),
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
    return crossEntropy(h, this.parameters.get('items.weight'), tokens.targets, tokens.weights);
  }

  /** Scores [U, V] of all items for hidden states [U, D]. */
  scores(states: Tensor): Tensor {
    return matmul(states, this.parameters.get('items.weight'), { transB: true });
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
