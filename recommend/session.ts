/** A visit in progress: the history grows, and each event brings fresh recommendations. */
import { InputError } from '../data/errors.ts';
import { ownValue } from '../data/own-value.ts';
import type { Answer, RecommendQuery } from './types.ts';

/** The query of every list of a session; options of `recommend` and `update` override it. */
export type SessionOptions = Omit<RecommendQuery, 'history' | 'times' | 'ratings' | 'context' | 'features'>;

/** What the visitor did: the ID of the item, with its time and side features where the model reads them. */
export type SessionEvent =
  | string
  | { item: string; time?: number; rating?: number; context?: Readonly<Record<string, string>> };

/** What a session requires of its recommender. */
interface Recommends {
  recommend(query: RecommendQuery): Promise<Answer>;
}

/**
 * Holds a visitor's history, and queries with it. Store `history` where the visit should be remembered (the visitor's own
 * browser, say) and start the next session with it. The model stays on the device and its recorded program is replayed,
 * so that an update costs one forward pass over the last events that the model reads.
 *
 * ```ts
 * const session = recommender.session({ history: saved, k: 5 });
 * const { items } = await session.update('1193');
 * ```
 */
export class Session {
  private readonly recommender: Recommends;
  private readonly options: SessionOptions;
  private readonly events: string[];
  /** null where no event has a time. */
  private times: number[] | null;
  /** NaN where an event has none. */
  private readonly ratings: number[];
  private readonly contexts: Readonly<Record<string, string>>[];

  /** Use `recommender.session()`. */
  constructor(recommender: Recommends, query: Partial<RecommendQuery>) {
    const { history = [], times, ratings, context = {}, features: _, ...options } = query;
    if (times && times.length !== history.length) {
      throw new InputError(
        'invalid-value',
        `times: expected one for each of the ${history.length} items of the history, got ${times.length}`,
      );
    }
    this.recommender = recommender;
    this.options = options;
    this.events = [...history];
    this.times = times ? [...times] : null;
    this.ratings = history.map((_, i) => ratings?.[i] ?? Number.NaN);
    const names = Object.keys(context);
    this.contexts = history.map((_, i) => Object.fromEntries(names.map((name) => [name, context[name][i] ?? ''])));
  }

  /** Item IDs so far, oldest first; also those that the model does not know. */
  get history(): readonly string[] {
    return [...this.events];
  }

  /**
   * Adds an event, and recommends.
   * @throws InputError when no ID of the history is known, or an option makes no sense; the event stays in the history
   */
  update(event: SessionEvent, options: SessionOptions = {}): Promise<Answer> {
    this.add(event);
    return this.recommend(options);
  }

  /** Adds an event without asking for recommendations. @throws InputError when only some events have times */
  add(event: SessionEvent): void {
    const { item, time, rating, context }: Exclude<SessionEvent, string> =
      typeof event === 'string' ? { item: event } : event;
    if (this.events.length === 0 && time !== undefined) this.times = [];
    if ((time === undefined) !== (this.times === null)) {
      throw new InputError(
        'invalid-value',
        time === undefined
          ? `${item}: the session's events have times, this one has none`
          : `${item}: has a time, the session's events have none`,
      );
    }
    this.events.push(item);
    this.ratings.push(rating ?? Number.NaN);
    this.contexts.push(context ?? {});
    if (time !== undefined) this.times?.push(time);
  }

  /** Recommends after the history so far. @throws InputError as `Recommender.recommend` does */
  recommend(options: SessionOptions = {}): Promise<Answer> {
    // Copied: the query may wait for its turn while the history grows.
    const history = [...this.events];
    const times = this.times ? [...this.times] : undefined;
    const names = [...new Set(this.contexts.flatMap((context) => Object.keys(context)))];
    const context = Object.fromEntries(
      names.map((name) => [name, this.contexts.map((own) => ownValue(own, name) ?? '')]),
    );
    const ratings = [...this.ratings];
    return this.recommender.recommend({ ...this.options, ...options, ratings, context, history, times });
  }

  /** Empties the history. */
  clear(): void {
    for (const list of [this.events, this.ratings, this.contexts]) list.length = 0;
    this.times = null;
  }
}
