/**
 * The host's share of the embedding gradient: which positions of a batch use which row of a table.
 *
 * Positions are sorted by row (ties by position) and cut into segments of at most 64. A row of one segment is summed by
 * one group of threads straight into the gradient; the segments of a popular row are summed into slots first, and the
 * slots afterwards, always in the same order: no float atomics, the same bits every time.
 *
 * Everything is packed into one u32 array whose layout follows from the budget L alone, so that it is uploaded in one
 * write and a recorded step can bind it. Parts start at multiples of 64 words (256 bytes):
 *
 *   counts     [64]        word 0: segments, word 1: split rows, word 2: slots
 *   segments   [L, 4]      row, begin, end (into positions), slot (NO_SLOT: the row has this segment alone)
 *   splits     [⌊L/65⌋, 4]  row, first slot, last slot (exclusive), 0
 *   positions  [L]
 *
 * The capacities suffice for any ids: a segment holds at least one position; a split row at least 65; a row of c > 64
 * positions takes ⌈c/64⌉ slots, at most 2c/65 (reached at c = 65), so all of them take at most ⌊2L/65⌋.
 */

/** Longest segment. */
export const SEGMENT = 64;
export const NO_SLOT = 0xffffffff;
/** Positions and rows share the 53 bits of a double while sorting. */
export const MAX_BUDGET = 2 ** 21;

/** Where the parts of the packed array start, in words, and its size. */
export interface RowGroupLayout {
  budget: number;
  segments: number;
  splits: number;
  positions: number;
  /** Words of the whole array. */
  words: number;
  /** Capacity of split rows and of slots (rows of the partial sums). */
  maxSplits: number;
  maxSlots: number;
}

export interface RowGroupArrays {
  layout: RowGroupLayout;
  /** The packed array, `layout.words` long; the others are views of it. */
  data: Uint32Array<ArrayBuffer>;
  counts: Uint32Array;
  segments: Uint32Array;
  splits: Uint32Array;
  positions: Uint32Array;
}

const align = (words: number): number => Math.ceil(words / 64) * 64;

/** The layout for batches of `budget` positions. */
export function rowGroupLayout(budget: number): RowGroupLayout {
  if (!Number.isInteger(budget) || budget < 0 || budget > MAX_BUDGET) {
    throw new Error(`rowGroupLayout: expected a budget from 0 to ${MAX_BUDGET}, got ${budget}`);
  }
  const maxSplits = Math.floor(budget / (SEGMENT + 1));
  const maxSlots = Math.floor((2 * budget) / (SEGMENT + 1));
  const segments = 64;
  const splits = segments + align(4 * budget);
  const positions = splits + align(4 * maxSplits);
  return { budget, segments, splits, positions, words: positions + align(budget), maxSplits, maxSlots };
}

/**
 * Groups the positions 0 … used − 1 by their row in `ids`; later positions (the unused tail of a batch) are left out
 * and give no gradient.
 *
 * @param out an array of an earlier batch to overwrite, `rowGroupLayout(budget).words` long
 */
export function groupRows(
  ids: Uint32Array,
  used: number,
  budget: number,
  out?: Uint32Array<ArrayBuffer>,
): RowGroupArrays {
  const layout = rowGroupLayout(budget);
  if (used > budget || used > ids.length) {
    throw new Error(`groupRows: expected at most ${Math.min(budget, ids.length)} positions, got ${used}`);
  }
  const data = out ?? new Uint32Array(layout.words);
  if (data.length !== layout.words)
    throw new Error(`groupRows: expected an array of ${layout.words} words, got ${data.length}`);
  const groups: RowGroupArrays = {
    layout,
    data,
    counts: data.subarray(0, 64),
    segments: data.subarray(layout.segments, layout.segments + 4 * budget),
    splits: data.subarray(layout.splits, layout.splits + 4 * layout.maxSplits),
    positions: data.subarray(layout.positions, layout.positions + budget),
  };
  const { counts, segments, splits, positions } = groups;
  const order = new Float64Array(used);
  for (let i = 0; i < used; i++) order[i] = ids[i] * MAX_BUDGET + i;
  order.sort();
  for (let i = 0; i < used; i++) positions[i] = order[i] % MAX_BUDGET;
  counts.fill(0);
  for (let from = 0; from < used; ) {
    const row = ids[positions[from]];
    let to = from + 1;
    while (to < used && ids[positions[to]] === row) to++;
    const single = to - from <= SEGMENT;
    if (!single) four(splits, counts[1]++, row, counts[2], counts[2] + Math.ceil((to - from) / SEGMENT), 0);
    for (let begin = from; begin < to; begin += SEGMENT) {
      four(segments, counts[0]++, row, begin, Math.min(to, begin + SEGMENT), single ? NO_SLOT : counts[2]++);
    }
    from = to;
  }
  return groups;
}

function four(target: Uint32Array, at: number, a: number, b: number, c: number, d: number): void {
  target[4 * at] = a;
  target[4 * at + 1] = b;
  target[4 * at + 2] = c;
  target[4 * at + 3] = d;
}
