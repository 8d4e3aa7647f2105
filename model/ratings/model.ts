/**
 * The rating transformer: a distribution over the rating's levels for items of one user, from what the user rated.
 *
 *   known ratings   x = I[item] + R[level] + features · F + S · A      then self-attention blocks
 *   targets         y = C[item] + features · G + S' · A'               then cross-attention blocks: y attends to x
 *   logits          LN(y) · W + b + B[item] − (level − baseline)² / 2s²
 *
 * Without what is learned, the last term is a normal distribution around the baseline (model/ratings/factors.ts), cut to the levels:
 * the transformer says how the baseline errs. Attention rotates queries and keys by their positions in the user's time order
 * (RoFormer, Su et al. 2021), so that ratings of one session find each other. Targets see known ratings only.
 *
 * S, S' are side features (data/ratings/side-features.ts), for models that read them: attributes of the item, columns of the
 * user, context of the event. Where items have attributes, I, C and B have one more row, for unrated items; in training any
 * item counts as unrated at random, so that its attributes learn to represent it (DropoutNet, Volkovs et al. 2017).
 */
import type { RatingEncoder } from '../../data/ratings/side-features.ts';
import {
  add,
  attention,
  crossAttention,
  type Device,
  dropout,
  embeddingSum,
  log,
  mul,
  type ParameterArena,
  rotary,
  rotaryAngles,
  type RotaryParts,
  softmax,
  type Sparse,
  sparseMatmul,
  sum,
  type Tensor,
} from '../../engine/index.ts';
import {
  CrossAttention,
  Embedding,
  FeedForward,
  LayerNorm,
  Linear,
  MultiHeadAttention,
  ParameterBuilder,
} from '../nn/index.ts';
import type { RatingSettings } from './settings.ts';

/** Columns of the features of a known rating and of a target; see rating-batch.ts. */
export const FEATURES = 8;

/** Keeps the logarithm finite where a level's probability underflows. */
const TINY = 1e-8;

/** A packed batch on the device: M known ratings, L targets. */
export interface RatingTokens {
  /** [M] each: item rows, levels, positions; the self-attention's bounds and the queries of each key. */
  items: Tensor;
  levels: Tensor;
  positions: Tensor;
  start: Tensor;
  end: Tensor;
  from: Tensor;
  to: Tensor;
  /** [M, FEATURES] */
  features: Tensor;
  /** [L] each: item rows, positions, and the keys of each query. */
  targetItems: Tensor;
  targetPositions: Tensor;
  targetStart: Tensor;
  targetEnd: Tensor;
  /** [L, FEATURES] */
  targetFeatures: Tensor;
  /** [L, K]: the normal distribution around the baseline, as logits. */
  prior: Tensor;
  /** S [M, A] and S' [L, A], for models that read side features; with their transposes while training. */
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
  /** Rows of side features; 0: the model reads items alone. */
  side: number;
  /** Whether items' attributes are among them, so that items may be unrated: they are row V. */
  described: boolean;
}

/** @param encoder of side features; null where none are read */
export function ratingShapeOf(encoder: RatingEncoder | null, items: number, levels: number): RatingShape {
  return { items, levels, side: encoder?.rows ?? 0, described: Boolean(encoder?.schema.items) };
}

class KnownBlock {
  readonly norm1: LayerNorm;
  readonly attention: MultiHeadAttention;
  readonly norm2: LayerNorm;
  readonly ffn: FeedForward;

  constructor(p: ParameterBuilder, { d, ff }: RatingSettings) {
    this.norm1 = new LayerNorm(p.at('norm1'), d);
    this.attention = new MultiHeadAttention(p, d);
    this.norm2 = new LayerNorm(p.at('norm2'), d);
    this.ffn = new FeedForward(p, d, ff, 'gelu');
  }
}

class TargetBlock {
  readonly norm1: LayerNorm;
  readonly keysNorm: LayerNorm;
  readonly cross: CrossAttention;
  readonly norm2: LayerNorm;
  readonly ffn: FeedForward;

  constructor(p: ParameterBuilder, { d, ff }: RatingSettings) {
    this.norm1 = new LayerNorm(p.at('norm1'), d);
    this.keysNorm = new LayerNorm(p.at('keys'), d);
    this.cross = new CrossAttention(p, d);
    this.norm2 = new LayerNorm(p.at('norm2'), d);
    this.ffn = new FeedForward(p, d, ff, 'gelu');
  }
}

/** The modules; constructing them declares what the model learns. */
export class RatingNetwork {
  readonly parameters = new ParameterBuilder({ linear: (inputs) => 1 / Math.sqrt(3 * inputs), embedding: 0.05 });
  readonly items: Embedding;
  readonly targets: Embedding;
  readonly bias: Embedding;
  readonly levels: Embedding;
  readonly known: Linear;
  readonly target: Linear;
  readonly blocks: readonly KnownBlock[];
  readonly cross: readonly TargetBlock[];
  readonly norm: LayerNorm;
  readonly head: Linear;
  readonly side: Embedding | null;
  readonly targetSide: Embedding | null;

