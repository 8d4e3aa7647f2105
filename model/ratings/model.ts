/**
 * The rating transformer: a distribution over the rating's levels for items of one user, from what the user rated.
 *
 *   known ratings   x = I[item] + R[level] + features · F + S · A      then self-attention blocks
 *   targets         y = C[item] + features · G + S' · A'               then cross-attention blocks: y attends to x
 *   logits          LN(y) · W + b + B[item] − (level − baseline)² / 2s²
 *
 * Without what is learned, the last term is a normal distribution around the baseline (model/ratings/factors.ts), cut to the levels:
 * the transformer says how the baseline errs. Attention turns queries and keys by their places in the user's time order
 * (RoFormer, Su et al. 2021), so that ratings of the same sitting find each other. Targets see known ratings only.
 *
 * S, S' are what stands beside the ratings (data/ratings/side-features.ts), for models that read it: attributes of the item, columns of
 * the user, how the event was. Where items are among it, I, C and B have one more row, for items that nobody has rated; in
 * training any item counts as such at random, so that its attributes learn to speak (DropoutNet, Volkovs et al. 2017).
 */
import type { RatingEncoder } from '../../data/ratings/side-features.ts';
import {
  add,
  attention,
  crossAttention,
  type Device,
  dropout,
  embedding,
  embeddingSum,
  layernorm,
  log,
  matmul,
  mul,
  normal,
  ParameterArena,
  type ParameterSpec,
  rotary,
  rotaryAngles,
  type RotaryParts,
  type Shape,
  sizeOf,
  softmax,
  type Sparse,
  sparseMatmul,
  sum,
  type Tensor,
} from '../../engine/index.ts';
import { requireMemory } from '../storage/memory-needed.ts';
import type { RatingSettings } from './settings.ts';

/** Columns of the features of a known rating and of a target; see rating-batch.ts. */
export const FEATURES = 8;

const INIT_STD = 0.05;
/** Keeps the logarithm finite where a level's probability underflows. */
const TINY = 1e-8;

/** A packed batch on the device: M known ratings, L targets. */
export interface RatingTokens {
  /** [M] each: item rows, levels, places; the self-attention's bounds and the queries of each key. */
  items: Tensor;
  levels: Tensor;
  places: Tensor;
  start: Tensor;
  end: Tensor;
  from: Tensor;
  to: Tensor;
  /** [M, FEATURES] */
  features: Tensor;
  /** [L] each: item rows, places, and the keys of each query. */
  targetItems: Tensor;
  targetPlaces: Tensor;
  targetStart: Tensor;
  targetEnd: Tensor;
  /** [L, FEATURES] */
  targetFeatures: Tensor;
  /** [L, K]: the normal distribution around the baseline, as logits. */
  prior: Tensor;
  /** S [M, A] and S' [L, A], for models that read more than items; with their transposes while training. */
  side?: { known: Sparse; targets: Sparse };
}

/** What training adds. */
export interface RatingTargets {
  /** Item rows and levels of the known, items of the targets, grouped by row (engine/rows.ts). */
  itemGroups: Tensor;
  levelGroups: Tensor;
  targetGroups: Tensor;
  /** [L, K]: −weight at the level that was given, 0 elsewhere. */
  picked: Tensor;
}

/** What a rating model is made for. */
export interface RatingShape {
  /** Items that it has learned, V. */
  items: number;
  /** K. */
  levels: number;
  /** Rows of what stands beside the ratings; 0: the model reads items alone. */
  side: number;
  /** Whether items' attributes are among it, so that items may be unknown: they are row V. */
  described: boolean;
}

/** @param encoder of what stands beside the ratings; null where nothing is read */
export function shapeOf(encoder: RatingEncoder | null, items: number, levels: number): RatingShape {
  return { items, levels, side: encoder?.rows ?? 0, described: Boolean(encoder?.schema.items) };
}

