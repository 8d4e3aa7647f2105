/**
 * The model of every recipe: an encoder over a history, and scores of the items.
 *
 *   x = embeddings of items, and of positions        model/encoders/input.ts
 *   x = block(x)                                     for each block: model/encoders/blocks/
 *   h = LN(x);  score of item v = h · E[v]           or a mixture of cosines (head=mol): model/heads/
 *
 * With a decoder, h are its states instead, over the items of a continuation; they read the encoder's by cross-attention.
 * With the recipe `sasrec` this is SASRec (Kang & McAuley, ICDM 2018) as it is trained today: pre-layernorm, learned
 * positions, GELU, item embeddings tied to the output layer.
 */
import { InputError, option } from '../../data/errors.ts';
import type { ItemFeatures } from '../../data/features/encoder.ts';
import {
  add,
  cachedAttention,
  CodedRows,
  CodedTable,
  crossAttention,
  type Device,
  embedding,
  fill,
  gather,
  isCompressed,
  type ItemCodes,
  matmul,
  MAX_BUDGET,
  type PackedRows,
  PackedTable,
  type ParameterArena,
  rowRanges,
  rotaryAngles,
  type RowTable,
  slice,
  type Table,
  tableRows,
  tableScores,
  type Tensor,
  type ParameterKind,
} from '../../engine/index.ts';
import type { Head, Vectors } from '../heads/head.ts';
import { LOSSES } from '../heads/losses/index.ts';
import { requireFinite } from '../inference/ranks.ts';
import { isCloze } from '../recipes/derived.ts';
import type { Settings } from '../recipes/settings.ts';
import { CodedTensor, trainedOf } from '../storage/coded-tensor.ts';
import { PackedTensor } from '../storage/packed-tensor.ts';
import type { StoredTensor } from '../storage/safetensors.ts';
import { checkParameters, tensorOf } from '../storage/tensors.ts';
import type { PositionConstants, Context, KeyValueCache, PackedTokens, TrainingTokens, Watch } from './context.ts';
import type { Cross, Decoder } from './decoder.ts';
import { sinusoids } from './input.ts';
import { ItemTower } from './item-tower.ts';
import { ITEM_WEIGHTS, Network, parametersOf, SIDE } from './network.ts';

/** What a model is made for besides its settings. */
export interface ModelItems {
  /** With `items=tower`: the items' attributes. */
  features?: ItemFeatures | null;
  /** How many of the first items have an embedding of their own; the others are represented by their attributes alone. */
  known?: number;
  /** Rows of side features. */
  side?: number;
  /** The item table, compressed and not to be trained; not with `items=tower`. */
  packed?: PackedRows;
  /** With `items=codes`: the items' codes. */
  codes?: ItemCodes | null;
  /**
   * Rows of the item table that a training step reads at most, where its gradient is kept, or with `items=codes` rows are
   * made, for them alone (`touchedRows`).
   */
  touched?: number;
}

/** Rows of a compressed table that are widened at a time, where weights are summed over all of them. */
const ROWS_WIDENED = 8192;

export class SequenceModel {
  readonly device: Device;
  readonly settings: Settings;
  /** Catalog size V. */
  readonly items: number;
  /** Rows of side features (data/features/side-features.ts); 0: the model reads items alone. */
  readonly side: number;
  readonly parameters: ParameterArena;
  private readonly network: Network;
  private readonly constants: PositionConstants = {};
  private readonly tower: ItemTower | null;
  /** With a tower: E of the whole catalog as of the last `refresh()`. */
  private readonly catalog: Tensor | null;
  /** The item table where it is compressed. */
  private readonly packed: PackedTable | CodedTable | null;
  /** With `items=codes`: those of the items. */
  readonly codes: ItemCodes | null;
  /** What a training step reads of a table of codes. */
  private readonly coded: CodedRows | null;
  private stale = true;

