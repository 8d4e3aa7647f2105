/** Recommendations from a trained model, by the IDs and in the words of whoever trained it. */
import { InputError, option } from '../data/errors.ts';
import { toSeconds } from '../data/formats/times.ts';
import { browserTuning, Device, type DeviceOptions } from '../engine/index.ts';
import { type Item, loadModel, type LoadedModel } from '../model/storage/folder.ts';
import type { GenerateOptions as Options } from '../model/inference/decoding.ts';
import type { Generator } from '../model/inference/generator.ts';
import { DeviceTransitions } from '../model/transitions/transitions.ts';
import type { History } from '../model/inference/packing.ts';
import { firstNonFinite, requireFinite } from '../model/inference/ranks.ts';
import { checkSettings, type Settings } from '../model/recipes/recipes.ts';
import type { StoredTensor } from '../model/storage/safetensors.ts';
import { SequenceModel } from '../model/encoders/sequence-model.ts';
import type { Scored, ScoreQuery, ScorerOptions } from '../model/inference/scorer.ts';
import { rankerOf } from '../model/ranker/store.ts';
import { type Ranking, rankingOf, type SecondStage } from '../model/ranker/two-stages.ts';
import {
  type PostProcessingOptions,
  PostProcessing,
  bestOf,
  candidatesOf,
  EXCLUDED_F32,
  RERANKED,
} from './reranking/post-processing.ts';
import type { AttentionMaps } from '../model/inference/attention-maps.ts';
import { ColdStart, type UserContext } from './cold-start.ts';
import type { Adaptation, PersonalizeSettings } from '../model/inference/personalize.ts';
import { Session } from './session.ts';
import { type ModelSource, openModel } from './sources/sources.ts';
import type { Explainer, ExplainMethod, Explanation } from './explanations/explain.ts';

export interface LoadOptions {
  backend?: DeviceOptions['backend'];
  /** A device to share; `close()` leaves it open. */
  device?: Device;
  /**
   * Kernels measured for this adapter (`attune tune`), where a device is opened. In Node they come from the cache folder
   * unless `ATTUNE_TUNE=off`, in a browser from the origin's private file system; null leaves them aside.
   */
  tuning?: DeviceOptions['tuning'] | null;
}

export interface RecommendQuery extends PostProcessingOptions, UserContext {
  /** Item IDs, oldest first; none for somebody new, who gets what is liked by people alike, or what is popular. */
  history: readonly string[];
  /**
   * When each event of the history was: seconds since 1970, or the unit that the log of the training has. Only models with
   * a bias for time (`hstu`), or trained with --events gap, hour or weekday, read them; without them events count as one
   * unit apart.
   */
  times?: readonly number[];
  /** How many to recommend, 1 to 128; 10 by default. */
  k?: number;
  /** Item IDs never to recommend. */
  exclude?: readonly string[];
  /** Recommend items of the history, too. */
  includeSeen?: boolean;
  /** Say what carried each recommendation: see recommend/explanations/explain.ts. */
  explain?: ExplainMethod;
  /** Give the maps of the model's attention over the history, too. */
  attention?: boolean;
}

export interface PersonalizeOptions extends Partial<PersonalizeSettings>, UserContext {
  /** When each event was; see {@link RecommendQuery}. */
  times?: readonly number[];
}

/** How a history is continued; all but `steps` have defaults (see model/inference/generator.ts). */
export interface GenerateOptions extends Partial<Omit<Options, 'named'>>, UserContext {
  /** When each event of the history was; see {@link RecommendQuery}. */
  times?: readonly number[];
  /** Items to continue by: up to the window of an encoder alone, up to what a decoder was trained for (10). */
  steps: number;
  /** Item IDs never to continue with. */
  exclude?: readonly string[];
  /** Items of the history may come again, too. */
  includeSeen?: boolean;
}

export interface GeneratedItem {
  id: string;
  title: string;
  attributes: Record<string, string>;
  /** Natural logarithm of the item's probability, given those before it. */
  logProbability: number;
}