export class RatingModel {
  readonly device: Device;
  readonly settings: RatingSettings;
  readonly shape: RatingShape;
  readonly parameters: ParameterArena;
  private readonly angles: Tensor;

  /** @param seed draws the weights; null leaves them 0, for weights that are loaded and not trained further */
  constructor(device: Device, settings: RatingSettings, shape: RatingShape, seed: number | null) {
    this.device = device;
    this.settings = settings;
    this.shape = shape;
    const parameters = describeRatingModel(settings, shape);
    const activations = seed === null ? 0 : settings.budget * (settings.blocks + settings.cross) * 12 * settings.d;
    requireMemory(
      { parameters, activations },
      seed === null ? 'loaded' : 'trained',
      'choose a smaller d, ff or budget',
    );
    this.parameters = new ParameterArena(device, specs(settings, shape, seed), { frozen: seed === null });
    const [rows, width] = [settings.window + 1, settings.d / settings.heads];
    this.angles = device.tensor(rotaryAngles(rows, width), [rows, width], { label: 'angles' }).keep();
  }

  /** Logits [L, K] of the targets. Dropout and gradients only where `training` is given. */
  logits(t: RatingTokens, training?: RatingTargets): Tensor {
    const { blocks, cross } = this.settings;
    const rate = training ? this.settings.dropout : 0;
    let x = embeddingSum(
      this.parameters.table('items.weight'),
      t.items,
      training?.itemGroups,
      this.p('levels.weight'),
      t.levels,
      training?.levelGroups,
    );
    x = dropout(this.linear(t.features, 'known', { residual: this.beside(x, t.side?.known, 'side') }), rate);
    for (let i = 0; i < blocks; i++) {
      const qkv = this.turned(this.linear(this.norm(x, `blocks.${i}.norm1`), `blocks.${i}.qkv`), t.places, 'qkv');
      const { heads } = this.settings;
      x = this.rest(x, attention(qkv, { start: t.start, end: t.end }, { heads, causal: false }), `blocks.${i}`, rate);
    }
    let y = embedding(this.parameters.table('targets.weight'), t.targetItems, training?.targetGroups);
    y = this.beside(y, t.side?.targets, 'targetSide');
    y = dropout(this.linear(t.targetFeatures, 'target', { residual: y }), rate);
    for (let i = 0; i < cross; i++) y = this.rest(y, this.lookUp(y, x, t, `cross.${i}`), `cross.${i}`, rate);
    const bias = embedding(this.parameters.table('bias.weight'), t.targetItems, training?.targetGroups);
    return this.linear(this.norm(y, 'norm'), 'head', { residual: add(bias, t.prior) });
  }

  /** Σ weight · −log P(the level that was given), a scalar. */
  loss(t: RatingTokens & RatingTargets): Tensor {
    const given = add(softmax(this.logits(t, t)), this.device.full([], TINY, 'tiny'));
    return sum(mul(log(given), t.picked));
  }

  private beside(x: Tensor, rows: Sparse | undefined, name: string): Tensor {
    if (this.shape.side === 0) return x;
    if (!rows) throw new Error('rating model: what stands beside the ratings was expected');
    return add(x, sparseMatmul(rows, this.p(`${name}.weight`)));
  }

  /** The targets y [L, D] look at the known ratings x [M, D]. */
  private lookUp(y: Tensor, x: Tensor, t: RatingTokens, block: string): Tensor {
    const q = this.turned(this.linear(this.norm(y, `${block}.norm1`), `${block}.query`), t.targetPlaces, 'q');
    const kv = this.turned(this.linear(this.norm(x, `${block}.keys`), `${block}.keyvalue`), t.places, 'kv');
    const bounds = { start: t.targetStart, end: t.targetEnd, from: t.from, to: t.to };
    return crossAttention(q, kv, bounds, { heads: this.settings.heads });
  }

