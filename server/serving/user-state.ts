/** What a user's events mean: a history that the model reads, items that were seen, and items to keep away for a while. */
import type { StoredUser } from '../store/store.ts';
import type { ServerConfig } from '../config.ts';
import type { Catalog } from './catalog.ts';

const DAY = 86_400_000;

export interface UserState {
  /** Events that count as interest, oldest first, on items that the model ranks. */
  history: StoredUser['events'];
  /** Rows of items that the user showed interest in. */
  seen: Set<number>;
  /** Rows that negative feedback keeps away. */
  unwanted: Set<number>;
}

/** @param now events after it have not happened; without it all have, also by a clock that is ahead of this one */
export function userState(
  events: StoredUser['events'],
  { rows, ranked, neighbors }: Catalog,
  { events: weights, feedback }: ServerConfig,
  now?: number,
): UserState {
  const time = now ?? Date.now();
  const [seen, unwanted] = [new Set<number>(), new Set<number>()];
  const history: StoredUser['events'] = [];
  for (const event of events) {
    const { item, type } = event;
    const row = rows.get(item);
    const weight = weights.get(type) ?? 1;
    if (row === undefined || weight === 0 || event.time > (now ?? Number.POSITIVE_INFINITY)) continue;
    if (weight > 0) {
      seen.add(row);
      unwanted.delete(row); // the user came back to it
      if (row < ranked) history.push(event);
    } else if (!(time - event.time > feedback.days * DAY)) unwanted.add(row);
  }
  const disliked = Array.from(unwanted);
  for (const row of disliked)
    if (neighbors.has(row))
      for (const near of neighbors.nearest(row, feedback.neighbors)) if (!seen.has(near.row)) unwanted.add(near.row);
  const away = new Set(disliked);
  return { history: history.filter(({ item }) => !away.has(rows.get(item) as number)), seen, unwanted };
}