  private constructor(
    device: Device,
    settings: Settings,
    items: number,
    seed: number | null,
    { features = null, known = items, side = 0, touched, packed, codes = null }: ModelItems,
  ) {
    this.device = device;
    this.settings = settings;
    this.items = items;
    this.side = side;
    const { window, d, ff, heads, positions, budget, blocks, decoder } = settings;
    this.network = new Network(settings, known, { attributes: features?.rows, side, touched, packed: packed && true });
    this.parameters = this.network.parameters.allocate(device, seed, {
      advice: 'choose a smaller d, ff, blocks or budget, or fewer items',
      // About 12 states of width D and 3 of width F in each block, for each token of a batch.
      activations: budget * (blocks + decoder) * (12 * d + 3 * ff),
    });
    this.codes = codes;
    const coded = codes && CodedTable.upload(device, codes, this.parameters.get(ITEM_WEIGHTS), ITEM_WEIGHTS);
    this.packed = packed ? PackedTable.upload(device, packed, ITEM_WEIGHTS) : coded;
    this.coded = coded && codes && seed !== null ? new CodedRows(coded, codes, touched ?? items) : null;
    const { tower } = this.network;
    this.tower = tower && features && new ItemTower(device, settings, tower, this.network.items, features);
    this.catalog = features && device.zeros([items, d], 'catalog').keep();
    if (positions === 'sinusoidal')
      this.constants.sinusoids = device.tensor(sinusoids(window, d), [window, d], { label: 'sinusoids' }).keep();
    if (positions === 'rotary') {
      const k = d / heads;
      this.constants.angles = device.tensor(rotaryAngles(window, k), [window, k], { label: 'angles' }).keep();
    }
  }

  /**
   * A model with fresh weights drawn from the seed (null: all matrices 0, and frozen, for weights that are loaded).
   * @throws InputError when a matrix is more than one binding of this adapter holds (the item table lies in shards), or
   *   the whole more than memory
   */
  static create(
    device: Device,
    settings: Settings,
    items: number,
    seed: number | null,
    { features = null, known, side, touched, packed, codes = null }: ModelItems = {},
  ): SequenceModel {
    if (settings.items === 'codes') {
      checkCodes(device, settings, items, codes, seed === null ? 0 : (touched ?? items));
      return new SequenceModel(device, settings, items, seed, { side, touched, codes });
    }
    if (settings.items === 'ids') return new SequenceModel(device, settings, items, seed, { side, touched, packed });
    if (!features)
      throw new InputError('unsupported', 'the items have no attributes', {
        setting: 'settings.items',
        value: 'tower',
        hint: `give ${option('items', 'PATH')}`,
      });
    return new SequenceModel(device, settings, items, seed, { features, known, side });
  }

  /**
   * A model with stored weights, not to be trained (it holds no gradients). An item table that is compressed stays so, but
   * for one that a tower reads; all other weights are small, and widened.
   * @param path the file of the weights, for messages
   * @throws InputError where a parameter is missing or has another shape; nothing has been allocated then
   */
  static load(
    device: Device,
    settings: Settings,
    items: number,
    tensors: ReadonlyMap<string, StoredTensor>,
    features: ItemFeatures | null = null,
    path = 'model.safetensors',
  ): SequenceModel {
    const table = tensors.get(ITEM_WEIGHTS);
    const known = table?.shape[0] ?? items;
    const side = tensors.get(SIDE)?.shape[0];
    const attributes = settings.items === 'tower' ? features?.rows : undefined;
    const others = new Map(Array.from(tensors, ([name, tensor]) => [name, trainedOf(tensor)]));
    let packed: PackedRows | undefined;
    const codes = table instanceof CodedTensor ? table.codes : null;
    if (table && codes) tensorOf({ tensors, path }, ITEM_WEIGHTS, 'F32', [items, settings.d]);
    if (table instanceof PackedTensor && settings.items === 'ids') {
      tensorOf({ tensors, path }, ITEM_WEIGHTS, 'F32', [known, settings.d]);
      others.delete(ITEM_WEIGHTS);
      packed = table.rows();
    }
    const { declared } = parametersOf(settings, known, { attributes, side, packed: packed && true });
    checkParameters(others, declared, path);
    const model = SequenceModel.create(device, settings, items, null, { features, known, side, packed, codes });
    model.parameters.load('params', toArrays(others));
    return model;
  }

  /** To be called when weights have changed: the next `refresh()` makes the item table anew. */
  touch(): void {
    this.stale = true;
  }

  /** Makes the item table of a model with a tower, where it is not up to date; to be called before it scores. */
  async refresh(): Promise<void> {
    if (this.stale && this.tower && this.catalog) this.device.write(this.catalog, await this.tower.catalog());
    this.stale = false;
  }

  /** With a tower: the item vectors [V, D] that states are compared with, made of attributes; else null. */
  async towerVectors(): Promise<Float32Array | null> {
    await this.refresh();
    return this.catalog && requireFinite((await this.catalog.data()) as Float32Array, 'item vectors');
  }

  /** E [V, D] of the whole catalog, read back. */
  async itemTable(): Promise<Float32Array> {
    await this.refresh();
    const made = this.packed ?? this.catalog;
    if (made) return (await made.data()) as Float32Array;
    return (await this.parameters.read()).get(ITEM_WEIGHTS) as Float32Array;
  }

  /** Whether masked tokens are what is predicted: recommending then appends a mask to the history. */
  get cloze(): boolean {
    return isCloze(this.settings);
  }

