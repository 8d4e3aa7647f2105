/**
 * What the rating transformer reads: windows of one user's ratings in time order. Some are known (the context), the others
 * are targets, whose rating is hidden. A target's place is the number of known ratings before it, so that places say
 * nothing of other targets.
 */
import { seeded } from '../random.ts';

/** Rows, by their numbers; the context in time order. */
export interface RatingWindow {
  context: Uint32Array;
  targets: Uint32Array;
  /** [targets]: 0 to context.length. */
  positions: Uint32Array;
}

/** Rows of user u in time order: order[starts[u]] … order[starts[u + 1] − 1]. */
export interface RowsByUser {
  order: Uint32Array;
  starts: Uint32Array;
}

export interface TrainingWindowOptions {
  /** Most ratings of a window, targets among them. */
  window: number;
  /** Share of a window's ratings that are targets. */
  share: number;
  /** Share of the windows whose targets are the last ratings, as where the last rating is to be predicted. */
  tail: number;
  seed: number;
  epoch: number;
}

/** Stream of the seed for an epoch's windows; an epoch's number is added. */
const STREAM = 0x3a7e0000;

/** An epoch: every rating in one window, cut at a random offset, targets drawn anew; in random order. */
export function trainingWindows(rows: RowsByUser, options: TrainingWindowOptions): RatingWindow[] {
  const { window, share, tail, seed, epoch } = options;
  const random = seeded(seed, STREAM + epoch);
  const windows: RatingWindow[] = [];
  for (let u = 0; u + 1 < rows.starts.length; u++) {
    const [first, end] = [rows.starts[u], rows.starts[u + 1]];
    const offset = end - first > window ? random.below(window) : 0;
    for (let from = first - offset; from < end; from += window) {
      const part = rows.order.subarray(Math.max(first, from), Math.min(end, from + window));
      if (part.length === 0) continue;
      const hidden = new Uint8Array(part.length);
      if (random.chance(tail)) hidden.fill(1, part.length - Math.max(1, Math.floor(share * part.length)));
      else for (let i = 0; i < part.length; i++) hidden[i] = Number(random.chance(share));
      if (!hidden.includes(1)) hidden[random.below(part.length)] = 1;
      windows.push(hide(part, hidden));
    }
  }
  for (let i = windows.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [windows[i], windows[j]] = [windows[j], windows[i]];
  }
  return windows;
}

function hide(part: Uint32Array, hidden: Uint8Array): RatingWindow {
  let known = 0;
  const places: number[] = [];
  for (const one of hidden) {
    if (one) places.push(known);
    else known++;
  }
  return {
    context: part.filter((_, i) => !hidden[i]),
    targets: part.filter((_, i) => hidden[i]),
    positions: Uint32Array.from(places),
  };
}

/**
 * Windows in which every target is predicted once, among the `window` known ratings around it.
 * @param tested by row: 1 for a target, 0 for a known rating, anything else is left out
 */
export function testWindows(rows: RowsByUser, tested: Uint8Array, window: number): RatingWindow[] {
  const windows: RatingWindow[] = [];
  for (let u = 0; u + 1 < rows.starts.length; u++) {
    const all = rows.order.subarray(rows.starts[u], rows.starts[u + 1]).filter((row) => tested[row] <= 1);
    const {
      context,
      targets,
      positions: places,
    } = hide(all, all.length > 0 ? Uint8Array.from(all, (row) => tested[row]) : new Uint8Array(0));
    if (targets.length === 0) continue;
    for (const part of around(context, targets, places, window)) windows.push(part);
  }
  return windows;
}

/** Windows that overlap by half; each target goes where it is nearest to the middle. */
export function around(
  context: Uint32Array,
  targets: Uint32Array,
  places: Uint32Array,
  window: number,
): RatingWindow[] {
  const surplus = context.length - window;
  if (surplus <= 0) return [{ context, targets, positions: places }];
  const half = Math.max(1, Math.floor(window / 2));
  const byStart = new Map<number, number[]>();
  places.forEach((place, i) => {
    const start = Math.max(0, Math.min(surplus, Math.round((place - window / 2) / half) * half));
    const there = byStart.get(start);
    if (there) there.push(i);
    else byStart.set(start, [i]);
  });
  return [...byStart].map(([start, which]) => ({
    context: context.subarray(start, start + window),
    targets: Uint32Array.from(which, (i) => targets[i]),
    positions: Uint32Array.from(which, (i) => Math.max(0, Math.min(window, places[i] - start))),
  }));
}

/** Windows that go into one batch of so many known ratings and targets; one with too many targets is split. */
export function* packWindows(
  windows: Iterable<RatingWindow>,
  known: number,
  targets: number,
): Generator<RatingWindow[]> {
  let batch: RatingWindow[] = [];
  let [k, t] = [0, 0];
  for (const whole of windows) {
    for (let from = 0; from < whole.targets.length; from += targets) {
      const to = Math.min(whole.targets.length, from + targets);
      const part = {
        context: whole.context,
        targets: whole.targets.subarray(from, to),
        positions: whole.positions.subarray(from, to),
      };
      if (part.context.length > known)
        throw new Error(`rating windows: ${part.context.length} known ratings in a batch of ${known}`);
      if (batch.length > 0 && (k + part.context.length > known || t + to - from > targets)) {
        yield batch;
        batch = [];
        [k, t] = [0, 0];
      }
      batch.push(part);
      k += part.context.length;
      t += to - from;
    }
  }
  if (batch.length > 0) yield batch;
}