  /** The order of construction is that in which a seed draws weights, and must not change. */
  constructor(s: RatingSettings, { items, levels, side, described }: RatingShape) {
    const { parameters: p } = this;
    const { d } = s;
    const rows = items + Number(described);
    this.items = new Embedding(p.at('items'), rows, d, { sharded: true });
    this.targets = new Embedding(p.at('targets'), rows, d, { sharded: true });
    this.bias = new Embedding(p.at('bias'), rows, levels, { sharded: true, init: 0 });
    this.levels = new Embedding(p.at('levels'), levels, d);
    this.known = new Linear(p.at('known'), FEATURES, d);
    this.target = new Linear(p.at('target'), FEATURES, d);
    this.blocks = Array.from({ length: s.blocks }, (_, i) => new KnownBlock(p.at(`blocks.${i}`), s));
    this.cross = Array.from({ length: s.cross }, (_, i) => new TargetBlock(p.at(`cross.${i}`), s));
    this.norm = new LayerNorm(p.at('norm'), d);
    this.head = new Linear(p.at('head'), d, levels, { std: 0 });
    // A model starts as one that reads items alone.
    this.side = side > 0 ? new Embedding(p.at('side'), side, d, { init: 0 }) : null;
    this.targetSide = side > 0 ? new Embedding(p.at('targetSide'), side, d, { init: 0 }) : null;
  }
}

export class RatingModel {
  readonly device: Device;
  readonly settings: RatingSettings;
  readonly shape: RatingShape;
  readonly parameters: ParameterArena;
  private readonly network: RatingNetwork;
  private readonly angles: Tensor;

  /** @param seed draws the weights; null leaves them 0, for weights that are loaded and not trained further */
  constructor(device: Device, settings: RatingSettings, shape: RatingShape, seed: number | null) {
    this.device = device;
    this.settings = settings;
    this.shape = shape;
    this.network = new RatingNetwork(settings, shape);
    this.parameters = this.network.parameters.allocate(device, seed, {
      advice: 'choose a smaller d, ff or budget',
      activations: settings.budget * (settings.blocks + settings.cross) * 12 * settings.d,
    });
    const [rows, width] = [settings.window + 1, settings.d / settings.heads];
    this.angles = device.tensor(rotaryAngles(rows, width), [rows, width], { label: 'angles' }).keep();
  }

  /** Logits [L, K] of the targets. Dropout and gradients only where `training` is given. */
  logits(t: RatingTokens, training?: RatingTargets): Tensor {
    const { network } = this;
    const { heads } = this.settings;
    const rate = training ? this.settings.dropout : 0;
    let x = embeddingSum(
      network.items.table,
      t.items,
      training?.itemGroups,
      network.levels.tensor,
      t.levels,
      training?.levelGroups,
    );
    x = dropout(network.known.forward(t.features, { residual: addSide(x, t.side?.known, network.side) }), rate);
    const bounds = { start: t.start, end: t.end };
    for (const { norm1, attention: mixing, norm2, ffn } of network.blocks) {
      const attend = (qkv: Tensor): Tensor =>
        attention(this.rotated(qkv, t.positions, 'qkv'), bounds, { heads, causal: false });
      const z = mixing.forward(norm1.forward(x), attend, { dropout: rate, residual: x });
      x = ffn.forward(norm2.forward(z), { dropout: rate, residual: z });
    }
    let y = network.targets.forward(t.targetItems, training?.targetGroups);
    y = addSide(y, t.side?.targets, network.targetSide);
    y = dropout(network.target.forward(t.targetFeatures, { residual: y }), rate);
    const reach = { start: t.targetStart, end: t.targetEnd, from: t.from, to: t.to };
    for (const { norm1, keysNorm, cross, norm2, ffn } of network.cross) {
      const attend = (query: Tensor): Tensor => {
        const q = this.rotated(query, t.targetPositions, 'q');
        const kv = this.rotated(cross.keys(keysNorm.forward(x)), t.positions, 'kv');
        return crossAttention(q, kv, reach, { heads });
      };
      const z = cross.forward(norm1.forward(y), attend, { dropout: rate, residual: y });
      y = ffn.forward(norm2.forward(z), { dropout: rate, residual: z });
    }
    const bias = network.bias.forward(t.targetItems, training?.targetGroups);
    return network.head.forward(network.norm.forward(y), { residual: add(bias, t.prior) });
  }

  /** Σ weight · −log P(the level that was given), a scalar. */
  loss(t: RatingTokens & RatingTargets): Tensor {
    const given = add(softmax(this.logits(t, t)), this.device.full([], TINY, 'tiny'));
    return sum(mul(log(given), t.picked));
  }

  private rotated(x: Tensor, positions: Tensor, parts: RotaryParts): Tensor {
    return rotary(x, positions, this.angles, this.settings.heads, parts);
  }

  dispose(): void {
    this.parameters.dispose();
    this.angles.dispose();
  }
}

/** x + S · A */
function addSide(x: Tensor, rows: Sparse | undefined, table: Embedding | null): Tensor {
  if (!table) return x;
  if (!rows) throw new Error('rating model: expected side features, got none');
  return add(x, sparseMatmul(rows, table.tensor));
}
