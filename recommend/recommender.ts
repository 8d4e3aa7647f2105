/** Recommendations from a trained model, by the item IDs and columns that it was trained with. */
import { InputError } from '../data/errors.ts';
import { SideFeatureEncoder } from '../data/features/event-encoder.ts';
import type { Device } from '../engine/index.ts';
import type { DecodingOptions, Path } from '../model/inference/decoding.ts';
import type { Generator } from '../model/inference/generator.ts';
import type { Adaptation } from '../model/inference/personalize.ts';
import { MAX_TOKENS as MOST_TOKENS, MIN_TOKENS, roundUp } from '../model/inference/batcher.ts';
import {
  currentTime,
  type EncodedQuery,
  encodeQuery,
  nextEventFeatures,
  type Query,
  type QueryModel,
  readsNow,
} from '../model/inference/query.ts';
import { RankingModel } from '../model/inference/ranking-model.ts';
import { firstNonFinite, requireFinite } from '../model/inference/ranks.ts';
import type { Scored, ScoreQuery } from '../model/inference/scored.ts';
import type { ListScorer } from '../model/ranker/two-stages.ts';
import type { Item } from '../model/storage/config.ts';
import { type LoadedModel, loadModel } from '../model/storage/load-model.ts';
import type { StoredTensor } from '../model/storage/safetensors.ts';
import { withCatalog } from '../model/storage/with-catalog.ts';
import { coldStartScores } from './cold-start.ts';
import type { Explainer } from './explanations/explain.ts';
import { chooseDevice } from './choose-device.ts';
import type { LoadOptions } from './load-options.ts';
import {
  bestOf,
  candidatesOf,
  EXCLUDED_F32,
  PostProcessing,
  type PostProcessingPlan,
  RERANKED,
} from './reranking/post-processing.ts';
import type { Candidate } from './reranking/rerank.ts';
import { BatchQueue, type QueryOutcome } from './batch-queue.ts';
import { SerialQueue } from './serial-queue.ts';
import { Session } from './session.ts';
import { type ModelSource, openModel } from './sources/sources.ts';
import type {
  Answer,
  Continuation,
  GenerateAnswer,
  GenerateOptions,
  PersonalizeOptions,
  Recommendation,
  RecommendQuery,
} from './types.ts';

/** Lists of a batch at most. */
const BATCH = 16;
/** Items that a scorer lists at least. */
const LENGTH = 32;

interface ListQuery {
  query: RecommendQuery;
  k: number;
}

/** A list without explanations, and the query as the model read it. */
interface List {
  encoded: EncodedQuery;
  items: Recommendation[];
}

interface Planned {
  encoded: EncodedQuery;
  k: number;
  /** [V] added to the scores; all there is for an empty history. */
  bias: Float32Array | null;
  exclude: Uint32Array;
  /** Candidates that the scorer names. */
  most: number;
  rerank: PostProcessingPlan['rerank'];
}

export class Recommender {
  readonly device: Device;
  /** The model as it was loaded, with the catalog of now. */
  loaded: LoadedModel;
  private readonly ownsDevice: boolean;
  private model: RankingModel;
  private reader: QueryModel;
  private postProcessing: PostProcessing;
  private readonly scorers = new Map<string, { scorer: ListScorer; bias: Float32Array | null }>();
  private readonly queue = new SerialQueue();
  private readonly lists: BatchQueue<ListQuery, List>;
  private explainer: Explainer | null = null;
  private generating: { key: string; generator: Generator } | undefined;
  private learned: Adaptation | null = null;
  private closed = false;

  private constructor(
    device: Device,
    ownsDevice: boolean,
    loaded: LoadedModel,
    model: RankingModel,
    tower: Float32Array | null,
    onBatch: LoadOptions['onBatch'],
  ) {
    this.lists = new BatchQueue(this.queue, BATCH, (asked) => this.makeLists(asked), onBatch);
    this.device = device;
    this.ownsDevice = ownsDevice;
    this.loaded = loaded;
    this.model = model;
    const { users, events } = loaded.config.schema;
    this.reader = {
      rows: rowsOf(loaded),
      encoder: users || events ? new SideFeatureEncoder({ users, events }) : null,
    };
    this.postProcessing = postProcessingOf(loaded, this.reader.rows, tower);
  }

  /**
   * Takes another catalog: titles and attributes anew, and more items after the model's own where the model reads attributes
   * (an item tower). Queries that are being answered finish on the old one.
   * @throws InputError where the model's own items are not first, or it cannot read more
   */
  async updateCatalog(items: readonly Item[]): Promise<void> {
    await this.queue.run(async () => {
      const loaded = withCatalog(this.loaded, [...items]);
      const model = loaded.features ? await RankingModel.load(this.device, loaded) : null;
      const tower = await (model ?? this.model).encoder.towerVectors();
      this.explainer?.dispose();
      this.explainer = null;
      if (model) {
        this.freeModel();
        this.model = model;
      }
      this.loaded = loaded;
      this.reader = { ...this.reader, rows: rowsOf(loaded) };
      this.postProcessing = postProcessingOf(loaded, this.reader.rows, tower);
    });
  }

