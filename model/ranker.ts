/**
 * The second stage: how likely a user interacts with each of a few candidates, from cross-attention between the
 * candidates and the whole output of the encoder, not its last state alone.
 *
 *   s_j = LN(h_j · W_s + E'[item_j] + P[j])              states of the history; h from the encoder, which stays as it is
 *   x_c = E'[c] + P[t]                                   candidates of the position t, which the next event follows
 *   x_c = x_c + CrossAttention(LN x_c, s_0 … s_t)        candidates → states, for each block
 *   x_c = x_c + FF(LN x_c)
 *   f_c = x_c · (h_t W_o + b_o) + LN(x_c) · w + b_c      what the encoder's own score lacks
 *   P(interaction) = sigmoid(h_t · E[c] + f_c)
 *
 * E' [V, D] begins as the encoder's item table E and is the ranker's own from then on; W_o and w begin as 0, so that training
 * begins at the encoder's scores and learns what to correct (Friedman 2001, gradient boosting, with one stage). After the target attention of DIN
 * (Zhou et al., KDD 2018) and of BST (Chen et al. 2019), with many heads and blocks as in Vaswani et al. (2017).
 */
import type { Files } from './files.ts';
import { InputError } from '../data/errors.ts';
import {
  add,
  addLayernorm,
  crossAttention,
  type CrossBounds,
  type Device,
  dropout,
  embedding,
  gather,
  layernorm,
  matmul,
  normal,
  ParameterArena,
  type ParameterSpec,
  rowDot,
  type Shape,
  sizeOf,
  type Table,
  type Tensor,
} from '../engine/index.ts';
import { headsOf, type RankerSettings } from './ranker-settings.ts';
import { decode, encodePieces } from './safetensors.ts';
import type { Settings } from './recipes.ts';

export const RANKER_FILE = 'ranker.safetensors';
const INIT_STD = 0.02;

/** A packed batch of histories and the candidates of some of their positions, sequence by sequence, positions rising. */
export interface RankerTokens extends CrossBounds {
  /** [L] as the encoder takes them */
  items: Tensor;
  positions: Tensor;
  /** [Q] item rows of the candidates */
  candidates: Tensor;
  /** [Q] the position that each is a candidate for: its token's row, and its place in the sequence */
  rows: Tensor;
  places: Tensor;
}

/** Positions grouped by row of the tables that they read (engine/rows.ts), for their gradients. */
export interface RankerGroups {
  items: Tensor;
  positions: Tensor;
  candidates: Tensor;
  places: Tensor;
}

/** What the ranker is to be built from. */
export interface RankerShape extends RankerSettings {
  d: number;
  ff: number;
  window: number;
}

export const shapeOf = ({ d, ff, window, ...s }: Settings): RankerShape => {
  const own = Object.fromEntries(Object.entries(s).filter(([key]) => key.startsWith('ranker')));
  return { ...(own as unknown as RankerSettings), d, ff, window };
};

/** How the ranker joins the first stage, and what it was fitted on. */
export interface Stages {
  /** w: score = first stage + w · f of the ranker, among the first stage's best k′. */
  weight: number;
  /** Steps of the weights. */
  step: number;
  /**
   * Users of the validation, and their figures: the first stage, the ranker alone among its candidates, and both at the best
   * weight; and the standard error of what both gain in NDCG@10. The weight is 0 where they gain less.
   */
  fitted: { users: number; error: number } & Record<'retrieval' | 'ranker' | 'both', Record<string, number>>;
}

export class Ranker {
  readonly device: Device;
  readonly shape: RankerShape;
  readonly items: number;
  readonly parameters: ParameterArena;

  /** @param table the encoder's items E [V, D], to begin with; null where weights are loaded */
  constructor(device: Device, shape: RankerShape, items: number, table: Float32Array | null, seed: number) {
    this.device = device;
    this.shape = shape;
    this.items = items;
    this.parameters = new ParameterArena(device, specs(shape, items, table, seed));
  }

  /**
   * Logits [Q] of the candidates, for hidden states h [L, D], and f, what the ranker adds to the encoder's scores; dropout
   * and gradients of the tables with `groups` only.
   * @param encoded the encoder's items E [V, D], which stay as they are
   */
  logits(h: Tensor, t: RankerTokens, encoded: Table, groups?: RankerGroups): { logits: Tensor; added: Tensor } {
    const { rankerBlocks } = this.shape;
    const heads = headsOf(this.shape);
    const rate = groups ? this.shape.rankerDropout : 0;
    const p = (name: string): Tensor => this.parameters.get(name);
    const linear = (x: Tensor, name: string, activation: 'none' | 'gelu' = 'none'): Tensor =>
      matmul(x, p(`${name}.weight`), { bias: p(`${name}.bias`), activation });
    const table = this.parameters.table('items.weight');

    const events = add(
      embedding(table, t.items, groups?.items),
      embedding(p('positions.weight'), t.positions, groups?.positions),
    );
    const states = dropout(
      layernorm(add(linear(h, 'states'), events), p('states.norm.weight'), p('states.norm.bias')),
      rate,
    );
    const asked = embedding(table, t.candidates, groups?.candidates);
    let x = add(asked, embedding(p('places.weight'), t.places, groups?.places));
    let n = layernorm(x, p('blocks.0.norm1.weight'), p('blocks.0.norm1.bias'));
    for (let i = 0; i < rankerBlocks; i++) {
      const b = `blocks.${i}`;
      const next = i + 1 < rankerBlocks ? `blocks.${i + 1}.norm1` : 'norm';
      const kv = linear(states, `${b}.keyvalue`);
      const mixed = crossAttention(linear(n, `${b}.query`), kv, t, { heads, dropout: rate });
      const options = { dropout: rate };
      const between = addLayernorm(x, linear(mixed, `${b}.out`), p(`${b}.norm2.weight`), p(`${b}.norm2.bias`), options);
      const forward = linear(linear(between.norm, `${b}.ffn.up`, 'gelu'), `${b}.ffn.down`);
      const after = addLayernorm(between.sum, forward, p(`${next}.weight`), p(`${next}.bias`), options);
      x = after.sum;
      n = after.norm;
    }
    // What is looked for, by the state at the position.
    const last = gather(h, t.rows);
    const sought = linear(last, 'sought');
    const bias = embedding(this.parameters.table('biases.weight'), t.candidates, groups?.candidates);
    const own = matmul(n, p('output.weight'), { residual: bias });
    const added = add(rowDot(x, sought), own.reshape([t.candidates.size]));
    const begun = this.device.noGrad(() => rowDot(last, embedding(encoded, t.candidates)));
    return { logits: add(begun, added), added };
  }

