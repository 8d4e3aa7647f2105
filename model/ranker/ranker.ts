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
 *   f_c = y_c · (h_t W_o + b_o) + LN(y_c) · w + b_c + b  what the encoder's own score lacks
 *   P(interaction) = sigmoid(h_t · E[c] + f_c)
 *
 * E' [V, D] begins as the encoder's item table E and is the ranker's own from then on; W_o and w begin as 0, so that training
 * begins at the encoder's scores and learns what to correct (Friedman 2001, gradient boosting, with one stage). With
 * rankerEncoder=own the states h are those of a copy of the encoder, trained together with all this; the score that is
 * corrected stays the encoder's. After the target attention of DIN (Zhou et al., KDD 2018) and of BST (Chen et al. 2019), with
 * many heads and blocks as in Vaswani et al. (2017); both directions as in ViLBERT (Lu et al., NeurIPS 2019).
 */
import type { ItemTokens } from '../../data/features/item-tokens.ts';
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
  ParameterArena,
  rowDot,
  type Sparse,
  SparseMatrix,
  sparseMatmul,
  type Table,
  type Tensor,
} from '../../engine/index.ts';
import type { PackedTokens, TrainingTokens } from '../encoders/context.ts';
import { requireMemory } from '../storage/memory-needed.ts';
import { headsOf } from '../recipes/ranker-settings.ts';
import type { Vocabulary } from './lists.ts';
import { describeRanker, type RankerShape, rankerParameters } from './parameters.ts';
import type { SequenceModel } from '../encoders/sequence-model.ts';

/** Packed histories, and lists of candidates of some of their positions (ranker/lists.ts). */
export interface RankerTokens {
  /** What the encoder reads, L tokens. */
  encoder: PackedTokens;
  /** [C] item rows, and the row of the token that each is a candidate after. */
  candidates: Tensor;
  at: Tensor;
  /** [R] items, and from the catalogue's size on attributes; and the place of their position in its sequence. */
  tokens: Tensor;
  places: Tensor;
  /** Rows, and the states or copies of states that they read. */
  bounds: CrossBounds;
  /** [C, R] what a candidate is made of; its row alone without it. */
  pool?: Sparse;
  /** [M] the rows of the states that lists have for themselves, with rankerMutual=on. */
  copies?: Tensor;
}

/** What training adds: the encoder's batch, and positions grouped by the row of a table that they read (engine/rows.ts). */
export interface RankerTraining {
  encoder: TrainingTokens;
  candidates: Tensor;
  at: Tensor;
  tokens: Tensor;
  places: Tensor;
  copies?: Tensor;
}

/** What a ranker is made of besides its shape. */
export interface RankerParts {
  /** Items of the catalogue; of these the first `known` have a row of their own. */
  items: number;
  known: number;
  /** The attributes of all items, with rankerItems=attributes. */
  attributes: ItemTokens | null;
  /** With rankerEncoder=own: the copy of the encoder; disposed with the ranker. */
  own: SequenceModel | null;
  /** The encoder's items E [V, D], to begin with; null: weights are loaded, and not trained. */
  table: Float32Array | null;
  seed: number;
}