  /**
   * Opens a model: the address of a folder or of a packed model, a file, a folder picked in the browser, bytes; in Node,
   * the path of either.
   * @throws InputError, one line, when there is no model or it is damaged
   */
  static async load(source: ModelSource, options: LoadOptions = {}): Promise<Recommender> {
    return Recommender.of(await loadModel(await openModel(source)), options);
  }

  /** A recommender of a model that was read before. */
  static async of(loaded: LoadedModel, options: LoadOptions = {}): Promise<Recommender> {
    const device = await chooseDevice(loaded, options);
    const model = await RankingModel.load(device, loaded);
    const tower = await model.encoder.towerVectors();
    return new Recommender(device, !options.device, loaded, model, tower, options.onBatch);
  }

  get items(): readonly Item[] {
    return this.loaded.items;
  }

  /** Item vectors [V, D] that states are compared with: learned, or made of attributes; undefined where there are none. */
  get itemVectors(): StoredTensor | undefined {
    return this.postProcessing.vectors;
  }

  /**
   * The k best next items after a history; fewer where filters or caps leave no more.
   * @throws InputError when no ID of the history is known, k is out of range, or an option makes no sense for this model
   */
  async recommend(query: RecommendQuery): Promise<Answer> {
    const k = query.k ?? 10;
    if (!Number.isInteger(k) || k < 1 || k > 128)
      throw new InputError('invalid-value', 'expected an integer from 1 to 128', { setting: 'k', value: k });
    const { encoded, items } = await this.lists.add({ query, k });
    const { unknown, unseen } = encoded;
    const explained = encoded.history.length > 0 ? await this.explain(query, encoded, items) : {};
    return { items, unknown, unseen, ...explained };
  }

  /** Lists without explanations; those with the same bias are scored in one batch. */
  private async makeLists(asked: readonly ListQuery[]): Promise<QueryOutcome<List>[]> {
    const outcomes: QueryOutcome<List>[] = new Array(asked.length);
    const attempt = (i: number, work: () => void): void => {
      try {
        work();
      } catch (error) {
        outcomes[i] = { error };
      }
    };
    const groups = new Map<Float32Array | null, { i: number; planned: Planned }[]>();
    asked.forEach(({ query, k }, i) =>
      attempt(i, () => {
        const planned = this.planList(query, k);
        const { encoded, bias, exclude, most } = planned;
        if (encoded.history.length === 0) {
          const best = bestOf(bias as Float32Array, exclude, most);
          outcomes[i] = { answer: this.finishList(planned, best) };
        } else groups.set(bias, [...(groups.get(bias) ?? []), { i, planned }]);
      }),
    );
    for (const [bias, group] of groups) {
      const queries = group.map(({ planned: { encoded, exclude } }) => ({ ...encoded, exclude }));
      const scored = await this.score(
        queries,
        group.reduce((k, { planned }) => Math.max(k, planned.most), 1),
        bias,
      );
      group.forEach(({ i, planned }, at) =>
        attempt(i, () => {
          const { items, scores, probabilities } = scored[at];
          const { most } = planned;
          const best = candidatesOf(items.subarray(0, most), scores.subarray(0, most));
          outcomes[i] = { answer: this.finishList(planned, best, probabilities) };
        }),
      );
    }
    return outcomes;
  }

  /** Whether lists depend on when they are asked for: on `now` of a query. */
  get readsNow(): boolean {
    return readsNow(this.model.encoder.settings, this.reader);
  }

  /** Where the model reads when it is asked, that is now unless the query says otherwise; others ignore it. */
  private encode(query: Query): EncodedQuery {
    if (!this.readsNow) return encodeQuery(this.reader, { ...query, now: null });
    const asksNow = query.now === undefined && query.features === undefined;
    return encodeQuery(this.reader, asksNow ? { ...query, now: currentTime(query.times) } : query);
  }

  private planList(query: RecommendQuery, k: number): Planned {
    const encoded = this.encode(query);
    const { bias: filter, rerank } = this.postProcessing.plan(query);
    const prior = coldStartScores(this.loaded, this.reader.encoder, query.user, encoded.history.length);
    const bias =
      filter && prior
        ? prior.map((score, v) => (filter[v] === EXCLUDED_F32 ? EXCLUDED_F32 : score + filter[v]))
        : (filter ?? prior);
    return { encoded, k, bias, rerank, exclude: this.excluded(encoded, query), most: rerank ? RERANKED : k };
  }