  dispose(): void {
    this.parameters.dispose();
  }
}

function specs(s: RankerShape, items: number, table: Float32Array | null, seed: number): ParameterSpec[] {
  const { d, ff, window, rankerBlocks } = s;
  const all: ParameterSpec[] = [];
  let stream = 0x1000; // apart from the encoder's
  const matrix = (name: string, shape: Shape, more: Partial<ParameterSpec> = {}): void => {
    all.push({ name, shape, decay: true, init: normal(sizeOf(shape), seed, stream++, INIT_STD), ...more });
  };
  const vector = (name: string, n: number, value: number): void => {
    all.push({ name, shape: [n], decay: false, init: new Float32Array(n).fill(value) });
  };
  const linear = (name: string, rows: number, cols: number): void => {
    matrix(`${name}.weight`, [rows, cols]);
    vector(`${name}.bias`, cols, 0);
  };
  const norm = (name: string): void => {
    vector(`${name}.weight`, d, 1);
    vector(`${name}.bias`, d, 0);
  };
  const rows = { decay: false, embedding: true };
  matrix('items.weight', [items, d], { ...rows, table: true, ...(table ? { init: table } : {}) });
  matrix('biases.weight', [items, 1], { ...rows, table: true, init: new Float32Array(items) });
  matrix('positions.weight', [window, d], rows);
  matrix('places.weight', [window, d], rows);
  linear('states', d, d);
  norm('states.norm');
  for (let i = 0; i < rankerBlocks; i++) {
    const b = `blocks.${i}`;
    norm(`${b}.norm1`);
    linear(`${b}.query`, d, d);
    linear(`${b}.keyvalue`, d, 2 * d);
    linear(`${b}.out`, d, d);
    norm(`${b}.norm2`);
    linear(`${b}.ffn.up`, d, ff);
    linear(`${b}.ffn.down`, ff, d);
  }
  norm('norm');
  matrix('sought.weight', [d, d], { init: new Float32Array(d * d) });
  vector('sought.bias', d, 0);
  matrix('output.weight', [d, 1], { init: new Float32Array(d) });
  return all;
}

/** Replaces the ranker's file. */
export async function saveRanker(files: Files, { shape, parameters }: Ranker, stages: Stages): Promise<void> {
  const values = await parameters.read('params');
  const tensors = new Map([...values].map(([name, data]) => [name, { shape: [...parameters.shapeOf(name)], data }]));
  const metadata = new Map([
    ['format', 'attune'],
    ['shape', JSON.stringify(shape)],
    ['stages', JSON.stringify(stages)],
  ]);
  await files.write(RANKER_FILE, encodePieces(tensors, metadata));
}

/** A ranker's weights, not on a device yet. */
export interface StoredRanker {
  shape: RankerShape;
  stages: Stages;
  tensors: Map<string, Float32Array>;
}

/**
 * @returns null when the folder has none
 * @throws InputError, one line, when the file is cut short, damaged, or that of another model
 */
export async function loadRanker(files: Files, items: number, d: number): Promise<StoredRanker | null> {
  const bytes = await files.read(RANKER_FILE);
  if (!bytes) return null;
  const file = `${files.where}/${RANKER_FILE}`;
  const { tensors, metadata } = decode(bytes, file);
  const read = <T>(key: string): T | null => {
    try {
      return JSON.parse(metadata.get(key) ?? '') as T;
    } catch {
      return null;
    }
  };
  const shape = read<RankerShape>('shape');
  const stages = read<Stages>('stages');
  const table = tensors.get('items.weight');
  if (!shape || !(Number(stages?.weight) >= 0) || !stages || !table)
    throw new InputError(`${file}: not the ranker of an Attune model`);
  if (table.shape[0] !== items || table.shape[1] !== d) {
    throw new InputError(
      `${file}: made for ${table.shape.join(' × ')} items and columns, the model has ${items} × ${d}; it comes from another model`,
    );
  }
  return {
    shape,
    stages,
    tensors: new Map([...tensors].map(([name, t]) => [name, Float32Array.from(t.data)])),
  };
}

/** A stored ranker on a device. @throws InputError where a weight is missing or does not fit */
export function rankerOf(device: Device, { shape, tensors }: StoredRanker, where = RANKER_FILE): Ranker {
  const items = (tensors.get('biases.weight') as Float32Array).length;
  const ranker = new Ranker(device, shape, items, null, 0);
  try {
    ranker.parameters.load('params', tensors);
  } catch (error) {
    ranker.dispose();
    throw new InputError(`${where}: damaged (${(error as Error).message})`);
  }
  return ranker;
}
