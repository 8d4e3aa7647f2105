/**
 * The second stage: how likely a user interacts with each of a few candidates, from cross-attention between the
 * candidates' tokens and the whole output of the encoder, not its last state alone.
 *
 *   s_j = LN(h_j · W_s + E'[item_j] + P[j])              states of the history up to the position t
 *   x_c = E'[c] + P[t];  x_a = S[a] · A + P[t]           tokens: of a candidate, and of each attribute that any of them has
 *   s = s + CrossAttention(LN s, LN x)                   states → tokens, for each block, with rankerMutual=on
 *   x = x + CrossAttention(LN x, s_0 … s_t)              tokens → states, for each block
 *   x = x + FF(LN x)
 *   y_c = x_c + mean of x_a over the attributes a of c
 *   f_c = y_c · (h_t W_o + b_o) + LN(y_c) · w + b_c + b  what the encoder's own score misses
 *   P(interaction) = sigmoid(h_t · E[c] + f_c)
 *
 * E' [V, D] starts as the encoder's item table E and is the ranker's own from then on; W_o and w start as 0, so that training
 * starts at the encoder's scores and learns what to correct (Friedman 2001, gradient boosting, with one stage). With
 * rankerEncoder=own the states h are those of a copy of the encoder, trained together with all this; the score that is
 * corrected stays the encoder's. After the target attention of DIN (Zhou et al., KDD 2018) and of BST (Chen et al. 2019), with
 * many heads and blocks as in Vaswani et al. (2017); both directions as in ViLBERT (Lu et al., NeurIPS 2019).
 */
import type { ItemTokens } from '../../data/features/item-tokens.ts';
import {
  add,
  crossAttention,
  type CrossBounds,
  type Device,
  dropout,
  embedding,
  gather,
  type ParameterArena,
  rowDot,
  type Sparse,
  SparseMatrix,
  sparseMatmul,
  type Table,
  type Tensor,
} from '../../engine/index.ts';
import type { PackedTokens, TrainingTokens } from '../encoders/context.ts';
import type { SequenceModel } from '../encoders/sequence-model.ts';
import type { Embedding } from '../nn/index.ts';
import { headsOf } from '../recipes/ranker-settings.ts';
import type { Vocabulary } from './lists.ts';
import { RankerNetwork, type RankerShape } from './network.ts';

/** Packed histories, and lists of candidates of some of their positions (ranker/lists.ts). */
export interface RankerTokens {
  /** What the encoder reads, L tokens. */
  encoder: PackedTokens;
  /** [C] item rows, and the row of the token that each is a candidate after. */
  candidates: Tensor;
  at: Tensor;
  /** [R] items, and from the catalog's size on attributes; and the position, in its sequence, of what they are candidates after. */
  tokens: Tensor;
  positions: Tensor;
  /** Rows, and the states or copies of states that they read. */
  bounds: CrossBounds;
  /** [C, R] what a candidate is made of; its row alone without it. */
  pool?: Sparse;
  /** [M] the rows of the states that lists have for themselves, with rankerMutual=on. */
  copies?: Tensor;
}

/** What training adds: the encoder's batch, and positions grouped by the row of a table that they read (engine/rows.ts). */
export interface RankerTraining extends Pick<RankerTokens, 'candidates' | 'at' | 'tokens' | 'positions' | 'copies'> {
  encoder: TrainingTokens;
}

/** What a ranker is made of besides its shape. */
export interface RankerParts {
  /** Items of the catalog; the first `known` of them have a row of their own. */
  items: number;
  known: number;
  /** The attributes of all items, with rankerItems=attributes. */
  attributes: ItemTokens | null;
  /** With rankerEncoder=own: the copy of the encoder; disposed with the ranker. */
  own: SequenceModel | null;
  /** The encoder's items E [V, D], to start from; null: weights are loaded, and not trained. */
  table: Float32Array | null;
  seed: number;
}

/** Keeps its draws apart from the encoder's of the same seed. */
const FIRST_STREAM = 0x1002;

export class Ranker {
  readonly device: Device;
  readonly shape: RankerShape;
  readonly items: number;
  readonly parameters: ParameterArena;
  readonly own: SequenceModel | null;
  private readonly network: RankerNetwork;
  private readonly attributes: ItemTokens | null;
  /** S [U, A], and S · A of the last `refresh()`. */
  private readonly bags: SparseMatrix | null;
  private readonly made: Tensor | null;
  private stale = true;

  constructor(device: Device, shape: RankerShape, { items, known, attributes, own, table, seed }: RankerParts) {
    this.device = device;
    this.shape = shape;
    this.items = items;
    this.own = own;
    this.attributes = attributes;
    const rows = { items: known, attributes: attributes?.rows ?? 0 };
    this.network = new RankerNetwork(shape, rows, table);
    this.parameters = this.network.parameters.allocate(device, table && seed, {
      advice: 'choose fewer rankerBlocks',
      stream: FIRST_STREAM,
    });
    this.bags = attributes && new SparseMatrix(device, attributes.bags, attributes.rows, 'attribute tokens');
    this.made = this.bags && device.zeros([this.bags.shape[0], shape.d], 'attribute tokens').keep();
  }

