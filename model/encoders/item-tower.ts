/**
 * The item tower: embeddings of the catalog from the items' attributes, so that unseen items have one.
 *
 *   x  [n, D] = S · A                                 attribute tokens: weighted bags of rows of A (data/features/encoder.ts)
 *   x  = x + Attention(LN x); x = x + FF(LN x)        all tokens of an item attend to each other
 *   E' [V, D] = ID ⊙ keep + LN(mean of x over the item's tokens) · W + b
 *
 * `keep` drops the ID embedding of an item as a whole, at random in each step of training, so that the tower learns to
 * represent it alone (as in DropoutNet: Volkovs et al., NIPS 2017). Items beyond the rows of ID have none at all.
 */
import type { ItemFeatures } from '../../data/features/encoder.ts';
import { InputError, option } from '../../data/errors.ts';
import {
  add,
  attention,
  type Device,
  dropout,
  matmul,
  mul,
  relu,
  SparseMatrix,
  type SparseHost,
  sparseMatmul,
  sub,
  type Tensor,
} from '../../engine/index.ts';
import { Embedding, FeedForward, LayerNorm, Linear, MultiHeadAttention, type ParameterBuilder } from '../nn/index.ts';
import type { Settings } from '../recipes/settings.ts';

/** Attribute tokens of one pass; in training the whole catalog is one. */
const MOST_TOKENS = 65536;

/** Items [first, to) as the tower reads them. */
interface Part {
  first: number;
  to: number;
  /** S [n, A] */
  bags: SparseMatrix;
  /** [V, n], 1 / tokens of the item */
  mean: SparseMatrix;
  start: Tensor;
  end: Tensor;
}

/** The tower's layers. */
export class TowerEncoder {
  private readonly attributes: Embedding;
  private readonly norm1: LayerNorm;
  private readonly attention: MultiHeadAttention;
  private readonly norm2: LayerNorm;
  private readonly ffn: FeedForward;
  private readonly norm: LayerNorm;
  private readonly out: Linear;
  private readonly heads: number;

  /** @param rows attributes, A */
  constructor(p: ParameterBuilder, { d, heads }: Settings, rows: number) {
    this.heads = heads;
    this.attributes = new Embedding(p.at('attributes'), rows, d);
    this.norm1 = new LayerNorm(p.at('norm1'), d);
    this.attention = new MultiHeadAttention(p.at('attention'), d);
    this.norm2 = new LayerNorm(p.at('norm2'), d);
    this.ffn = new FeedForward(p.at('ffn'), d, 2 * d, 'gelu');
    this.norm = new LayerNorm(p.at('norm'), d);
    this.out = new Linear(p.at('out'), d, d);
  }

  /** The tower's own embeddings [items of the part, D]. */
  forward({ bags, mean, start, end }: Part): Tensor {
    const { heads } = this;
    const x = sparseMatmul(bags, this.attributes.tensor);
    const attend = (qkv: Tensor): Tensor => attention(qkv, { start, end }, { heads, causal: false });
    const { x: sum, n } = this.norm2.add(x, this.attention.forward(this.norm1.forward(x), attend), 0);
    const y = add(sum, this.ffn.forward(n));
    return this.out.forward(this.norm.forward(sparseMatmul(mean, y)));
  }
}

export class ItemTower {
  private readonly settings: Settings;
  private readonly encoder: TowerEncoder;
  private readonly ids: Embedding;
  private readonly device: Device;
  private readonly known: number;
  private readonly features: ItemFeatures;
  private readonly training: Part | null;
  private readonly ones: { rows: Tensor; width: Tensor };

  /** @param ids the items' own embeddings, of the first ones */
  constructor(device: Device, settings: Settings, encoder: TowerEncoder, ids: Embedding, features: ItemFeatures) {
    const [known] = ids.weight.shape;
    this.device = device;
    this.settings = settings;
    this.encoder = encoder;
    this.ids = ids;
    this.features = features;
    this.known = known;
    this.training = features.itemStarts[known] <= MOST_TOKENS ? this.part(0, known) : null;
    this.ones = {
      rows: device.tensor(new Float32Array(known).fill(1), [known, 1], { label: 'ones' }).keep(),
      width: device.tensor(new Float32Array(settings.d).fill(1), [1, settings.d], { label: 'ones' }).keep(),
    };
  }