export class Ranker {
  readonly device: Device;
  readonly shape: RankerShape;
  readonly items: number;
  readonly parameters: ParameterArena;
  readonly own: SequenceModel | null;
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
    requireMemory(
      { parameters: describeRanker(shape, rows) },
      table ? 'trained' : 'loaded',
      'choose fewer rankerBlocks',
    );
    this.parameters = new ParameterArena(device, rankerParameters(shape, rows, table, seed), { frozen: !table });
    this.bags = attributes && new SparseMatrix(device, attributes.bags, attributes.rows, 'attribute tokens');
    this.made = this.bags && device.zeros([this.bags.shape[0], shape.d], 'attribute tokens').keep();
  }

  /** Tokens as lists of candidates name them. */
  get vocabulary(): Vocabulary {
    return { attributes: this.attributes, base: this.items };
  }

  /** What it trains: its own weights, and those of its encoder. */
  get arenas(): ParameterArena[] {
    return this.own ? [this.parameters, this.own.parameters] : [this.parameters];
  }

  /** To be called when weights have changed: the next `refresh()` makes what follows from them anew. */
  touch(): void {
    this.stale = true;
    this.own?.touch();
  }

  /** Makes what does not hang on a batch, where it is not up to date; to be called before it scores. */
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
    return sparseMatmul(this.bags as SparseMatrix, this.parameters.get('attributes.weight'));
  }

  /**
   * Logits [C] of the candidates, and f, what the ranker adds to the encoder's scores; dropout and gradients with
   * `training` only.
   * @param h states [L, D] of the encoder, and its items E [V, D], which stay as they are
   */
  logits(h: Tensor, encoded: Table, t: RankerTokens, training?: RankerTraining): { logits: Tensor; added: Tensor } {
    const { own } = this;
    const states = own?.encode(t.encoder, training?.encoder, undefined, training && own.trainingTable()) ?? h;
    const { y, normed } = this.read(states, t, training);
    // What is looked for, by the state at the position.
    const last = own ? embedding(states, t.at, training?.at) : gather(states, t.at);
    const bias = embedding(this.parameters.table('biases.weight'), t.candidates, training?.candidates);
    const [weight, shift] = ['output.weight', 'output.bias'].map((name) => this.parameters.get(name));
    const alone = matmul(normed, weight, { bias: shift, residual: bias });
    const added = add(rowDot(y, this.linear(last, 'sought')), alone.reshape([t.candidates.size]));
    const begun = this.device.noGrad(() => rowDot(gather(h, t.at), embedding(encoded, t.candidates)));
    return { logits: add(begun, added), added };
  }

  /** The candidates [C, D] after all blocks, and their norm. */
  private read(h: Tensor, t: RankerTokens, training?: RankerTraining): { y: Tensor; normed: Tensor } {
    const { rankerBlocks, rankerDropout } = this.shape;
    const rate = training ? rankerDropout : 0;
    const attention = { heads: headsOf(this.shape), dropout: rate };
    const { from, to, start, end } = t.bounds;
    const turned = { start: from, end: to, from: start, to: end };
    let s = dropout(this.states(h, t, training), rate);
    if (t.copies) s = embedding(s, t.copies, training?.copies);
    let x = this.tokens(t, training);
    for (let i = 0; i < rankerBlocks; i++) {
      const b = `blocks.${i}`;
      const n = this.norm(x, `${b}.norm1`);
      let read = s;
      if (t.copies) {
        const query = this.linear(this.norm(s, `${b}.states.norm`), `${b}.states.query`);
        const mixed = crossAttention(query, this.linear(n, `${b}.states.keyvalue`), turned, attention);
        const after = this.add(s, this.linear(mixed, `${b}.states.out`), `${b}.states.norm2`, rate);
        s = after.sum;
        read = after.norm;
      }
      const kv = this.linear(read, `${b}.keyvalue`);
      const mixed = crossAttention(this.linear(n, `${b}.query`), kv, t.bounds, attention);
      const between = this.add(x, this.linear(mixed, `${b}.out`), `${b}.norm2`, rate);
      const forward = this.linear(this.linear(between.norm, `${b}.ffn.up`, 'gelu'), `${b}.ffn.down`);
      x = add(between.sum, dropout(forward, rate));
    }
    const y = t.pool ? sparseMatmul(t.pool, x) : x;
    return { y, normed: this.norm(y, 'norm') };
  }

  /** s [L, D] */
  private states(h: Tensor, { encoder }: RankerTokens, training?: RankerTraining): Tensor {
    const events = add(
      embedding(this.parameters.table('items.weight'), encoder.items, training?.encoder.itemGroups),
      embedding(this.parameters.get('positions.weight'), encoder.positions, training?.encoder.positionGroups),
    );
    return this.norm(add(this.linear(h, 'states'), events), 'states.norm');
  }

  /** x [R, D] */
  private tokens({ tokens, places }: RankerTokens, training?: RankerTraining): Tensor {
    const place = embedding(this.parameters.get('places.weight'), places, training?.places);
    const x = add(embedding(this.parameters.table('items.weight'), tokens, training?.tokens), place);
    if (!this.made) return x;
    const made = training ? this.attributeTokens() : this.made;
    return add(x, embedding(made, tokens, training?.tokens, this.items));
  }

  private linear(x: Tensor, name: string, activation: 'none' | 'gelu' = 'none'): Tensor {
    const [weight, bias] = ['weight', 'bias'].map((part) => this.parameters.get(`${name}.${part}`));
    return matmul(x, weight, { bias, activation });
  }

  private norm(x: Tensor, name: string): Tensor {
    return layernorm(x, this.parameters.get(`${name}.weight`), this.parameters.get(`${name}.bias`));
  }

  /** x + dropout(r), and its norm, in one kernel. */
  private add(x: Tensor, r: Tensor, name: string, rate: number): { sum: Tensor; norm: Tensor } {
    const [weight, bias] = ['weight', 'bias'].map((part) => this.parameters.get(`${name}.${part}`));
    return addLayernorm(x, r, weight, bias, { dropout: rate });
  }

  dispose(): void {
    this.parameters.dispose();
    this.own?.dispose();
    this.bags?.dispose();
    this.made?.dispose();
  }
}
