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
const MAX_BUDGET = 2 ** 21;

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
    throw new Error(`rowGroupLayout: a budget from 0 to ${MAX_BUDGET} was expected, came ${budget}`);
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
export function groupRows(ids: Uint32Array, used: number, budget: number, out?: Uint32Array<ArrayBuffer>): RowGroupArrays {
  const layout = rowGroupLayout(budget);
  if (used > budget || used > ids.length) {
    throw new Error(`groupRows: at most ${Math.min(budget, ids.length)} positions were expected, came ${used}`);
  }
  const data = out ?? new Uint32Array(layout.words);
  if (data.length !== layout.words) throw new Error(`groupRows: an array of ${layout.words} words was expected, came ${data.length}`);
  const groups: RowGroupArrays = {
    layout,
    data,
    counts: data.subarray(0, 64),
    segments: data.subarray(layout.segments, layout.segments + 4 * budget),
    splits: data.subarray(layout.splits, layout.splits + 4 * layout.maxSplits),
    positions: data.subarray(layout.positions, layout.positions + budget),
  };
  const order = new Float64Array(used);
  for (let i = 0; i < used; i++) order[i] = ids[i] * MAX_BUDGET + i;
  order.sort();
  const rowAt = (i: number): number => Math.floor(order[i] / MAX_BUDGET);
  let segments = 0;
  let splits = 0;
  let slots = 0;
  for (let from = 0; from < used; ) {
    const row = rowAt(from);
    let to = from;
    while (to < used && rowAt(to) === row) {
      groups.positions[to] = order[to] % MAX_BUDGET;
      to++;
    }
    const single = to - from <= SEGMENT;
    const firstSlot = slots;
    for (let begin = from; begin < to; begin += SEGMENT) {
      groups.segments.set([row, begin, Math.min(to, begin + SEGMENT), single ? NO_SLOT : slots++], 4 * segments++);
    }
    if (!single) groups.splits.set([row, firstSlot, slots, 0], 4 * splits++);
    from = to;
  }
  groups.counts.set([segments, splits, slots]);
  return groups;
}
