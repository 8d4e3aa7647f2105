/** Recommendations from a trained model, by the IDs and in the words of whoever trained it. */
import { InputError } from '../data/errors.ts';
import { toSeconds } from '../data/times.ts';
import { browserTuning, Device, type DeviceOptions } from '../engine/index.ts';
import { type Item, loadModel, type LoadedModel } from '../model/folder.ts';
import { DeviceMemory } from '../model/memory.ts';
import { checkSettings, type Settings } from '../model/recipes.ts';
import { SequenceModel } from '../model/sequence-model.ts';
import { type Scored, Scorer, type ScoreQuery, type ScorerOptions } from '../model/scorer.ts';
import { type AfterOptions, AfterScore, bestOf, candidatesOf, LEFT_OUT_F32, RERANKED } from './after.ts';
import type { AttentionMaps } from '../model/attention-maps.ts';
import { Newcomers, type Told } from './newcomers.ts';
import { Session } from './session.ts';
import { type ModelSource, openModel } from './sources.ts';
import { Explainer, type ExplainMethod, type Explanation } from './explain.ts';

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

export interface RecommendQuery extends AfterOptions, Told {
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
  /** Say what carried each recommendation: see serve/explain.ts. */
  explain?: ExplainMethod;
  /** Give the maps of the model's attention over the history, too. */
  attention?: boolean;
}

export interface Recommendation {
  id: string;
  title: string;
  /** The model's score, less the popularity penalty: comparable within one answer. */
  score: number;
  attributes: Record<string, string>;
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
      `a model of ratings (--task ${loaded.config.task}), which ranks no next items; it works with attune evaluate, attune recommend and RatingPredictor`,
    );
  }
  return checkSettings(loaded.config.hyperparameters as unknown as Settings);
}

/** What a scorer takes to blend the memory in; null where the transformer scores alone. */
export function blendOf({ remembering }: LoadedModel, memory: DeviceMemory | null): ScorerOptions['blend'] {
  return remembering && memory ? { memory, weights: remembering.blend } : null;
}

export class Recommender {
  readonly device: Device;
  readonly loaded: LoadedModel;
  private readonly model: SequenceModel;
  private readonly memory: DeviceMemory | null;
  private readonly rows: Map<string, number>;
  private readonly scorers = new Map<string, Scorer>();
  private readonly after: AfterScore;
  private readonly newcomers: Newcomers;
  private turn: Promise<unknown> = Promise.resolve();
  private readonly ownsDevice: boolean;
  private explainer: Explainer | null = null;

  private constructor(device: Device, ownsDevice: boolean, loaded: LoadedModel) {
    this.device = device;
    this.ownsDevice = ownsDevice;
    this.loaded = loaded;
    this.rows = new Map(loaded.items.map((item, row) => [item.id, row]));
    this.model = SequenceModel.load(device, settingsOf(loaded), loaded.items.length, loaded.tensors, loaded.features);
    this.memory = loaded.remembering && new DeviceMemory(device, loaded.remembering.memory);
    this.after = new AfterScore(loaded.items, this.rows, loaded.tensors.get('items.weight'));
    this.newcomers = new Newcomers(loaded);
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

  /**
   * The k best items to come after a history; fewer where filters or caps leave no more.
   * @throws InputError when no ID of the history is known, k is out of range, or an option makes no sense for this model
   */
  async recommend(query: RecommendQuery): Promise<Answer> {
    const k = query.k ?? 10;
    if (!Number.isInteger(k) || k < 1 || k > 128)
      throw new InputError(`k=${k}: a whole number from 1 to 128 was expected`);
    const { times } = query;
    if (times && times.length !== query.history.length) {
      throw new InputError(
        `times: one for each of the ${query.history.length} items of the history was expected, came ${times.length}`,
      );
    }
    const unknown: string[] = [];
    const history: number[] = [];
    const known: number[] = [];
    query.history.forEach((id, i) => {
      const row = this.rows.get(id);
      if (row === undefined) unknown.push(id);
      else {
        history.push(row);
        if (times) known.push(times[i]);
      }
    });
    if (history.length === 0 && query.history.length > 0) {
      throw new InputError(
        `none of the ${query.history.length} items of the history is known to the model (${query.history.slice(0, 3).join(', ')}${query.history.length > 3 ? ', …' : ''})`,
      );
    }
    const excluded = (query.exclude ?? []).flatMap((id) => this.rows.get(id) ?? []);
    if (!query.includeSeen) excluded.push(...history);
    const { bias, rerank } = this.after.plan(query);
    const before = new Map(this.newcomers.unseen);
    const prior = this.newcomers.prior(query, history.length);
    const all =
      bias && prior ? prior.map((x, v) => (bias[v] === LEFT_OUT_F32 ? LEFT_OUT_F32 : x + bias[v])) : (bias ?? prior);
    const positions = query.history.flatMap((id, i) => (this.rows.has(id) ? [i] : []));
    const scoring = {
      history: Uint32Array.from(history),
      times: times && toSeconds(known),
      side: this.newcomers.side(query, positions, query.history.length, times),
      exclude: Uint32Array.from(new Set(excluded)),
    };
    const most = rerank ? RERANKED : k;
    const best =
      history.length === 0
        ? bestOf(all as Float32Array, scoring.exclude, most)
        : await this.inTurn(() => this.score(scoring, most, all)).then((s) => candidatesOf(s.items, s.scores));
    const items = (rerank ? rerank(best, k) : best).map(({ row, score }): Recommendation => {
      const { id, title, attributes } = this.loaded.items[row];
      return { id, title, score, attributes };
    });
    const unseen = [...this.newcomers.unseen].map(([name, n]): [string, number] => [name, n - (before.get(name) ?? 0)]);
    return {
      ...{ items, unknown, unseen: Object.fromEntries(unseen.filter(([, n]) => n > 0)) },
      ...(history.length > 0 ? await this.explain(query, items) : {}),
    };
  }

  /** A visit that goes on, from a history or from none: see {@link Session}. The query holds for all of its lists. */
  session(query: Partial<RecommendQuery> = {}): Session {
    return new Session(this, query);
  }

  /** Adds explanations to the recommendations, and gives the maps of attention, where they are asked for. */
  private async explain(query: RecommendQuery, items: Recommendation[]): Promise<Pick<Answer, 'attention'>> {
    if (!query.explain && !query.attention) return {};
    this.explainer ??= new Explainer(this.model, this.loaded);
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
    const [scored] = await this.scorer(k, bias).score([query]);
    return scored;
  }

  private scorer(k: number, bias: Float32Array | null): Scorer {
    const key = `${k}${bias ? ' biased' : ''}`;
    let scorer = this.scorers.get(key);
    if (!scorer) {
      scorer = new Scorer(this.model, { k, blend: blendOf(this.loaded, this.memory), bias: bias ?? undefined });
      this.scorers.set(key, scorer);
    } else if (bias) scorer.setBias(bias);
    return scorer;
  }

  /** Frees the model, and the device unless it was given. */
  close(): void {
    for (const scorer of this.scorers.values()) scorer.dispose();
    this.explainer?.dispose();
    this.model.dispose();
    this.memory?.dispose();
    if (this.ownsDevice) this.device.close();
  }
}