export interface Continuation {
  /** In the order in which they follow; fewer than asked for where the catalogue runs out. */
  items: GeneratedItem[];
  /** Σ of the items'. */
  logProbability: number;
}

export interface GenerateAnswer extends Continuation {
  /** `decode: 'beam'`: all continuations that were followed to the end, likeliest first. */
  beams?: Continuation[];
  /** IDs of the history that the model does not know; they were skipped. */
  unknown: string[];
}

export interface Recommendation {
  id: string;
  title: string;
  /** The model's score, less the popularity penalty: comparable within one answer. */
  score: number;
  attributes: Record<string, string>;
  /** P(interaction) by the ranker, where the model has one and the item was among its candidates. */
  probability?: number;
  /** Where it was asked for. */
  explanation?: Explanation;
}

export interface Answer {
  /** Best first. */
  items: Recommendation[];
  /** IDs of the history that the model does not know; they were skipped. */
  unknown: string[];
  /** Values told of the user or the events that the model does not know, by column; they counted as unknown. */
  unseen: Record<string, number>;
  /** Where they were asked for, with the titles of the events that the model read, oldest first. */
  attention?: { maps: AttentionMaps; titles: string[] };
}

/** Settings that config.json holds. @throws InputError where they make no model */
export function settingsOf(loaded: Pick<LoadedModel, 'config'>): Settings {
  if (loaded.config.task) {
    throw new InputError(
      'invalid-value',
      `a model of ratings (${option('task', loaded.config.task)}) does not rank next items`,
      { hint: 'predict ratings with it (RatingPredictor)' },
    );
  }
  return checkSettings(loaded.config.hyperparameters as unknown as Settings);
}

/** What a scorer takes to blend the memory in; null where the transformer scores alone. */
export function blendOf({ remembering }: LoadedModel, memory: DeviceTransitions | null): ScorerOptions['blend'] {
  return remembering && memory ? { transitions: memory, weights: remembering.blend } : null;
}

/**
 * The second stage on a device, where the model has one that helps; with `idle` one that does not, too, to be judged. The
 * caller disposes of its ranker.
 */
export function secondStageOf(device: Device, loaded: LoadedModel, idle = false): SecondStage | null {
  const { ranking, items, features } = loaded;
  if (!ranking || (ranking.stages.weight === 0 && !idle)) return null;
  const ranker = rankerOf(device, ranking, { settings: settingsOf(loaded), items, features });
  return { ranker, weight: ranking.stages.weight };
}

export class Recommender {
  readonly device: Device;
  readonly loaded: LoadedModel;
  private readonly model: SequenceModel;
  private readonly memory: DeviceTransitions | null;
  private readonly rows: Map<string, number>;
  private readonly second: SecondStage | null;
  private readonly scorers = new Map<string, Ranking>();
  private readonly after: PostProcessing;
  private readonly newcomers: ColdStart;
  private turn: Promise<unknown> = Promise.resolve();
  private readonly ownsDevice: boolean;
  private closed = false;
  private explainer: Explainer | null = null;
  private learned: Adaptation | null = null;
  private generating: { key: string; generator: Generator } | undefined;

  private constructor(device: Device, ownsDevice: boolean, loaded: LoadedModel) {
    this.device = device;
    this.ownsDevice = ownsDevice;
    this.loaded = loaded;
    this.rows = new Map(loaded.items.map((item, row) => [item.id, row]));
    this.model = SequenceModel.load(
      device,
      settingsOf(loaded),
      loaded.items.length,
      loaded.tensors,
      loaded.features,
      loaded.path,
    );
    this.memory = loaded.remembering && new DeviceTransitions(device, loaded.remembering.memory);
    this.second = secondStageOf(device, loaded);
    this.after = new PostProcessing(loaded.items, this.rows, loaded.tensors.get('items.weight'));
    this.newcomers = new ColdStart(loaded);
  }

