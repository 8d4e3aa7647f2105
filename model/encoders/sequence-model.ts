/**
 * The model of every recipe: an encoder over a history, and scores as products with the item table.
 *
 *   x = embeddings of items, and of positions        model/encoders/input.ts
 *   x = block(x)                                     for each block; model/blocks/
 *   h = LN(x);  score of item v = h · E[v]           or a mixture of cosines (head=mol): model/heads/mixture-of-logits.ts
 *
 * With a decoder, h are its states instead, over the items of a continuation; they read the encoder's by cross-attention.
 * With the recipe `sasrec` this is SASRec (Kang & McAuley, ICDM 2018) as today's literature trains it: pre-layernorm,
 * learned positions, GELU, item embeddings tied to the output layer.
 */
import { InputError, option } from '../../data/errors.ts';
import type { ItemFeatures } from '../../data/features/encoder.ts';
import {
  add,
  cachedAttention,
  crossAttention,
  type Device,
  embedding,
  fill,
  gather,
  matmul,
  normalize,
  ParameterArena,
  type ParameterSpec,
  rotaryAngles,
  shardsOf,
  slice,
  type Table,
  tableScores,
  type Tensor,
} from '../../engine/index.ts';
import {
  type Block,
  type Constants,
  Context,
  type KeyValueCache,
  type PackedTokens,
  type TrainingTokens,
  type Watch,
} from './context.ts';
import { type Cross, decoderBlock } from './decoder.ts';
import { hstu } from './hstu.ts';
import { input, sinusoids } from './input.ts';
import { ItemTower } from './item-tower.ts';
import { ligr } from './ligr.ts';
import { postNorm, preNorm, queryNorm } from './transformer.ts';
import { comparedStates, comparedTable, itemLoss } from '../heads/losses.ts';
import { MixtureHead } from '../heads/mixture-of-logits.ts';
import { ITEMS, parameterShapes, parameterSpecs, requireRoom, SIDE } from './parameters.ts';
import { requireMemory } from '../storage/memory-needed.ts';
import { requireFinite } from '../inference/ranks.ts';
import { isCloze, type Settings } from '../recipes/recipes.ts';
import type { StoredTensor } from '../storage/safetensors.ts';
import { checkParameters } from '../storage/tensors.ts';

/** What a pass through the blocks may have of its own. */
interface ContextParts {
  settings: Settings;
  table: Table;
  watch: Watch;
  cache: KeyValueCache;
}

const TRANSFORMER: Record<Settings['norm'], Block> = { pre: preNorm, post: postNorm, query: queryNorm };

/** What a model is made for besides its settings. */
export interface Catalogue {
  /** With `items=tower`: the items' attributes. */
  features?: ItemFeatures | null;
  /** How many of the first items have an embedding of their own; the others stand on their attributes alone. */
  known?: number;
  /** Rows of what stands beside the items. */
  side?: number;
}

export class SequenceModel {
  readonly device: Device;
  readonly settings: Settings;
  /** Catalogue size V. */
  readonly items: number;
  /** Rows of what stands beside the items (data/features/side-features.ts); 0: the model reads items alone. */
  readonly side: number;
  readonly parameters: ParameterArena;
  private readonly constants: Constants = {};
  /** What scores in place of products with the item table, with head=mol. */
  private readonly mixture: MixtureHead | null;
  private readonly tower: ItemTower | null;
  /** With a tower: E of the whole catalogue as of the last `refresh()`. */
  private readonly catalogue: Tensor | null;
  private stale = true;

