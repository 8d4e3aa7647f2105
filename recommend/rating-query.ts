/** What a rating predictor is asked, and how it is encoded: the history's events, those asked for, and their windows. */
import { InputError } from '../data/errors.ts';
import type { UnseenCounts } from '../data/features/encoder.ts';
import { type EventContext, milliseconds } from '../data/features/event-encoder.ts';
import { type RatingEncoder, RatingSideFeatures } from '../data/ratings/side-features.ts';
import { around, type RatingWindow } from '../data/ratings/windows.ts';
import { inSeconds } from '../data/formats/times.ts';
import type { RatingEvents } from '../model/ratings/batch.ts';
import { factorScore, leaveOneOut, priorMeans, userConstant, userFactors } from '../model/ratings/factors.ts';
import type { LoadedRatingModel } from '../model/ratings/folder.ts';
import { type DescribedItem, type RatingCatalog, withDescribed } from './rating-catalog.ts';

export interface RatedItem {
  item: string;
  /** On the scale of the training; under `ctr` 1 for positive, 0 for negative. */
  rating: number;
  /** In the unit of the training's log, or any since 1970; all or none have one. */
  time?: number;
  /** Columns of the log, for models trained with event features: `{ device: 'phone' }`. */
  context?: Readonly<Record<string, string>>;
}

export interface PredictQuery {
  /** What the user rated, oldest first. May be empty: then the items' own ratings decide. */
  history: readonly RatedItem[];
  /** Items to predict for; every item that is not in the history by default. */
  items?: readonly string[];
  /** When the items are to be rated; by default right after the history. */
  time?: number;
  /** Columns of the log as the items are rated, as those of the history. */
  context?: Readonly<Record<string, string>>;
  /** Columns of the user, for models trained with user features. */
  user?: Readonly<Record<string, string>>;
  /** Unseen items, for models that read attributes: history and items may name them. */
  described?: readonly DescribedItem[];
}

/** What of a rating model reads queries. */
export interface RatingQueryModel {
  stored: LoadedRatingModel;
  catalog: RatingCatalog;
  /** null where the model reads no side features. */
  encoder: RatingEncoder | null;
}

export interface EncodedRatingQuery {
  /** With the described items. */
  catalog: RatingCatalog;
  /** The known events of the history, then the targets. */
  events: RatingEvents;
  windows: RatingWindow[];
  /** How many events of the history the model knows. */
  known: number;
  /** Rows of the items to predict for. */
  targets: number[];
  unknown: { history: string[]; items: string[] };
  unseen: Record<string, number>;
}

/** @throws InputError where a rating is no number of the model's scale, or only some events have a time */
export function encodeRatingQuery(model: RatingQueryModel, query: PredictQuery): EncodedRatingQuery {
  const unseen: UnseenCounts = new Map();
  const catalog = withDescribed(model.catalog, query.described ?? [], model.encoder, unseen);
  checkHistory(query.history, model.stored.loaded.config.ratingRange);
  const known = query.history.filter(({ item }) => catalog.rows.has(item));
  const unknown = {
    history: query.history.flatMap(({ item }) => (catalog.rows.has(item) ? [] : [item])),
    items: query.items?.filter((id) => !catalog.rows.has(id)) ?? [],
  };
  const rated = new Set(known.map(({ item }) => item));
  const targets = query.items
    ? query.items.flatMap((id) => catalog.rows.get(id) ?? [])
    : catalog.items.flatMap(({ id }, row) => (rated.has(id) ? [] : [row]));
  const { events, windows } = stage({ ...model, catalog }, known, targets, query, unseen);
  return { catalog, events, windows, known: known.length, targets, unknown, unseen: Object.fromEntries(unseen) };
}

function checkHistory(history: readonly RatedItem[], range: { least: number; most: number } | undefined): void {
  for (const { item, rating, time } of history) {
    const name = JSON.stringify(item);
    if (!Number.isFinite(rating))
      throw new InputError('invalid-value', `history: expected a number as the rating of ${name}, got ${rating}`);
    if (range && !(rating >= range.least && rating <= range.most)) {
      throw new InputError(
        'invalid-value',
        `history: ${name} has the rating ${rating}; expected ${range.least} to ${range.most}, as in the ratings that the model was trained on`,
      );
    }
    if ((time === undefined) !== (history[0].time === undefined) || Number.isNaN(time))
      throw new InputError(
        'invalid-value',
        `history: ${item} has the time ${time}; expected one for all events, or none`,
      );
  }
}

/** The history's events, then the targets, and the windows that hold them. */
function stage(
  { stored, catalog, encoder }: RatingQueryModel,
  known: readonly RatedItem[],
  wanted: readonly number[],
  { time, context, user: columns }: PredictQuery,
  unseen: UnseenCounts,
): Pick<EncodedRatingQuery, 'events' | 'windows'> {
  const { rows, factors, counts, bags } = catalog;
  const { levels, spread, coldSpread, settings } = stored;
  const { mean, std } = factors;
  const item = Uint32Array.from([...known.map((event) => rows.get(event.item) as number), ...wanted]);
  const rated = item.subarray(0, known.length);
  const ratings = Float32Array.from(known, ({ rating }) => (rating - mean) / std);
  const expected = expectedFactors(stored, encoder, columns ?? null);
  const user = userFactors(factors, rated, ratings, expected);
  const base = new Float32Array(item.length);
  base.set(leaveOneOut(factors, rated, ratings, expected));
  wanted.forEach((row, i) => {
    base[known.length + i] = factorScore(factors, user, row);
  });
  const standard = levels.map((v) => (v - mean) / std);
  const value = new Float32Array(item.length);
  value.set(ratings);
  const level = new Uint32Array(item.length);
  ratings.forEach((v, i) => {
    level[i] = nearest(standard, v);
  });
  const last = known.at(-1)?.time;
  const times = last === undefined ? null : Float64Array.from(item, (_, i) => known[i]?.time ?? time ?? last);
  const order = Uint32Array.from(known, (_, i) => i);
  if (times) order.sort((a, b) => times[a] - times[b] || a - b);
  const targets = Uint32Array.from(wanted, (_, i) => known.length + i);
  const before = times && time !== undefined ? order.filter((i) => times[i] <= time).length : known.length;
  const windows = around(order, targets, new Uint32Array(targets.length).fill(before), settings.window);
  const facts = factsOf(known, item.length, { time: time ?? last, context });
  const [userRows, eventRows] = [encoder?.users([columns ?? null], unseen), encoder?.events(facts, unseen)];
  const events: RatingEvents = {
    item,
    level,
    value,
    base,
    time: times && inSeconds(times),
    itemCounts: counts,
    levels: standard,
    spread,
    side: encoder && new RatingSideFeatures(encoder, bags, userRows ?? null, eventRows ?? null),
    user: new Uint32Array(item.length),
    // What is asked of unrated items is expected by their attributes already.
    cold: bags && { base, spread: coldSpread },
  };
  return { events, windows };
}

/** What a user's columns tell of their factors; undefined where the model learned nothing of columns. */
function expectedFactors(
  { factors }: LoadedRatingModel,
  encoder: RatingEncoder | null,
  columns: Readonly<Record<string, string>> | null,
): Float32Array | undefined {
  const { expectations, n } = factors;
  const plain = encoder?.plainUsers([columns]);
  if (!plain || !expectations.users) return undefined;
  return priorMeans(plain.bags, expectations.users, n, userConstant(n));
}

/** The context of the history's events, then of all others alike. */
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
