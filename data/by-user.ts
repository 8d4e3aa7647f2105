/** Rows of a log, numbered anew and grouped by user. */

/** Numbers, by first appearance, the users or items that `rows` refer to. @returns the new number of each row */
export function renumber(
  rows: ArrayLike<number>,
  column: Uint32Array,
  ids: readonly string[],
): { numbers: Uint32Array; ids: string[] } {
  const numbers = new Uint32Array(rows.length);
  const newNumber = new Int32Array(ids.length).fill(-1);
  const kept: string[] = [];
  for (let i = 0; i < rows.length; i++) {
    const old = column[rows[i] as number] as number;
    let number = newNumber[old] as number;
    if (number < 0) {
      number = kept.push(ids[old] as string) - 1;
      newNumber[old] = number;
    }
    numbers[i] = number;
  }
  return { numbers, ids: kept };
}

/** How often each number below `size` occurs among the values, or those at `rows`. */
export function countsOf(values: Uint32Array, size: number, rows?: Uint32Array): Uint32Array {
  const counts = new Uint32Array(size);
  const { length } = rows ?? values;
  for (let i = 0; i < length; i++) {
    const value = values[rows ? (rows[i] as number) : i] as number;
    counts[value] = (counts[value] as number) + 1;
  }
  return counts;
}

/**
 * Rows by user, those of user u at [starts[u], starts[u + 1]) in time order: rows at the same time keep their order, and
 * those of unknown time (NaN) come first.
 *
 * @param user [rows] the user of each row
 */
export function byUser(
  user: Uint32Array,
  users: number,
  time: Float64Array | null,
): { order: Uint32Array; starts: Uint32Array } {
  const starts = new Uint32Array(users + 1);
  const next = new Uint32Array(users);
  countsOf(user, users).forEach((count, u) => {
    next[u] = starts[u] as number;
    starts[u + 1] = (starts[u] as number) + count;
  });
  const order = new Uint32Array(user.length);
  for (let row = 0; row < user.length; row++) {
    const u = user[row] as number;
    const at = next[u] as number;
    order[at] = row;
    next[u] = at + 1;
  }
  if (time) {
    const at = (row: number): number => {
      const known = time[row] as number;
      return Number.isNaN(known) ? Number.NEGATIVE_INFINITY : known;
    };
    const earlier = (a: number, b: number): number => {
      const [x, y] = [at(a), at(b)];
      return x < y ? -1 : x > y ? 1 : a - b;
    };
    for (let u = 0; u < users; u++) order.subarray(starts[u], starts[u + 1]).sort(earlier);
  }
  return { order, starts };
}