  /** @param probabilities of the best, in their order */
  private finishList({ encoded, k, rerank }: Planned, best: Candidate[], probabilities?: Float32Array): List {
    requireFinite(
      best.map(({ score }) => score),
      'scores',
    );
    const likely = new Map(Array.from(probabilities ?? [], (p, i) => [best[i]?.row, p]));
    const items = (rerank ? rerank(best, k, encoded.history) : best).map(({ row, score }): Recommendation => {
      const { id, title, attributes } = this.loaded.items[row];
      const probability = likely.get(row);
      return { id, title, score, attributes, ...(probability !== undefined && { probability }) };
    });
    return { encoded, items };
  }

  /**
   * Compiles and records what lists of k items take, for histories of every length and up to so many queries at once, so that
   * no query waits for it later.
   * Queries that come meanwhile take their turn between the lengths. On the CPU there is nothing to compile.
   */
  async warmUp(k = 10, queries = 1): Promise<void> {
    if (!this.device.gpu) return;
    const { window } = this.model.encoder.settings;
    for (let asked = 1; asked < 2 * queries; asked *= 2) {
      const most = Math.min(MOST_TOKENS / asked, window);
      for (let length = Math.max(1, MIN_TOKENS / asked); ; length = Math.min(most, 2 * length)) {
        const history = Array.from({ length }, (_, i) => this.items[i % this.items.length].id);
        await Promise.all(Array.from({ length: asked }, () => this.recommend({ history, k, includeSeen: true })));
        if (this.closed) return;
        if (length >= most) break;
      }
    }
  }

  /**
   * Adapts to one visitor on this device, by a vector learned from the history (model/inference/personalize.ts); the model
   * itself stays as it is, and every list is for that visitor until `forget()`. Starts anew each time.
   * @throws InputError when fewer than two IDs of the history are known, an option makes no sense, or the model has a
   *   mixture-of-logits head
   */
  async personalize(history: readonly string[], options: PersonalizeOptions = {}): Promise<Adaptation> {
    const { PERSONALIZE, personalize } = await import('../model/inference/personalize.ts'); // loaded only by pages that adapt
    const {
      steps = PERSONALIZE.steps,
      learningRate = PERSONALIZE.learningRate,
      recency = PERSONALIZE.recency,
      ...context
    } = options;
    if (!Number.isInteger(steps) || steps < 1 || steps > 1000)
      throw new InputError('invalid-value', 'expected an integer from 1 to 1000', { setting: 'steps', value: steps });
    if (!(learningRate > 0))
      throw new InputError('invalid-value', 'expected a number above 0', {
        setting: 'learningRate',
        value: learningRate,
      });
    if (!(recency > 0 && recency <= 1))
      throw new InputError('invalid-value', 'expected a number above 0 and at most 1', {
        setting: 'recency',
        value: recency,
      });
    const visitor = this.encode({ ...context, history });
    const { seen } = this.loaded.config;
    const settings = { steps, learningRate, recency };
    this.learned = await this.queue.run(() => personalize(this.model.encoder, visitor, seen, settings));
    return this.learned;
  }

  /** Takes up an adaptation that `personalize` made for this model. @throws InputError where it does not fit */
  adopt(adaptation: Adaptation): void {
    const { settings, comparesVectors } = this.model.encoder;
    const { d } = settings;
    if (adaptation.vector?.length !== d || !comparesVectors || firstNonFinite(adaptation.vector) >= 0)
      throw new InputError(
        'mismatched-data',
        `adopt: expected an adaptation of ${d} finite numbers; this one comes from another model`,
      );
    this.learned = adaptation;
  }

  /** Undoes `personalize` and `adopt`: lists are the model's own again, bit for bit. */
  forget(): void {
    this.learned = null;
  }

  /** What was learned of the visitor, to be kept and given to `adopt` another time; null without. */
  get adaptation(): Adaptation | null {
    return this.learned;
  }

  /** A visit, which starts with a history or without: see {@link Session}. The query holds for all of its lists. */
  session(query: Partial<RecommendQuery> = {}): Session {
    return new Session(this, query);
  }