  /**
   * E' [known, D] for training, with a gradient.
   * @throws InputError where the catalog has more attribute tokens than a step takes
   */
  forTraining(): Tensor {
    const { itemStarts } = this.features;
    const tokens = itemStarts[this.known];
    if (tokens > MOST_TOKENS) {
      throw new InputError(
        'too-large',
        `${this.known} items have ${tokens} attributes in all, a step of training takes at most ${MOST_TOKENS}`,
        {
          setting: 'settings.items',
          value: 'tower',
          hint: `skip columns with ${option('schema', 'FILE')}, or train with ${option('settings.items', 'ids')}`,
        },
      );
    }
    const { rows, width } = this.ones;
    // 1 or 0 for each item, whatever dropout scales what it keeps by; 1 where dropout is off.
    const keep = sub(rows, relu(sub(rows, dropout(rows, this.settings.idDropout))));
    const ids = this.ids.tensor;
    const own = this.settings.idDropout > 0 ? mul(ids, matmul(keep, width)) : ids;
    return add(own, this.encoder.forward(this.training as Part));
  }

  /** E' of the whole catalog, [V, D], read back: what recommending and evaluating use until the weights change. */
  async catalog(): Promise<Float32Array> {
    const { itemStarts } = this.features;
    const items = itemStarts.length - 1;
    const { d } = this.settings;
    const out = new Float32Array(items * d);
    for (let first = 0; first < items; ) {
      let to = first + 1;
      while (to < items && itemStarts[to + 1] - itemStarts[first] <= MOST_TOKENS / 4) to++;
      const part = this.part(first, to);
      const values = this.device.noGrad(() => this.device.scope(() => this.encoder.forward(part).keep()));
      out.set((await values.data()) as Float32Array, first * d);
      values.dispose();
      release(part);
      first = to;
    }
    const ids = (await this.ids.tensor.data()) as Float32Array;
    for (let i = 0; i < ids.length; i++) out[i] += ids[i];
    return out;
  }

  private part(first: number, to: number): Part {
    const { itemStarts, tokens, rows } = this.features;
    const [from, until] = [itemStarts[first], itemStarts[to]];
    const length = until - from;
    const [start, end] = [new Uint32Array(length), new Uint32Array(length)];
    const mean: SparseHost = {
      starts: itemStarts.slice(first, to + 1).map((at) => at - from),
      columns: Uint32Array.from({ length }, (_, t) => t),
      values: new Float32Array(length),
    };
    for (let v = first; v < to; v++) {
      const [a, b] = [itemStarts[v] - from, itemStarts[v + 1] - from];
      start.fill(a, a, b);
      end.fill(b, a, b);
      mean.values.fill(1 / (b - a), a, b);
    }
    const [low, high] = [tokens.starts[from], tokens.starts[until]];
    const bags: SparseHost = {
      starts: tokens.starts.slice(from, until + 1).map((at) => at - low),
      columns: tokens.columns.slice(low, high),
      values: tokens.values.slice(low, high),
    };
    const { device } = this;
    return {
      first,
      to,
      bags: new SparseMatrix(device, bags, rows, 'attribute bags'),
      mean: new SparseMatrix(device, mean, length, 'attribute means'),
      start: device.tensor(start, undefined, { label: 'attribute starts' }).keep(),
      end: device.tensor(end, undefined, { label: 'attribute ends' }).keep(),
    };
  }

  dispose(): void {
    if (this.training) release(this.training);
    this.ones.rows.dispose();
    this.ones.width.dispose();
  }
}

function release({ bags, mean, start, end }: Part): void {
  bags.dispose();
  mean.dispose();
  start.dispose();
  end.dispose();
}