  /**
   * Opens a model: the address of a folder or of a packed model, a file, a folder picked in the browser, bytes; in Node,
   * the path of either.
   * @throws InputError, one line, when there is no model or it is damaged
   */
  static async load(source: ModelSource, options: LoadOptions = {}): Promise<Recommender> {
    const loaded = await loadModel(await openModel(source));
    const tuning = options.tuning === undefined ? browserTuning() : (options.tuning ?? undefined);
    const device = options.device ?? (await Device.open({ backend: options.backend ?? 'auto', tuning }));
    const recommender = new Recommender(device, !options.device, loaded);
    const vectors = await recommender.model.towerVectors();
    if (vectors) recommender.after.useVectors(vectors);
    return recommender;
  }

  get items(): readonly Item[] {
    return this.loaded.items;
  }

  /** Item vectors [V, D] that states are compared with: learned, or made of attributes; undefined where there are none. */
  get itemVectors(): StoredTensor | undefined {
    return this.after.table;
  }

  /**
   * The k best items to come after a history; fewer where filters or caps leave no more.
   * @throws InputError when no ID of the history is known, k is out of range, or an option makes no sense for this model
   */
  async recommend(query: RecommendQuery): Promise<Answer> {
    const k = query.k ?? 10;
    if (!Number.isInteger(k) || k < 1 || k > 128)
      throw new InputError('invalid-value', 'expected an integer from 1 to 128', { setting: 'k', value: k });
    const { result, unseen } = this.newcomers.counting(() => this.knownOf(query));
    const { unknown, ...known } = result;
    const { history } = known;
    const excluded = (query.exclude ?? []).flatMap((id) => this.rows.get(id) ?? []);
    if (!query.includeSeen) for (const row of history) excluded.push(row);
    const { bias, rerank } = this.after.plan(query);
    const prior = this.newcomers.prior(query, history.length);
    const all =
      bias && prior ? prior.map((x, v) => (bias[v] === EXCLUDED_F32 ? EXCLUDED_F32 : x + bias[v])) : (bias ?? prior);
    const scoring = { ...known, exclude: Uint32Array.from(new Set(excluded)) };
    const most = rerank ? RERANKED : k;
    const likely = new Map<number, number>();
    const best =
      history.length === 0
        ? bestOf(all as Float32Array, scoring.exclude, most)
        : await this.inTurn(() => this.score(scoring, most, all)).then(({ items, scores, probabilities }) => {
            probabilities?.forEach((p, i) => likely.set(items[i], p));
            return candidatesOf(items, scores);
          });
    requireFinite(
      best.map(({ score }) => score),
      'scores',
    );
    const items = (rerank ? rerank(best, k) : best).map(({ row, score }): Recommendation => {
      const { id, title, attributes } = this.loaded.items[row];
      const probability = likely.get(row);
      return { id, title, score, attributes, ...(probability !== undefined && { probability }) };
    });
    return {
      items,
      unknown,
      unseen,
      ...(history.length > 0 ? await this.explain(query, items) : {}),
    };
  }

  /**
   * Compiles and records what a list of k items takes, for histories of every length, so that no query waits for it later.
   * Queries that come meanwhile take their turn between the lengths. On the CPU there is nothing to compile.
   */
  async warmUp(k = 10): Promise<void> {
    if (!this.device.gpu) return;
    const { window } = this.model.settings;
    for (let length = 64; ; length *= 2) {
      const history = Array.from({ length: Math.min(length, window) }, (_, i) => this.items[i % this.items.length].id);
      await this.recommend({ history, k, includeSeen: true });
      if (this.closed || length >= window) return;
    }
  }