  /** x = x + dropout(attended · W); x = x + dropout(FF(LN x)). */
  private rest(x: Tensor, attended: Tensor, block: string, rate: number): Tensor {
    const z = this.linear(attended, `${block}.out`, { dropout: rate, residual: x });
    const up = this.linear(this.norm(z, `${block}.norm2`), `${block}.up`, { activation: 'gelu' });
    return this.linear(up, `${block}.down`, { dropout: rate, residual: z });
  }

  private turned(x: Tensor, places: Tensor, parts: RotaryParts): Tensor {
    return rotary(x, places, this.angles, this.settings.heads, parts);
  }

  private p(name: string): Tensor {
    return this.parameters.get(name);
  }

  private norm(x: Tensor, name: string): Tensor {
    return layernorm(x, this.p(`${name}.weight`), this.p(`${name}.bias`));
  }

  private linear(x: Tensor, name: string, options: Parameters<typeof matmul>[2] = {}): Tensor {
    return matmul(x, this.p(`${name}.weight`), { bias: this.p(`${name}.bias`), ...options });
  }

  dispose(): void {
    this.parameters.dispose();
    this.angles.dispose();
  }
}

function specs(s: RatingSettings, shape: RatingShape, seed: number | null): ParameterSpec[] {
  return describeRatingModel(s, shape, seed).map(({ init, ...spec }) => ({ ...spec, init: init() }));
}

/** A parameter whose initial values have not been drawn yet. */
type Planned = Omit<ParameterSpec, 'init'> & { init: () => Float32Array };

/** What a rating model learns: names and shapes, without values. */
export function describeRatingModel(s: RatingSettings, shape: RatingShape, seed: number | null = null): Planned[] {
  const { d, ff } = s;
  const { levels, side } = shape;
  const items = shape.items + Number(shape.described);
  const all: Planned[] = [];
  let stream = 0;
  const matrix = (name: string, shape: Shape, std: number, more: Partial<Planned> = {}) => {
    const n = sizeOf(shape);
    const drawn = seed !== null && std !== 0;
    const own = drawn ? stream++ : 0;
    const init = () => (drawn ? normal(n, seed, own, std) : new Float32Array(n));
    all.push({ name, shape, decay: !more.embedding, init, ...more });
  };
  const vector = (name: string, n: number, value: number) =>
    all.push({ name, shape: [n], decay: false, init: () => new Float32Array(n).fill(value) });
  const table = { embedding: true, table: true };
  const linear = (name: string, rows: number, cols: number, std = 1 / Math.sqrt(3 * rows)) => {
    matrix(`${name}.weight`, [rows, cols], std);
    vector(`${name}.bias`, cols, 0);
  };
  const norm = (name: string) => {
    vector(`${name}.weight`, d, 1);
    vector(`${name}.bias`, d, 0);
  };
  const rest = (block: string) => {
    linear(`${block}.out`, d, d);
    norm(`${block}.norm2`);
    linear(`${block}.up`, d, ff);
    linear(`${block}.down`, ff, d);
  };

  matrix('items.weight', [items, d], INIT_STD, table);
  matrix('targets.weight', [items, d], INIT_STD, table);
  matrix('bias.weight', [items, levels], 0, table);
  matrix('levels.weight', [levels, d], INIT_STD, { embedding: true });
  linear('known', FEATURES, d);
  linear('target', FEATURES, d);
  for (let i = 0; i < s.blocks; i++) {
    norm(`blocks.${i}.norm1`);
    linear(`blocks.${i}.qkv`, d, 3 * d);
    rest(`blocks.${i}`);
  }
  for (let i = 0; i < s.cross; i++) {
    norm(`cross.${i}.norm1`);
    norm(`cross.${i}.keys`);
    linear(`cross.${i}.query`, d, d);
    linear(`cross.${i}.keyvalue`, d, 2 * d);
    rest(`cross.${i}`);
  }
  norm('norm');
  linear('head', d, levels, 0);
  // A model begins as one that reads items alone.
  if (side > 0) for (const name of ['side', 'targetSide']) matrix(`${name}.weight`, [side, d], 0, { embedding: true });
  return all;
}