  /** Tokens as lists of candidates name them. */
  get vocabulary(): Vocabulary {
    return { attributes: this.attributes, base: this.items };
  }

  /** What it trains: its own weights, and those of its own encoder. */
  get arenas(): ParameterArena[] {
    return this.own ? [this.parameters, this.own.parameters] : [this.parameters];
  }

  /** To be called when weights have changed: the next `refresh()` makes what follows from them anew. */
  touch(): void {
    this.stale = true;
    this.own?.touch();
  }

  /** Makes what does not depend on a batch, where it is out of date; to be called before it scores. */
  async refresh(): Promise<void> {
    await this.own?.refresh();
    if (this.stale && this.made) {
      const values = this.device.noGrad(() => this.device.scope(() => this.attributeTokens().keep()));
      this.device.write(this.made, await values.data());
      values.dispose();
    }
    this.stale = false;
  }

  /** S · A, [U, D]. */
  private attributeTokens(): Tensor {
    return sparseMatmul(this.bags as SparseMatrix, (this.network.attributes as Embedding).tensor);
  }

  /**
   * Logits [C] of the candidates, and f, what the ranker adds to the encoder's scores; dropout and gradients with
   * `training` only.
   * @param h states [L, D] of the encoder, and its items E [V, D], which stay as they are
   */
  logits(h: Tensor, encoded: Table, t: RankerTokens, training?: RankerTraining): { logits: Tensor; added: Tensor } {
    const { own, network } = this;
    const states = own?.encode(t.encoder, training?.encoder, undefined, training && own.trainingTable()) ?? h;
    const { y, normed } = this.read(states, t, training);
    // What is looked for, by the state at the position.
    const last = own ? embedding(states, t.at, training?.at) : gather(states, t.at);
    const bias = network.biases.forward(t.candidates, training?.candidates);
    const alone = network.output.forward(normed, { residual: bias });
    const added = add(rowDot(y, network.sought.forward(last)), alone.reshape([t.candidates.size]));
    const encoder = this.device.noGrad(() => rowDot(gather(h, t.at), embedding(encoded, t.candidates)));
    return { logits: add(encoder, added), added };
  }

  /** The candidates [C, D] after all blocks, and their norm. */
  private read(h: Tensor, t: RankerTokens, training?: RankerTraining): { y: Tensor; normed: Tensor } {
    const { network } = this;
    const rate = training ? this.shape.rankerDropout : 0;
    const attention = { heads: headsOf(this.shape), dropout: rate };
    const { from, to, start, end } = t.bounds;
    const transposed = { start: from, end: to, from: start, to: end };
    let s = dropout(this.states(h, t, training), rate);
    if (t.copies) s = embedding(s, t.copies, training?.copies);
    let x = this.tokens(t, training);
    for (const block of network.blocks) {
      const n = block.norm1.forward(x);
      let read = s;
      if (block.mutual) {
        const { norm, cross, norm2 } = block.mutual;
        const kv = cross.keys(n);
        const mixed = cross.forward(norm.forward(s), (query) => crossAttention(query, kv, transposed, attention));
        const after = norm2.add(s, mixed, rate);
        s = after.x;
        read = after.n;
      }
      const kv = block.cross.keys(read);
      const mixed = block.cross.forward(n, (query) => crossAttention(query, kv, t.bounds, attention));
      const between = block.norm2.add(x, mixed, rate);
      x = add(between.x, dropout(block.ffn.forward(between.n), rate));
    }
    const y = t.pool ? sparseMatmul(t.pool, x) : x;
    return { y, normed: network.norm.forward(y) };
  }

  /** s [L, D] */
  private states(h: Tensor, { encoder }: RankerTokens, training?: RankerTraining): Tensor {
    const { items, positions, states, statesNorm } = this.network;
    const events = add(
      items.forward(encoder.items, training?.encoder.itemGroups),
      positions.forward(encoder.positions, training?.encoder.positionGroups),
    );
    return statesNorm.forward(add(states.forward(h), events));
  }

  /** x [R, D] */
  private tokens({ tokens, positions }: RankerTokens, training?: RankerTraining): Tensor {
    const position = this.network.candidatePositions.forward(positions, training?.positions);
    const x = add(this.network.items.forward(tokens, training?.tokens), position);
    if (!this.made) return x;
    const made = training ? this.attributeTokens() : this.made;
    return add(x, embedding(made, tokens, training?.tokens, this.items));
  }

  dispose(): void {
    this.parameters.dispose();
    this.own?.dispose();
    this.bags?.dispose();
    this.made?.dispose();
  }
}
