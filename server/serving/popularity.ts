/** What is popular. Counting reads all events of some days, so that it is done rarely where it takes long. */
import { LRUCache } from 'lru-cache';
import type { ServerConfig } from '../config.ts';
import type { Store } from '../store/store.ts';
import type { Catalog } from './catalog.ts';

const DAY = 86_400_000;
/** Counts that are kept, and how many times as long as they took. */
const KEPT = 16;
const TIMES = 100;

type Counts = Awaited<ReturnType<Store['counts']>>;

export class Popularity {
  private readonly store: Store;
  private readonly weights: ServerConfig['events'];
  private readonly counted = new LRUCache<string, Promise<Counts>>({ max: KEPT });

  constructor(store: Store, { events }: ServerConfig) {
    this.store = store;
    this.weights = events;
  }

  /**
   * Weighted events of the last days by item, plus each item's share of the training's events, which breaks ties.
   * @param now events after it have not happened; undefined: all have
   */
  async scores({ items, rows }: Catalog, days: number, now: number | undefined): Promise<Float64Array> {
    const trained = items.reduce((sum, { count = 0 }) => sum + count, 0);
    const scores = Float64Array.from(items, ({ count = 0 }) => count / (1 + trained));
    for (const { item, type, count } of await this.counts(days, now)) {
      const row = rows.get(item);
      if (row !== undefined) scores[row] += Math.max(0, this.weights.get(type) ?? 1) * count;
    }
    return scores;
  }

  /** Those who ask while it counts share it. */
  private counts(days: number, now: number | undefined): Promise<Counts> {
    const key = `${days} ${now}`;
    const known = this.counted.get(key);
    if (known) return known;
    const before = performance.now();
    const counts = this.store.counts((now ?? Date.now()) - days * DAY, now ?? Number.POSITIVE_INFINITY);
    this.counted.set(key, counts);
    counts.then(
      () => this.counted.set(key, counts, { ttl: Math.ceil(TIMES * (performance.now() - before)) }),
      () => this.counted.delete(key),
    );
    return counts;
  }
}
