/**
 * What the rating transformer reads: windows of one user's ratings in time order. Some are known (the context), the others
 * are targets, whose rating is hidden. A target's position is the number of known ratings before it, so that positions
 * reveal nothing about other targets.
 */
import { seeded, shuffle } from '../random.ts';
import { spanAt, take } from '../spans.ts';

/** Row numbers; the context in time order. */
export interface RatingWindow {
  context: Uint32Array;
  targets: Uint32Array;
  /** [targets]: 0 to context.length. */
  positions: Uint32Array;
}

/** Rows of user u in time order: `order` from starts[u] to starts[u + 1]. */
export interface RowsByUser {
  order: Uint32Array;
  starts: Uint32Array;
}

export interface TrainingWindowOptions {
  /** Most ratings in a window, including targets. */
  window: number;
  /** Share of a window's ratings that are targets. */
  share: number;
  /** Share of the windows whose targets are the last ratings, as when a user's next rating is predicted. */
  tail: number;
  seed: number;
  epoch: number;
}

/** Stream of the seed for an epoch's windows; the epoch's number is added. */
const STREAM = 0x3a7e0000;

/** An epoch: every rating in one window, cut at a random offset, targets drawn anew; in random order. */
export function trainingWindows(rows: RowsByUser, options: TrainingWindowOptions): RatingWindow[] {
  const { window, share, tail, seed, epoch } = options;
  const random = seeded(seed, STREAM + epoch);
  const windows: RatingWindow[] = [];
  for (let u = 0; u + 1 < rows.starts.length; u++) {
    const [first, end] = spanAt(rows.starts, u);
    const offset = end - first > window ? random.below(window) : 0;
    for (let from = first - offset; from < end; from += window) {
      const rated = rows.order.subarray(Math.max(first, from), Math.min(end, from + window));
      if (rated.length === 0) continue;
      const hidden = new Uint8Array(rated.length);
      if (random.chance(tail)) hidden.fill(1, rated.length - Math.max(1, Math.floor(share * rated.length)));
      else for (let i = 0; i < rated.length; i++) hidden[i] = Number(random.chance(share));
      if (!hidden.includes(1)) hidden[random.below(rated.length)] = 1;
      windows.push(hide(rated, hidden));
    }
  }
  return shuffle(windows, random);
}

function hide(rows: Uint32Array, hidden: Uint8Array): RatingWindow {
  const positions: number[] = [];
  let known = 0;
  for (const one of hidden) {
    if (one) positions.push(known);
    else known++;
  }
  return {
    context: rows.filter((_, i) => !hidden[i]),
    targets: rows.filter((_, i) => hidden[i]),
    positions: Uint32Array.from(positions),
  };
}

/**
 * Windows in which every target is predicted once, among the `window` known ratings around it.
 * @param tested by row: 1 for a target, 0 for a known rating, anything else is left out
 */
export function testWindows(rows: RowsByUser, tested: Uint8Array, window: number): RatingWindow[] {
  const windows: RatingWindow[] = [];
  const kindOf = (row: number): number => tested[row] as number;
  for (let u = 0; u + 1 < rows.starts.length; u++) {
    const own = rows.order.subarray(rows.starts[u], rows.starts[u + 1]).filter((row) => kindOf(row) <= 1);
    const { context, targets, positions } = hide(own, Uint8Array.from(own, kindOf));
    if (targets.length === 0) continue;
    for (const one of around(context, targets, positions, window)) windows.push(one);
  }
  return windows;
}

/** Windows that overlap by half; each target is in the one in which it is nearest to the middle. */
export function around(
  context: Uint32Array,
  targets: Uint32Array,
  positions: Uint32Array,
  window: number,
): RatingWindow[] {
  const surplus = context.length - window;
  if (surplus <= 0) return [{ context, targets, positions }];
  const half = Math.max(1, Math.floor(window / 2));
  const byStart = new Map<number, number[]>();
  positions.forEach((position, i) => {
    const start = Math.max(0, Math.min(surplus, Math.round((position - window / 2) / half) * half));
    const there = byStart.get(start);
    if (there) there.push(i);
    else byStart.set(start, [i]);
  });
  return [...byStart].map(([start, which]) => ({
    context: context.subarray(start, start + window),
    targets: take(targets, which),
    positions: take(positions, which).map((position) => Math.max(0, Math.min(window, position - start))),
  }));
}

/** Groups windows into batches of limited numbers of known ratings and of targets; splits one with too many targets. */
export function* packWindows(
  windows: Iterable<RatingWindow>,
  known: number,
  targets: number,
): Generator<RatingWindow[]> {
  let batch: RatingWindow[] = [];
  let [k, t] = [0, 0];
  for (const whole of windows) {
    const { length } = whole.context;
    if (length > known) throw new Error(`rating windows: ${length} known ratings in a batch of ${known}`);
    for (let from = 0; from < whole.targets.length; from += targets) {
      const to = Math.min(whole.targets.length, from + targets);
      if (batch.length > 0 && (k + length > known || t + to - from > targets)) {
        yield batch;
        batch = [];
        [k, t] = [0, 0];
      }
      batch.push({
        context: whole.context,
        targets: whole.targets.subarray(from, to),
        positions: whole.positions.subarray(from, to),
      });
      k += length;
      t += to - from;
    }
  }
  if (batch.length > 0) yield batch;
}