  /** Hidden states h [L, D] of a packed batch. Dropout and gradients only where `training` is given. */
  encode(tokens: PackedTokens, training?: TrainingTokens, watch?: Watch, table: Table = this.table): Tensor {
    if (this.side > 0 && !tokens.side) {
      throw new InputError(
        'unsupported',
        `this model reads side features (${option('users')}, ${option('reads')}), which are not given here`,
        { hint: 'use one trained without them' },
      );
    }
    return this.network.encode(this.context(tokens, training ?? null, { watch, items: table }));
  }

  /** States [R, D] of tokens that attend to what a cache holds, each in the sequence that the cache knows. No gradient. */
  encodeNext(tokens: PackedTokens, cache: KeyValueCache): Tensor {
    return this.network.encode(this.context(tokens, null, { cache }));
  }

  private context(tokens: PackedTokens, training: TrainingTokens | null, more: Partial<Context> = {}): Context {
    const { settings, constants } = this;
    const dropout = training ? settings.dropout : 0;
    const causal = settings.direction === 'causal';
    return { settings, tokens, constants, training, dropout, causal, items: this.table, ...more };
  }

  /**
   * The decoder's states [L, D] of packed continuations: token i, an item of the continuation or the history's last one
   * before it, predicts the item after it.
   * @param cross attention of each block to the encoder's states, over `crossKeys`
   */
  decode(tokens: PackedTokens, cross: Cross, training?: TrainingTokens, cache?: KeyValueCache): Tensor {
    return this.network.decode(this.context(tokens, training ?? null, { causal: true, cache }), cross);
  }

  /** What block i of the decoder reads of the encoder's states h [L, D]: keys and values, [L, 2D]. */
  crossKeys(i: number, h: Tensor): Tensor {
    return (this.network.decoder as Decoder).blocks[i].cross.keys(h);
  }

  /**
   * The states [U, D] that predict the next item of sequences whose last tokens are `last` (u32 [U]): the encoder's, or
   * those of the decoder's first step. No gradient.
   */
  nextStates(tokens: PackedTokens, last: Tensor): Tensor {
    const h = this.encode(tokens);
    if (this.settings.decoder === 0) return gather(h, last);
    const { device } = this;
    const { d, heads } = this.settings;
    const none = device.empty([last.size], 'u32', 'no keys of their own');
    fill(none, 0);
    const [items, start, end] = [tokens.items, tokens.start, tokens.end].map((t) => gather(t, last));
    const keys = { start, end, own: none.reshape([last.size, 1]), count: none };
    const cross: Cross = (i, query) => cachedAttention(query, this.crossKeys(i, h), keys, heads);
    // A token that is alone attends to itself: the result is its value.
    const alone: KeyValueCache = { attend: (_, qkv) => slice(qkv, -1, 2 * d, 3 * d) };
    return this.decode({ items, positions: none, start, end }, cross, undefined, alone);
  }

  /** The item table E [V, D] with a gradient: made anew with codes, and with a tower, of the items that have a row of their own. */
  trainingTable(): Table {
    return this.tower?.forTraining() ?? this.coded?.read() ?? this.table;
  }

  /** Which rows of the item table a training step reads, where it does not read all. Its `touch` is called before each step. */
  get touched(): RowTable | CodedRows | null {
    if (this.coded) return this.coded.capacity < this.items ? this.coded : null;
    return this.parameters.rowTables[0] ?? null;
  }

  /**
   * The training loss, a scalar: Σ weights · loss of each target, as the settings name it.
   * @param rows of the item table, those that the tokens' item numbers count; where its gradient is kept for these alone
   */
  loss(tokens: TrainingTokens, rows: Tensor | null = null): Tensor {
    const { settings, head } = this;
    const table = rows ?? this.trainingTable();
    const items = rows || this.coded ? this.items : table.shape[0];
    const h = this.encode(tokens, tokens, undefined, table);
    const { masked, continuation } = tokens;
    const loss = LOSSES[settings.loss];
    if (continuation) {
      const { heads, dropout } = settings;
      const cross: Cross = (i, query) =>
        crossAttention(query, this.crossKeys(i, h), continuation.keys, { heads, dropout });
      const states = this.decode(continuation, cross, continuation);
      return loss.forward({ ...continuation, states, table, items, head }, settings);
    }
    if (!masked) return loss.forward({ ...tokens, states: h, table, items, head }, settings);
    const states = embedding(h, masked.rows, masked.groups);
    return loss.forward({ ...masked, states, table, items, head }, settings);
  }

  /** How states and items compare. */
  get head(): Head {
    return this.network.head;
  }