  private constructor(
    device: Device,
    settings: Settings,
    items: number,
    specs: ParameterSpec[],
    features: ItemFeatures | null,
    known: number,
    side: number,
    frozen: boolean,
  ) {
    this.device = device;
    this.settings = settings;
    this.items = items;
    this.side = side;
    this.parameters = new ParameterArena(device, specs, { frozen });
    this.mixture = settings.head === 'mol' ? new MixtureHead(this.parameters, settings) : null;
    const { window, d, heads, positions } = settings;
    this.tower = features && new ItemTower(device, settings, this.parameters, features, known);
    this.catalogue = features && device.zeros([items, d], 'catalogue').keep();
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
    { side = 0, ...catalogue }: Catalogue = {},
  ): SequenceModel {
    const features = settings.items === 'tower' ? (catalogue.features ?? null) : null;
    if (settings.items === 'tower' && !features)
      throw new InputError('unsupported', 'the items have no attributes', {
        setting: 'settings.items',
        value: 'tower',
        hint: `give ${option('items', 'PATH')}`,
      });
    const known = features ? (catalogue.known ?? items) : items;
    const rows = { attributes: features?.rows, side };
    const parameters = parameterShapes(settings, known, rows);
    // Of a block about 12 states of width D and 3 of width F, for each token of a batch.
    const { budget, blocks, decoder, d, ff } = settings;
    const activations = seed === null ? 0 : budget * (blocks + decoder) * (12 * d + 3 * ff);
    const use = seed === null ? 'loaded' : 'trained';
    requireMemory({ parameters, activations }, use, 'choose a smaller d, ff, blocks or budget, or fewer items');
    requireRoom(device, settings, known, rows);
    try {
      const specs = parameterSpecs(settings, known, seed, rows);
      return new SequenceModel(device, settings, items, specs, features, known, side, seed === null);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error; // what an array too large for this machine throws
      const gib = ((items * settings.d * 4) / 2 ** 30).toFixed(1);
      throw new InputError(
        'too-large',
        `items.weight [${items},${settings.d}] needs ${gib} GiB four times over, more than this machine gives (${error.message})`,
        { hint: `choose a smaller d, or raise ${option('minInteractions')}` },
      );
    }
  }

  /**
   * A model with stored weights, not to be trained (it holds no gradients).
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
    const known = tensors.get(ITEMS)?.shape[0] ?? items;
    const side = tensors.get(SIDE)?.shape[0];
    const attributes = settings.items === 'tower' ? features?.rows : undefined;
    checkParameters(tensors, parameterShapes(settings, known, { attributes, side }), path);
    const model = SequenceModel.create(device, settings, items, null, { features, known, side });
    model.parameters.load('params', toArrays(tensors));
    return model;
  }

  /** To be called when weights have changed: the next `refresh()` makes the item table anew. */
  touch(): void {
    this.stale = true;
  }

  /** Makes the item table of a model with a tower, where it is not up to date; to be called before it scores. */
  async refresh(): Promise<void> {
    if (this.stale && this.tower && this.catalogue) this.device.write(this.catalogue, await this.tower.catalogue());
    this.stale = false;
  }

  /** With a tower: the item vectors [V, D] that states are compared with, made of attributes; else null. */
  async towerVectors(): Promise<Float32Array | null> {
    await this.refresh();
    return this.catalogue && requireFinite((await this.catalogue.data()) as Float32Array, 'item vectors');
  }

  /** E [V, D] of the whole catalogue, read back. */
  async itemTable(): Promise<Float32Array> {
    await this.refresh();
    if (this.catalogue) return (await this.catalogue.data()) as Float32Array;
    return (await this.parameters.read()).get(ITEMS) as Float32Array;
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
    return this.through(this.context(tokens, training, { watch, table }));
  }

  /** States [R, D] of tokens that attend to what a cache holds, each in the sequence that the cache knows. No gradient. */
  encodeNext(tokens: PackedTokens, cache: KeyValueCache): Tensor {
    return this.through(this.context(tokens, undefined, { cache }));
  }

  private context(
    tokens: PackedTokens,
    training: TrainingTokens | undefined,
    { settings = this.settings, table = this.table, watch, cache }: Partial<ContextParts>,
  ): Context {
    return new Context(settings, this.parameters, this.constants, tokens, training ?? null, table, watch, cache);
  }

  private through(c: Context): Tensor {
    const { block, blocks, norm, projection } = this.settings;
    const forward: Block = block === 'ligr' ? ligr : block === 'hstu' ? hstu : TRANSFORMER[norm];
    const first = (i: number): string => (i < blocks ? `blocks.${i}.norm1` : 'norm');
    let stream = input(c, first(0));
    for (let i = 0; i < blocks; i++) stream = forward(c, i, stream, first(i + 1));
    if (projection === 'none') return stream.n;
    return c.norm(c.linear(stream.n, 'projection', 'gelu'), 'projection.norm');
  }