  /**
   * Continues a history by several items, each predicted from all before it: by the transformer, and the item transitions
   * where `recommend` blends them in. Where the model reads side features, nothing is known of the events to come.
   * @throws InputError when no ID of the history is known, an option is out of range, or the model cannot continue one
   */
  async generate(history: readonly string[], options: GenerateOptions): Promise<GenerateAnswer> {
    const { exclude, includeSeen, times, now, user, ratings, context, features, ...rest } = options;
    if (history.length === 0)
      throw new InputError('invalid-value', 'the history is empty', {
        hint: 'name at least one item to continue from',
      });
    const encoded = this.encode({ history, times, now, user, ratings, context, features });
    const query = {
      ...encoded,
      next: nextEventFeatures(this.reader, user),
      exclude: this.excluded(encoded, { exclude, includeSeen }),
    };
    const given = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined));
    const [answer] = await this.queue.run(async () =>
      (await this.generator({ ...given, steps: rest.steps })).generate([query]),
    );
    const named = ({ items, logs, total }: Path): Continuation => ({
      items: items.map((row, i) => ({ ...this.loaded.items[row], logProbability: logs[i] })),
      logProbability: total,
    });
    const beams = rest.decode === 'beam' ? { beams: answer.beams.map(named) } : {};
    return { ...named(answer), ...beams, unknown: encoded.unknown };
  }

  /** The generator of the last options is kept: its programs are recorded. */
  private async generator(options: Partial<DecodingOptions> & { steps: number }): Promise<Generator> {
    const { Generator } = await import('../model/inference/generator.ts'); // loaded only by pages that continue histories
    const key = JSON.stringify(options);
    if (this.generating?.key !== key) {
      this.generating?.generator.dispose();
      this.generating = undefined;
      this.generating = { key, generator: new Generator(this.model.encoder, options, this.model.blend) };
    }
    return this.generating.generator;
  }

  /** Rows that are no candidates: those that the query excludes, and those of the history unless it keeps them. */
  private excluded(
    { history }: EncodedQuery,
    { exclude = [], includeSeen }: Pick<RecommendQuery, 'exclude' | 'includeSeen'>,
  ): Uint32Array {
    const rows = exclude.flatMap((id) => this.reader.rows.get(id) ?? []);
    return Uint32Array.from(new Set([...rows, ...(includeSeen ? [] : history)]));
  }

  /** Adds explanations to the recommendations, and returns the maps of attention, where they are asked for. */
  private async explain(
    query: RecommendQuery,
    encoded: EncodedQuery,
    items: Recommendation[],
  ): Promise<Pick<Answer, 'attention'>> {
    const { explain: method, attention } = query;
    if (!method && !attention) return {};
    const { Explainer } = await import('./explanations/explain.ts'); // loaded only by pages that explain
    this.explainer ??= new Explainer(this.model.encoder, this.loaded);
    const { explainer } = this;
    return this.queue.run(async () => {
      if (method) {
        const rows = Uint32Array.from(items, ({ id }) => this.reader.rows.get(id) as number);
        const explanations = await explainer.explain(encoded, rows, method);
        explanations.forEach((explanation, i) => {
          items[i].explanation = explanation;
        });
      }
      if (!attention) return {};
      const maps = await explainer.maps(encoded);
      const read = encoded.history.subarray(encoded.history.length - maps.events);
      return { attention: { maps, titles: Array.from(read, (row) => this.loaded.items[row].title) } };
    });
  }

  /** @param k how many at least; lists of several lengths share a program */
  private score(queries: readonly ScoreQuery[], k: number, bias: Float32Array | null): Promise<Scored[]> {
    const shift = this.learned?.vector ?? null;
    const length = Math.min(RERANKED, roundUp(k, LENGTH));
    const key = `${length}${bias ? ' biased' : ''}${shift ? ' personal' : ''}`;
    let made = this.scorers.get(key);
    if (made) {
      if (bias && made.bias !== bias) made.scorer.setBias(bias);
      if (shift) made.scorer.setShift(shift);
    } else {
      const scorer = this.model.scorer({ k: length, bias: bias ?? undefined, shift: shift ?? undefined });
      made = { scorer, bias };
      this.scorers.set(key, made);
    }
    made.bias = bias;
    return made.scorer.score(queries);
  }

  private freeModel(): void {
    for (const { scorer } of this.scorers.values()) scorer.dispose();
    this.scorers.clear();
    this.explainer?.dispose();
    this.explainer = null;
    this.generating?.generator.dispose();
    this.generating = undefined;
    this.model.dispose();
  }

  /** Frees the model, and the device unless it was given. */
  close(): void {
    this.closed = true;
    this.freeModel();
    if (this.ownsDevice) this.device.close();
    else this.device.gpu?.buffers.trim(); // its buffers go back to the system, not to the next model alone
  }
}

const rowsOf = ({ items }: LoadedModel): Map<string, number> => new Map(items.map(({ id }, row) => [id, row]));

function postProcessingOf(
  { items, tensors }: LoadedModel,
  rows: ReadonlyMap<string, number>,
  tower: Float32Array | null,
): PostProcessing {
  const postProcessing = new PostProcessing(items, rows, tensors.get('items.weight'));
  return tower ? postProcessing.withVectors(tower) : postProcessing;
}
