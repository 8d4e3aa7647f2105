/** Predicted ratings from a trained model of ratings, for anyone whose ratings are given: nothing is kept of a user. */
import { InputError } from '../data/errors.ts';
import { around, type RatingWindow } from '../data/ratings/windows.ts';
import { browserTuning, Device } from '../engine/index.ts';
import { type EventContext, milliseconds } from '../data/features/side-features.ts';
import { asWritten } from '../data/ratings/ratings.ts';
import { RatingEncoder, RatingSideFeatures, readsAnything } from '../data/ratings/side-features.ts';
import { factorScore, leaveOneOut, priorMeans, userConstant, userFactors } from '../model/ratings/factors.ts';
import type { Item } from '../model/storage/folder.ts';
import type { RatingEvents } from '../model/ratings/batch.ts';
import { type LoadedRatingModel, loadRatingModel } from '../model/ratings/folder.ts';
import { RatingModel, RatingNetwork, shapeOf } from '../model/ratings/model.ts';
import { checkParameters } from '../model/storage/tensors.ts';
import { meanOf, medianOf, RatingScorer } from '../model/ratings/scorer.ts';
import { toArrays } from '../model/encoders/sequence-model.ts';
import { type DescribedItem, type RatingCatalog, ratingCatalog, withDescribed } from './rating-catalog.ts';
import type { LoadOptions } from './recommender.ts';
import { type ModelSource, openModel } from './sources/sources.ts';

export interface RatedItem {
  item: string;
  /** On the scale of the training; under `ctr` 1 for positive, 0 for negative. */
  rating: number;
  /** In the unit of the training's log; all or none have one. */
  time?: number;
  /** Columns of the log, for models trained with --events: `{ device: 'phone' }`. */
  context?: Readonly<Record<string, string>>;
}

export interface PredictQuery {
  /** What the user rated, oldest first. May be empty: then the items' own ratings speak. */
  history: readonly RatedItem[];
  /** Items to predict for; every item that is not in the history by default. */
  items?: readonly string[];
  /** When the items are to be rated; by default right after the history. */
  time?: number;
  /** Columns of the log as the items are rated, as those of the history. */
  context?: Readonly<Record<string, string>>;
  /** Columns of the user, for models trained with --users. */
  user?: Readonly<Record<string, string>>;
  /** Items that the model has not met, for models that read attributes: history and items may name them. */
  described?: readonly DescribedItem[];
}

export interface PredictedRating {
  id: string;
  title: string;
  /** Mean of the predicted distribution; under `ctr` the probability. */
  prediction: number;
  median: number;
  /** Chances of the levels. */
  chances: number[];
  attributes: Record<string, string>;
}

export interface Predictions {
  /** As they were asked for, those that the model does not know left out. */
  items: PredictedRating[];
  /** What the chances are of. */
  levels: number[];
  /** IDs that the model does not know: of the history, where they were skipped, and of the items asked for. */
  unknown: { history: string[]; items: string[] };
  /** Values told of items, the user or the events that the model does not know, by column; they counted as unknown. */
  unseen: Record<string, number>;
}

export class RatingPredictor {
  readonly device: Device;
  readonly stored: LoadedRatingModel;
  private readonly model: RatingModel;
  private readonly scorer: RatingScorer;
  private readonly encoder: RatingEncoder | null;
  private readonly catalogue: RatingCatalog;
  private readonly ownsDevice: boolean;
  private turn: Promise<unknown> = Promise.resolve();

  private constructor(device: Device, ownsDevice: boolean, stored: LoadedRatingModel) {
    this.device = device;
    this.ownsDevice = ownsDevice;
    this.stored = stored;
    const { loaded, settings, levels, factors, itemCounts } = stored;
    const { schema } = loaded.config;
    this.encoder = readsAnything(schema) ? new RatingEncoder(schema) : null;
    this.catalogue = ratingCatalog(loaded.items, { factors, counts: itemCounts }, this.encoder);
    const shape = shapeOf(this.encoder, itemCounts.length, levels.length);
    checkParameters(stored.parameters, new RatingNetwork(settings, shape).parameters.declared, loaded.path);
    this.model = new RatingModel(device, settings, shape, null);
    this.model.parameters.load('params', toArrays(stored.parameters));
    this.scorer = new RatingScorer(this.model);
  }

  /** Opens a model, from where `Recommender.load` does. @throws InputError where it is no trained model of ratings */
  static async load(source: ModelSource, options: LoadOptions = {}): Promise<RatingPredictor> {
    const stored = await loadRatingModel(await openModel(source));
    const tuning = options.tuning === undefined ? browserTuning() : (options.tuning ?? undefined);
    const device = options.device ?? (await Device.open({ backend: options.backend ?? 'auto', tuning }));
    return new RatingPredictor(device, !options.device, stored);
  }

  get items(): readonly Item[] {
    return this.catalogue.items;
  }

  /** Calls wait for each other. @throws InputError where a rating is no number of the model's scale, or some events lack a time */
  predict(query: PredictQuery): Promise<Predictions> {
    const result = this.turn.then(() => this.answer(query));
    this.turn = result.catch(() => undefined);
    return result;
  }

