/**
 * The item tower: embeddings of the catalogue from the items' attributes, so that an item which nobody has met yet has one.
 *
 *   x  [n, D] = S · A                                 attribute tokens: weighted bags of rows of A (data/features/encoder.ts)
 *   x  = x + Attention(LN x); x = x + FF(LN x)        all tokens of an item attend to each other
 *   E' [V, D] = ID ⊙ keep + LN(mean of x over the item's tokens) · W + b
 *
 * `keep` drops the ID embedding of an item as a whole, at random and anew in each step of training, so that the tower learns
 * to speak for it alone (as DropoutNet does: Volkovs et al., NIPS 2017). Items beyond the rows of ID have none at all.
 */
import type { ItemFeatures } from '../../data/features/encoder.ts';
import { InputError, option } from '../../data/errors.ts';
import {
  add,
  addLayernorm,
  attention,
  type Device,
  dropout,
  layernorm,
  matmul,
  mul,
  type ParameterArena,
  relu,
  SparseMatrix,
  type SparseHost,
  sparseMatmul,
  sub,
  type Tensor,
} from '../../engine/index.ts';
import { ITEMS } from './parameters.ts';
import type { Settings } from '../recipes/recipes.ts';

/** Attribute tokens of one pass; the whole catalogue is one in training. */
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

export class ItemTower {
  private readonly settings: Settings;
  private readonly parameters: ParameterArena;
  private readonly device: Device;
  private readonly known: number;
  private readonly features: ItemFeatures;
  private readonly training: Part | null;
  private readonly ones: { rows: Tensor; width: Tensor };

  /** @param known items that have a row of ID: the first ones */
  constructor(device: Device, settings: Settings, parameters: ParameterArena, features: ItemFeatures, known: number) {
    this.device = device;
    this.settings = settings;
    this.parameters = parameters;
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
   * @throws InputError where the catalogue has more attribute tokens than a step takes
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
    const ids = this.parameters.get(ITEMS);
    const own = this.settings.idDropout > 0 ? mul(ids, matmul(keep, width)) : ids;
    return add(own, this.embed(this.training as Part));
  }

  /** E' of the whole catalogue, [V, D], read back: what recommending and evaluating use until the weights change. */
  async catalogue(): Promise<Float32Array> {
    const { itemStarts } = this.features;
    const items = itemStarts.length - 1;
    const { d } = this.settings;
    const out = new Float32Array(items * d);
    for (let first = 0; first < items; ) {
      let to = first + 1;
      while (to < items && itemStarts[to + 1] - itemStarts[first] <= MOST_TOKENS / 4) to++;
      const part = this.part(first, to);
      const values = this.device.noGrad(() => this.device.scope(() => this.embed(part).keep()));
      out.set((await values.data()) as Float32Array, first * d);
      values.dispose();
      release(part);
      first = to;
    }
    const ids = (await this.parameters.get(ITEMS).data()) as Float32Array;
    for (let i = 0; i < ids.length; i++) out[i] += ids[i];
    return out;
  }

  /** The tower's own embeddings [items of the part, D]. */
  private embed({ bags, mean, start, end }: Part): Tensor {
    const p = (name: string): Tensor => this.parameters.get(`tower.${name}`);
    const linear = (x: Tensor, name: string, activation: 'none' | 'gelu' = 'none'): Tensor =>
      matmul(x, p(`${name}.weight`), { bias: p(`${name}.bias`), activation });
    const x = sparseMatmul(bags, p('attributes.weight'));
    const n = layernorm(x, p('norm1.weight'), p('norm1.bias'));
    const bounds = { start, end };
    const attended = attention(linear(n, 'attention.qkv'), bounds, { heads: this.settings.heads, causal: false });
    const between = addLayernorm(x, linear(attended, 'attention.out'), p('norm2.weight'), p('norm2.bias'));
    const y = add(between.sum, linear(linear(between.norm, 'ffn.up', 'gelu'), 'ffn.down'));
    return linear(layernorm(sparseMatmul(mean, y), p('norm.weight'), p('norm.bias')), 'out');
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
