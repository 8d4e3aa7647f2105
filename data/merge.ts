/** Two logs as one: what a model was trained on, and what has happened since. */
import { InputError } from './errors.ts';
import { largest, PER_SECOND, unitOf } from './formats/times.ts';
import { type ContextColumn, IdIndex, type Log } from './log.ts';

/**
 * The events of both logs, each once: events of one user, item and time are the same. Late events take their position in time when histories are sorted. Without times
 * nothing tells a duplicate from a repetition: all of `added` follows `log` then. `fresh` marks what `added` alone holds.
 *
 * @throws InputError where one log has times and the other has none
 */
export function mergeLogs(log: Log, added: Log): Log & { fresh: Uint8Array; duplicates: number } {
  if ((log.time === null) !== (added.time === null)) {
    const [without, other] = log.time === null ? [log, added] : [added, log];
    throw new InputError(
      'mismatched-data',
      `${without.source}: no time column, and ${other.source} has one: their events have no common order`,
      { hint: 'give both logs the same columns' },
    );
  }
  const users = new IdIndex();
  const items = new IdIndex();
  const numbers = (index: IdIndex, ids: readonly string[]): Uint32Array => Uint32Array.from(ids, (id) => index.add(id));
  const [oldUsers, oldItems] = [numbers(users, log.userIds), numbers(items, log.itemIds)];
  const [newUsers, newItems] = [numbers(users, added.userIds), numbers(items, added.itemIds)];
  const factor = unitFactor(log, added);
  /** Rows of both logs, those of `added` from `log.size` on. */
  const kept: number[] = [];
  const at = <T>(row: number, old: (row: number) => T, other: (row: number) => T): T =>
    row < log.size ? old(row) : other(row - log.size);
  const userOf = (row: number): number =>
    at(
      row,
      (r) => oldUsers[log.user[r] as number] as number,
      (r) => newUsers[added.user[r] as number] as number,
    );
  const itemOf = (row: number): number =>
    at(
      row,
      (r) => oldItems[log.item[r] as number] as number,
      (r) => newItems[added.item[r] as number] as number,
    );
  const timeOf = (row: number): number =>
    at(
      row,
      (r) => log.time?.[r] ?? Number.NaN,
      (r) => (added.time?.[r] ?? Number.NaN) * factor,
    );
  const known = new Set<string>();
  for (let row = 0; row < log.size + added.size; row++) {
    const time = timeOf(row);
    if (!Number.isNaN(time)) {
      const event = `${userOf(row)} ${itemOf(row)} ${time}`;
      if (known.has(event)) continue;
      known.add(event);
    }
    kept.push(row);
  }
  const ratingOf = (row: number): number =>
    at(
      row,
      (r) => log.rating?.[r] ?? Number.NaN,
      (r) => added.rating?.[r] ?? Number.NaN,
    );
  return {
    userIds: users.ids,
    itemIds: items.ids,
    user: Uint32Array.from(kept, userOf),
    item: Uint32Array.from(kept, itemOf),
    rating: log.rating || added.rating ? Float64Array.from(kept, ratingOf) : null,
    time: log.time && Float64Array.from(kept, timeOf),
    ...(log.timeUnit && { timeUnit: log.timeUnit }),
    ...(log.context && { context: log.context.map((column) => joinContext(column, added, kept, log.size)) }),
    size: kept.length,
    ...(log.columns && { columns: log.columns }),
    source: log.source,
    notes: [...log.notes],
    fresh: Uint8Array.from(kept, (row) => Number(row >= log.size)),
    duplicates: log.size + added.size - kept.length,
  };
}

/** What times of `added` are multiplied by to be in the unit of `log`. */
function unitFactor(log: Log, added: Log): number {
  if (!log.time || !added.time || added.size === 0) return 1;
  const unit = log.timeUnit ?? unitOf(largest(log.time));
  const other = added.timeUnit ?? unitOf(largest(added.time));
  if ((unit === 'order') !== (other === 'order'))
    throw new InputError(
      'mismatched-data',
      `${added.source}: its times are ${other === 'order' ? 'no times since 1970' : 'times since 1970'}, and those of ${log.source} are${other === 'order' ? '' : ' not'}`,
      { hint: 'give both logs times of one kind' },
    );
  return PER_SECOND[unit] / PER_SECOND[other];
}

function joinContext(
  { name, values, rows }: ContextColumn,
  added: Log,
  kept: readonly number[],
  size: number,
): ContextColumn {
  const index = new IdIndex();
  const old = Uint32Array.from(values, (value) => index.add(value));
  const other = added.context?.find((column) => column.name === name);
  const own = Uint32Array.from(other?.values ?? [], (value) => index.add(value));
  const missing = index.add('');
  const rowOf = (row: number): number =>
    row < size
      ? (old[rows[row] as number] as number)
      : other
        ? (own[other.rows[row - size] as number] as number)
        : missing;
  return { name, values: index.ids, rows: Uint32Array.from(kept, rowOf) };
}
