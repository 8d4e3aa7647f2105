import type { Context } from '../context.ts';
import type { Catalog } from './catalog.ts';

const DAY = 86_400_000;

/** Weighted events of the last days by item, plus each item's share of the training's events, which breaks ties. */
export async function popularity(
  { store, config }: Pick<Context, 'store' | 'config'>,
  { items, rows }: Catalog,
  days: number,
  now: number,
): Promise<Float64Array> {
  const trained = items.reduce((sum, { count = 0 }) => sum + count, 0);
  const scores = Float64Array.from(items, ({ count = 0 }) => count / (1 + trained));
  for (const { item, type, count } of await store.counts(now - days * DAY)) {
    const row = rows.get(item);
    if (row !== undefined) scores[row] += Math.max(0, config.events.get(type) ?? 1) * count;
  }
  return scores;
}
