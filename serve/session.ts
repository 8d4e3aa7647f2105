/** A visit that goes on: the history grows, and each event brings fresh recommendations. */
import { InputError } from '../data/errors.ts';
import type { Answer, RecommendQuery, Recommender } from './recommender.ts';

/** What every list of a session is asked with; what `recommend` and `update` are given goes before it. */
export type SessionOptions = Omit<RecommendQuery, 'history' | 'times'>;

/** What the visitor did: the ID of the item, with its time where the model reads times. */
export type SessionEvent = string | { item: string; time?: number };

/**
 * Holds a visitor's history, and asks with it. Keep `history` where the visit should be remembered (the visitor's own
 * browser, say) and begin the next session with it. The model stays on the device and its recorded program is replayed,
 * so that an update costs one forward pass over the last events that the model reads.
 *
 * ```ts
 * const session = recommender.session({ history: saved, k: 5 });
 * const { items } = await session.update('1193');
 * ```
 */
export class Session {
  private readonly recommender: Recommender;
  private readonly options: SessionOptions;
  private readonly events: string[];
  /** null where no event has a time. */
  private times: number[] | null;

  /** Use `recommender.session()`. */
  constructor(recommender: Recommender, query: Partial<RecommendQuery>) {
    const { history = [], times, ...options } = query;
    if (times && times.length !== history.length) {
      throw new InputError(
        `times: one for each of the ${history.length} items of the history was expected, came ${times.length}`,
      );
    }
    this.recommender = recommender;
    this.options = options;
    this.events = [...history];
    this.times = times ? [...times] : null;
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
    const { item, time } = typeof event === 'string' ? { item: event, time: undefined } : event;
    if (this.events.length === 0 && time !== undefined) this.times = [];
    if ((time === undefined) !== (this.times === null)) {
      throw new InputError(
        time === undefined
          ? `${item}: the session's events have times, this one has none`
          : `${item}: has a time, the session's events have none`,
      );
    }
    this.events.push(item);
    if (time !== undefined) this.times?.push(time);
  }

  /** Recommends after the history so far. @throws InputError as `Recommender.recommend` does */
  recommend(options: SessionOptions = {}): Promise<Answer> {
    // Copied: the query may wait for its turn while the history grows.
    const history = [...this.events];
    const times = this.times ? [...this.times] : undefined;
    return this.recommender.recommend({ ...this.options, ...options, history, times });
  }

  /** Empties the history. */
  clear(): void {
    this.events.length = 0;
    this.times = null;
  }
}