  /** Whether scores are products of vectors, one of the user and one of the item; not so with head=mol. */
  get comparesVectors(): boolean {
    return this.head.vectors !== null;
  }

  private get vectors(): Vectors {
    const { vectors } = this.head;
    if (!vectors)
      throw new InputError(
        'unsupported',
        `scores of a model with head=${this.settings.head} are not products of vectors`,
      );
    return vectors;
  }

  /** States [R, D] as the vectors that are compared with items. */
  comparedStates(states: Tensor): Tensor {
    return this.vectors.states(states);
  }

  /**
   * Scores [U, to − from] of the items from `from` (a multiple of 64) to `to`, all by default, for states [U, D].
   * @param shift [D] added to every user's vector; only where the model compares vectors
   */
  scores(states: Tensor, from = 0, to = this.items, shift: Tensor | null = null): Tensor {
    if (shift) return this.scoresOfVectors(add(this.comparedStates(states), shift), from, to);
    return this.head.scores(states, this.table, from, to);
  }

  /** The same for users' vectors [U, D], as states are compared with items. */
  scoresOfVectors(vectors: Tensor, from = 0, to = this.items): Tensor {
    return tableScores(vectors, this.vectors.table(this.table), from, to);
  }

  /** Σ weights[j] · vector of item j, [1, D], for weights [1, V]. */
  weighedItems(weights: Tensor): Tensor {
    const table = this.vectors.table(this.table);
    const most = isCompressed(table) ? ROWS_WIDENED : table.shape[0];
    const sums = rowRanges(table, most).map(({ first, rows }) =>
      matmul(
        this.device.view(weights, weights.offset + first, [1, rows], 'f32', 'weights of items'),
        tableRows(table, first, first + rows),
      ),
    );
    return sums.reduce((sum, one) => add(sum, one));
  }

  /** Scores [U, K] of the items whose rows are `ids` u32 [K], for states [U, D]. */
  scoresOf(states: Tensor, ids: Tensor): Tensor {
    return this.head.compare(states)(embedding(this.table, ids), 1);
  }

  /** The item table E [V, D], in shards where it is larger than one binding, compressed where the stored one is. */
  get table(): Table {
    return this.packed ?? this.catalog ?? this.network.items.table;
  }

  dispose(): void {
    this.tower?.dispose();
    this.catalog?.dispose();
    this.packed?.dispose();
    this.coded?.dispose();
    this.parameters.dispose();
    for (const tensor of Object.values(this.constants)) tensor.dispose();
  }
}

/** Stored tensors as the arena takes them. */
export function toArrays(tensors: ReadonlyMap<string, StoredTensor>): Map<string, Float32Array> {
  return new Map(
    Array.from(tensors, ([name, tensor]) => {
      const { data } = trainedOf(tensor);
      return [name, data instanceof Float32Array ? data : Float32Array.from(data)];
    }),
  );
}

/** Parameters, their average, or moments, read back, as they are stored: a table of codes with its codes. */
export async function storedTensors(model: SequenceModel, kind: ParameterKind) {
  const { parameters, codes } = model;
  const values = await parameters.read(kind);
  const whole = kind === 'params' || kind === 'average' ? codes : null;
  return new Map(
    Array.from(values, ([name, data]): [string, StoredTensor] => {
      const stored = { shape: [...parameters.shapeOf(name)], data };
      return [name, whole && name === ITEM_WEIGHTS ? new CodedTensor(whole, stored) : stored];
    }),
  );
}

/** @param rows that a training step reads at most @throws InputError where there are no codes for the items, or too many */
function checkCodes(
  device: Device,
  { itemCodes }: Settings,
  items: number,
  codes: ItemCodes | null,
  rows: number,
): void {
  const setting = { setting: 'settings.items', value: 'codes' };
  if (codes?.each !== itemCodes || codes.codes.length !== items * itemCodes)
    throw new InputError(
      'unsupported',
      `expected ${itemCodes} codes for each of ${items} items, which a training finds`,
      {
        ...setting,
      },
    );
  const read = Math.min(rows, items) * itemCodes;
  if (read > MAX_BUDGET)
    throw new InputError('too-large', `a step reads ${read} codes, expected at most ${MAX_BUDGET}`, {
      ...setting,
      hint: `choose a loss over samples (${option('settings.loss', 'sampled-softmax')}), or fewer negatives or itemCodes`,
    });
  if (codes.codes.length > device.maxBindingBytes)
    throw new InputError(
      'too-large',
      `${codes.codes.length} bytes of codes, this adapter binds at most ${device.maxBindingBytes}`,
      { ...setting, hint: 'choose fewer itemCodes' },
    );
}