  /**
   * Adapts to one visitor on this device, by a vector learned from the history (model/inference/personalize.ts); the model itself stays
   * untouched, and every list is for that visitor until `forget()`. Learns anew each time. What it gains depends on the
   * model: README.md has figures.
   * @throws InputError when fewer than two IDs of the history are known, an option makes no sense, or the model has a
   *   mixture-of-logits head
   */
  async personalize(history: readonly string[], options: PersonalizeOptions = {}): Promise<Adaptation> {
    const { PERSONALIZE, personalize } = await import('../model/inference/personalize.ts'); // loaded by pages that adapt, alone
    const {
      steps = PERSONALIZE.steps,
      learningRate = PERSONALIZE.learningRate,
      recency = PERSONALIZE.recency,
      ...told
    } = options;
    if (!Number.isInteger(steps) || steps < 1 || steps > 1000)
      throw new InputError('invalid-value', `steps=${steps}: a whole number from 1 to 1000 was expected`);
    if (!(learningRate > 0))
      throw new InputError('invalid-value', `learningRate=${learningRate}: a number above 0 was expected`);
    if (!(recency > 0 && recency <= 1))
      throw new InputError('invalid-value', `recency=${recency}: a number above 0 and at most 1 was expected`);
    const visitor = this.knownOf({ ...told, history });
    const { seen } = this.loaded.config;
    this.learned = await this.inTurn(() => personalize(this.model, visitor, seen, { steps, learningRate, recency }));
    return this.learned;
  }