  /**
   * The decoder's states [L, D] of packed continuations: token i, an item of the continuation or the history's last one
   * before it, predicts the item after it.
   * @param cross attention of each block to the encoder's states, over `crossKeys`
   */
  decode(tokens: PackedTokens, cross: Cross, training?: TrainingTokens, cache?: KeyValueCache): Tensor {
    const settings: Settings = { ...this.settings, direction: 'causal' };
    const c = this.context(tokens, training, { settings, cache });
    const first = (i: number): string => (i < settings.decoder ? `decoder.${i}.norm1` : 'decoder.norm');
    let stream = input(c, first(0), 'decoder.positions.weight');
    for (let i = 0; i < settings.decoder; i++) stream = decoderBlock(c, i, stream, first(i + 1), cross);
    return stream.n;
  }

  /** What block i of the decoder reads of the encoder's states h [L, D]: keys and values, [L, 2D]. */
  crossKeys(i: number, h: Tensor): Tensor {
    const [weight, bias] = ['weight', 'bias'].map((name) => this.parameters.get(`decoder.${i}.cross.keyvalue.${name}`));
    return matmul(h, weight, { bias });
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
    // A token that stands alone attends to itself: the result is its value.
    const alone: KeyValueCache = { attend: (_, qkv) => slice(qkv, -1, 2 * d, 3 * d) };
    return this.decode({ items, positions: none, start, end }, cross, undefined, alone);
  }

  /** The item table E [V, D] with a gradient: with a tower made anew, of the items that have a row of their own. */
  trainingTable(): Table {
    return this.tower?.forTraining() ?? this.table;
  }

  /** The training loss, a scalar: Σ weights · loss of each target, as the settings name it. */
  loss(tokens: TrainingTokens): Tensor {
    const table = this.trainingTable();
    const h = this.encode(tokens, tokens, undefined, table);
    const { masked, continuation } = tokens;
    if (continuation) {
      const { heads, dropout } = this.settings;
      const cross: Cross = (i, query) =>
        crossAttention(query, this.crossKeys(i, h), continuation.keys, { heads, dropout });
      return itemLoss(this.decode(continuation, cross, continuation), table, continuation, this.settings);
    }
    if (!masked) return itemLoss(h, table, tokens, this.settings, this.mixture);
    return itemLoss(embedding(h, masked.rows, masked.groups), table, masked, this.settings);
  }

  /** Whether scores are products of vectors, one of the user and one of the item; not so with head=mol. */
  get comparesVectors(): boolean {
    return this.mixture === null;
  }

  /**
   * Scores [U, to − from] of the items from `from` (a multiple of 64) to `to`, all by default, for states [U, D].
   * @param shift [D] added to every user's vector; only where the model compares vectors
   */
  scores(states: Tensor, from = 0, to = this.items, shift: Tensor | null = null): Tensor {
    if (this.mixture) return this.mixture.scores(states, this.table, from, to);
    const vectors = comparedStates(states, this.settings);
    return this.scoresOfVectors(shift ? add(vectors, shift) : vectors, from, to);
  }

  /** The same for users' vectors [U, D], as states are compared with items. */
  scoresOfVectors(vectors: Tensor, from = 0, to = this.items): Tensor {
    return tableScores(vectors, comparedTable(this.table, this.settings), from, to);
  }

  /** Σ weights[j] · vector of item j, [1, D], for weights [1, V]. */
  weighedItems(weights: Tensor): Tensor {
    const parts = shardsOf(comparedTable(this.table, this.settings)).map(({ tensor, first, rows }) =>
      matmul(this.device.view(weights, weights.offset + first, [1, rows], 'f32', 'weights of items'), tensor),
    );
    return parts.reduce((sum, part) => add(sum, part));
  }

  /** Scores [U, K] of the items whose rows are `ids` u32 [K], for states [U, D]. */
  scoresOf(states: Tensor, ids: Tensor): Tensor {
    const items = embedding(this.table, ids);
    const compared = this.settings.similarity === 'cosine' ? normalize(items) : items;
    return matmul(comparedStates(states, this.settings), compared, { transB: true });
  }

  /** The item table E [V, D], in shards where it is larger than one binding. */
  get table(): Table {
    return this.catalogue ?? this.parameters.table(ITEMS);
  }

  dispose(): void {
    this.tower?.dispose();
    this.catalogue?.dispose();
    this.parameters.dispose();
    for (const tensor of Object.values(this.constants)) tensor.dispose();
  }
}

/** Stored tensors as the arena takes them. */
export function toArrays(tensors: ReadonlyMap<string, StoredTensor>): Map<string, Float32Array> {
  return new Map(
    [...tensors].map(([name, t]) => [name, t.data instanceof Float32Array ? t.data : Float32Array.from(t.data)]),
  );
}