  private async answer(query: PredictQuery): Promise<Predictions> {
    const before = new Map(this.encoder?.unseen);
    const catalogue = withDescribed(this.catalogue, query.described ?? [], this.encoder);
    const { history, items } = query;
    const range = this.stored.loaded.config.ratingRange;
    const unknown = { history: [] as string[], items: [] as string[] };
    const known = history.filter(({ item, rating, time: at }) => {
      if (!Number.isFinite(rating))
        throw new InputError(
          'invalid-value',
          `history: expected a number as the rating of ${JSON.stringify(item)}, got ${rating}`,
        );
      if (range && !(rating >= range.least && rating <= range.most)) {
        throw new InputError(
          'invalid-value',
          `history: ${JSON.stringify(item)} has the rating ${rating}; expected ${range.least} to ${range.most}, as in the ratings that the model was trained on`,
        );
      }
      if ((at === undefined) !== (history[0].time === undefined) || Number.isNaN(at))
        throw new InputError('invalid-value', `history: ${item} has the time ${at}; all events have one, or none has`);
      if (!catalogue.rows.has(item)) unknown.history.push(item);
      return catalogue.rows.has(item);
    });
    const rated = new Set(known.map(({ item }) => item));
    const wanted: number[] = [];
    for (const id of items ?? []) {
      const row = catalogue.rows.get(id);
      if (row === undefined) unknown.items.push(id);
      else wanted.push(row);
    }
    if (!items) catalogue.items.forEach(({ id }, row) => rated.has(id) || wanted.push(row));
    const { events, windows } = this.stage(catalogue, known, wanted, query);
    const { levels } = this.stored;
    const found: PredictedRating[] = new Array(wanted.length);
    await this.scorer.score(windows, events, (event, chances) => {
      const at = event - known.length;
      const { id, title, attributes } = catalogue.items[wanted[at]];
      const [prediction, median] = [meanOf(chances, levels), asWritten(medianOf(chances, levels))];
      found[at] = { id, title, prediction, median, chances: Array.from(chances), attributes };
    });
    const unseen = Array.from(this.encoder?.unseen ?? [], ([name, n]) => [name, n - (before.get(name) ?? 0)] as const);
    return {
      items: found,
      levels: Array.from(levels, asWritten),
      unknown,
      unseen: Object.fromEntries(unseen.filter(([, n]) => n)),
    };
  }

  /** The history's events, then those asked for, and the windows that hold them. */
  private stage(
    { rows, factors, counts, bags }: RatingCatalog,
    known: readonly RatedItem[],
    wanted: readonly number[],
    { time, context: told, user: columns }: PredictQuery,
  ) {
    const { levels, spread, coldSpread } = this.stored;
    const { mean, std } = factors;
    const item = Uint32Array.from([...known.map((event) => rows.get(event.item) as number), ...wanted]);
    const rated = item.subarray(0, known.length);
    const values = Float32Array.from(known, ({ rating }) => (rating - mean) / std);
    const expected = this.expectedOf(columns ?? null);
    const user = userFactors(factors, rated, values, expected);
    const base = new Float32Array(item.length);
    base.set(leaveOneOut(factors, rated, values, expected));
    wanted.forEach((row, i) => {
      base[known.length + i] = factorScore(factors, user, row);
    });
    const standard = levels.map((v) => (v - mean) / std);
    const value = new Float32Array(item.length);
    value.set(values);
    const level = new Uint32Array(item.length);
    values.forEach((v, i) => {
      level[i] = nearest(standard, v);
    });
    const last = known.at(-1)?.time;
    const times = last === undefined ? null : Float64Array.from(item, (_, i) => known[i]?.time ?? time ?? last);
    const context = Uint32Array.from(known, (_, i) => i);
    if (times) context.sort((a, b) => times[a] - times[b] || a - b);
    const targets = Uint32Array.from(wanted, (_, i) => known.length + i);
    const before = times && time !== undefined ? context.filter((i) => times[i] <= time).length : known.length;
    const windows: RatingWindow[] = around(
      context,
      targets,
      new Uint32Array(targets.length).fill(before),
      this.stored.settings.window,
    );
    const facts = factsOf(known, item.length, { time: time ?? last, context: told });
    const { encoder } = this;
    const side =
      encoder && new RatingSideFeatures(encoder, bags, encoder.users([columns ?? null]), encoder.events(facts));
    const events: RatingEvents = {
      item,
      level,
      value,
      base,
      time: times,
      itemCounts: counts,
      levels: standard,
      spread,
      side,
      user: new Uint32Array(item.length),
      // What is asked of items without ratings is expected by their attributes already.
      cold: bags && { base, spread: coldSpread },
    };
    return { events, windows };
  }

  /** What a user's columns tell of their factors; undefined where the model learned nothing of columns. */
  private expectedOf(columns: Readonly<Record<string, string>> | null): Float32Array | undefined {
    const { expectations, n } = this.stored.factors;
    const plain = this.encoder?.plainUsers([columns]);
    if (!plain || !expectations.users) return undefined;
    return priorMeans(plain.bags, expectations.users, n, userConstant(n));
  }

  /** Frees the model, and the device unless it was given. */
  close(): void {
    this.scorer.dispose();
    this.model.dispose();
    if (this.ownsDevice) this.device.close();
  }
}

/** How the events were: those of the history, then all others alike. */
function factsOf(
  known: readonly RatedItem[],
  size: number,
  asked: Pick<RatedItem, 'time' | 'context'>,
): EventContext[] {
  const unit = milliseconds([...known, asked].map(({ time }) => time ?? Number.NaN));
  const facts = ({ time, context }: Pick<RatedItem, 'time' | 'context'>): EventContext => {
    return { ms: time !== undefined && unit > 0 ? time * unit : Number.NaN, context };
  };
  const others = facts(asked);
  return Array.from({ length: size }, (_, i) => (known[i] ? facts(known[i]) : others));
}

function nearest(levels: Float32Array, value: number): number {
  let best = 0;
  for (let k = 1; k < levels.length; k++) if (Math.abs(levels[k] - value) < Math.abs(levels[best] - value)) best = k;
  return best;
}