  /** Takes up an adaptation again that `personalize` gave for this model. @throws InputError where it does not fit */
  adopt(adaptation: Adaptation): void {
    const { d } = this.model.settings;
    if (adaptation.vector?.length !== d || !this.model.comparesVectors || firstNonFinite(adaptation.vector) >= 0)
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

  /** A visit that goes on, from a history or from none: see {@link Session}. The query holds for all of its lists. */
  session(query: Partial<RecommendQuery> = {}): Session {
    return new Session(this, query);
  }

  /** The events whose items the model knows, and the IDs of the others. @throws InputError when it knows none of several */
  private knownOf(query: Pick<RecommendQuery, 'history' | 'times'> & UserContext): History & { unknown: string[] } {
    const { times } = query;
    if (times && times.length !== query.history.length) {
      throw new InputError(
        'invalid-value',
        `times: one for each of the ${query.history.length} items of the history was expected, came ${times.length}`,
      );
    }
    const { history, known, unknown } = this.rowsOf(query.history, times);
    const positions = query.history.flatMap((id, i) => (this.rows.has(id) ? [i] : []));
    return {
      history: Uint32Array.from(history),
      times: times && toSeconds(known),
      side: this.newcomers.side(query, positions, query.history.length, times),
      unknown,
    };
  }

  /**
   * Continues a history by several items, each predicted from all before it: by the transformer, and the memory where
   * `recommend` blends it in. Where the model reads users and events, nothing is known of the events to come.
   * @throws InputError when no ID of the history is known, an option is out of range, or the model cannot continue one
   */
  async generate(history: readonly string[], options: GenerateOptions): Promise<GenerateAnswer> {
    const { exclude = [], includeSeen, times, user, ratings, context, beside, ...rest } = options;
    if (history.length === 0)
      throw new InputError('invalid-value', 'the history is empty', {
        hint: 'name at least one item to continue from',
      });
    const told = { user, ratings, context, beside };
    const found = this.knownOf({ history, times, ...told });
    const given = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined));
    const excluded = exclude.flatMap((id) => this.rows.get(id) ?? []);
    if (!includeSeen) for (const row of found.history) excluded.push(row);
    const next = this.newcomers.next(told);
    const query = { history: found.history, side: found.side, next, exclude: Uint32Array.from(new Set(excluded)) };
    const [answer] = await this.inTurn(() =>
      this.generator({ ...given, steps: rest.steps }).then((g) => g.generate([query])),
    );
    const named = ({ items, logs, total }: { items: number[]; logs: number[]; total: number }): Continuation => ({
      items: items.map((row, i) => ({ ...this.loaded.items[row], logProbability: logs[i] })),
      logProbability: total,
    });
    const beams = rest.decode === 'beam' ? { beams: answer.beams.map(named) } : {};
    return { ...named(answer), ...beams, unknown: found.unknown };
  }

  /** The last options' generator is kept: its programs are recorded. */
  private async generator(options: Partial<Options> & { steps: number }): Promise<Generator> {
    const { Generator } = await import('../model/inference/generator.ts'); // loaded by pages that continue histories, alone
    const key = JSON.stringify(options);
    if (this.generating?.key !== key) {
      this.generating?.generator.dispose();
      this.generating = undefined;
      this.generating = { key, generator: new Generator(this.model, options, blendOf(this.loaded, this.memory)) };
    }
    return this.generating.generator;
  }

  /** Rows of the IDs that are known, the times of those, and the IDs that are not. @throws InputError where none of several is */
  private rowsOf(ids: readonly string[], times?: readonly number[]) {
    const unknown: string[] = [];
    const history: number[] = [];
    const known: number[] = [];
    ids.forEach((id, i) => {
      const row = this.rows.get(id);
      if (row === undefined) unknown.push(id);
      else {
        history.push(row);
        if (times) known.push(times[i]);
      }
    });
    if (history.length === 0 && ids.length > 0) {
      throw new InputError(
        'unknown-id',
        `none of the ${ids.length} items of the history is known to the model (${ids.slice(0, 3).join(', ')}${ids.length > 3 ? ', …' : ''})`,
      );
    }
    return { history, known, unknown };
  }

  /** Adds explanations to the recommendations, and gives the maps of attention, where they are asked for. */
  private async explain(query: RecommendQuery, items: Recommendation[]): Promise<Pick<Answer, 'attention'>> {
    if (!query.explain && !query.attention) return {};
    if (!this.explainer) {
      const { Explainer } = await import('./explanations/explain.ts'); // loaded by pages that explain, alone
      this.explainer ??= new Explainer(this.model, this.loaded);
    }
    const positions = query.history.flatMap((id, i) => (this.rows.has(id) ? [i] : []));
    const history = Uint32Array.from(positions, (i) => this.rows.get(query.history[i]) as number);
    const times = query.times && toSeconds(positions.map((i) => query.times?.[i] as number));
    const side = this.newcomers.side(query, positions, query.history.length, query.times);
    if (query.explain) {
      const rows = Uint32Array.from(items, ({ id }) => this.rows.get(id) as number);
      const explanations = await this.explainer.explain({ history, times, side, positions }, rows, query.explain);
      explanations.forEach((explanation, i) => {
        items[i].explanation = explanation;
      });
    }
    if (!query.attention) return {};
    const maps = await this.explainer.maps({ history, times, side });
    const read = history.subarray(history.length - maps.events);
    return { attention: { maps, titles: Array.from(read, (row) => this.loaded.items[row].title) } };
  }

  /** Queries share buffers: one at a time, in the order they came. */
  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.turn.then(work);
    this.turn = mine.catch(() => {});
    return mine;
  }

  private async score(query: ScoreQuery, k: number, bias: Float32Array | null): Promise<Scored> {
    const [scored] = await this.scorer(k, bias, this.learned?.vector ?? null).score([query]);
    return scored;
  }

  private scorer(k: number, bias: Float32Array | null, shift: Float32Array | null): Ranking {
    const key = `${k}${bias ? ' biased' : ''}${shift ? ' personal' : ''}`;
    let scorer = this.scorers.get(key);
    if (!scorer) {
      const blend = blendOf(this.loaded, this.memory);
      scorer = rankingOf(this.model, this.second, { k, blend, bias: bias ?? undefined, shift: shift ?? undefined });
      this.scorers.set(key, scorer);
    } else {
      if (bias) scorer.setBias(bias);
      if (shift) scorer.setShift(shift);
    }
    return scorer;
  }

  /** Frees the model, and the device unless it was given. */
  close(): void {
    this.closed = true;
    for (const scorer of this.scorers.values()) scorer.dispose();
    this.explainer?.dispose();
    this.generating?.generator.dispose();
    this.model.dispose();
    this.second?.ranker.dispose();
    this.memory?.dispose();
    if (this.ownsDevice) this.device.close();
    else this.device.gpu?.buffers.trim(); // its buffers go back to the system, not to the next model alone
  }
}
