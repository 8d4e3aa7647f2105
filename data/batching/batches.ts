import { UNKNOWN_TIME } from '../features/side-features.ts';
import { SideFeatureWriter } from '../features/side-rows.ts';
import { atOnce, type Pieces } from '../pieces.ts';
import { type Random, seeded, shuffle } from '../random.ts';
import type { Split } from '../splits/split.ts';
import { augmentWindow, changesWindows } from './augment.ts';
import { planContinuations } from './continuations.ts';
import type { Batch, BatchOptions, Cloze, Epoch } from './batch.ts';
import { checkWindow, pack } from './pack.ts';
import { REPLAYED, replayed } from './replay.ts';
import { at, type Windows, WindowWriter } from './windows.ts';

/**
 * Most events of a batch that the cloze task masks, so that the list of predictions has a fixed size: 1.5 times what the
 * share asks for, and at least a quarter of the batch (a short window masks one event). Windows beyond that stay unmasked.
 */
export function maxMasked(maxTokens: number, share: number): number {
  return Math.ceil((maxTokens * Math.min(1, Math.max(0.25, 1.5 * share))) / 64) * 64;
}

/** Streams of the seed, apart from that of the windows: of users' own windows, for masks, for hiding, and the request's time. */
const USERS = 0x05e125;
const MASKS = 0x5f3759df;
const HIDDEN = 0x51de;
const UNASKED = 0x7175e7;

/**
 * Plans an epoch. A training history of m events has n = m − 1 positions (input x_i, target x_{i+1}); it is
 * cut at a random shift into ⌈n/T⌉ windows that cover each position exactly once, and all windows are shuffled.
 *
 * With `cloze` all m events of a history are tokens, some of them masked (their item is V, one past the catalog); only
 * these have a weight, and their target is the item that was there. Masks are drawn anew in each epoch.
 *
 * Everything follows from (seed, epoch): batches that are skipped change nothing about the others, which is how a run
 * resumes in mid-epoch.
 *
 * @throws InputError when a window does not fit into a batch
 */
export function* planEpoch(split: Split, options: BatchOptions): Pieces<Epoch> {
  const { continuation } = options;
  if (continuation) return yield* planContinuations(split, { ...options, continuation });
  const { windows, packed } = yield* planWindows(split, options);
  return {
    count: packed.length,
    *batches(skip = 0) {
      for (let i = skip; i < packed.length; i++) yield fillBatch(split, windows, packed[i] as Uint32Array, i, options);
    },
  };
}

/**
 * A batch for each of some users, in their order: one window of the training history, at a random position where it is
 * longer. It is all that a user contributes to a step of private training (train/privacy/trainer.ts).
 *
 * @throws InputError when a window does not fit into a batch
 */
export function* userBatches(
  split: Split,
  users: ArrayLike<number>,
  options: BatchOptions,
): Generator<Batch, void, undefined> {
  checkWindow(options);
  const { window, seed, epoch, cloze, augment } = options;
  const random = seeded(seed ^ USERS, epoch);
  const extra = cloze ? 0 : 1;
  const writer = new WindowWriter();
  for (const user of Array.from(users)) {
    const n = split.trainLength(user) - extra;
    if (n < 1) throw new Error(`batches: expected users with training events, got user ${user} with ${n + extra}`);
    const first = split.range(user)[0] + random.below(Math.max(0, n - window) + 1);
    const events = Math.min(n, window) + extra;
    const kept = changesWindows(augment) ? augmentWindow(augment, events, seed, epoch, writer.length).length : events;
    writer.push(user, first, kept - extra, events);
  }
  const windows = writer.finish();
  for (let i = 0; i < users.length; i++) yield fillBatch(split, windows, Uint32Array.of(i), i, options);
}

/** The batches of one epoch, planned at once. */
export function batches(split: Split, options: BatchOptions): Generator<Batch, void, undefined> {
  return atOnce(planEpoch(split, options)).batches();
}

/** The windows, and those of each batch. */
function* planWindows(split: Split, options: BatchOptions): Pieces<{ windows: Windows; packed: Uint32Array[] }> {
  checkWindow(options);
  const { maxTokens, window, seed, epoch, cloze, augment } = options;
  const random = seeded(seed, epoch);
  /** The last target is no token. */
  const extra = cloze ? 0 : 1;
  const writer = new WindowWriter();
  for (let user = 0; user < split.users; user++) {
    yield;
    const length = split.trainLength(user);
    if (length < 2) continue;
    const n = length - extra;
    const count = Math.ceil(n / window);
    // The slack count·T − n is taken from the first window; all others but the last are full.
    const shift = random.below(count * window - n + 1);
    const [base] = split.range(user);
    for (let at = 0, end = count === 1 ? n : window - shift; at < n; at = end, end = Math.min(n, end + window)) {
      const events = end - at + extra;
      const kept = changesWindows(augment) ? augmentWindow(augment, events, seed, epoch, writer.length).length : events;
      writer.push(user, base + at, kept - extra, events);
    }
  }
  const windows = writer.finish();
  const { first, tokens, events } = windows;
  const span = (i: number): [number, number] => [first[i] as number, (first[i] as number) + (events[i] as number)];
  const kept = replayed(tokens, split, options.replay, span, seeded(seed ^ REPLAYED, epoch));
  return { windows, packed: yield* pack(shuffle(kept, random), [{ maxTokens, tokens }]) };
}

function fillBatch(split: Split, windows: Windows, ids: Uint32Array, number: number, options: BatchOptions): Batch {
  const { maxTokens, seed, epoch, augment, sideDropout = 0, requestDropout } = options;
  const { items, times } = split.dataset;
  const { side } = split;
  const zeros = () => new Uint32Array(maxTokens);
  const batch = {
    tokens: 0,
    items: zeros(),
    positions: zeros(),
    targets: zeros(),
    weights: new Float32Array(maxTokens),
    start: zeros(),
    end: zeros(),
    ...(times && { times: zeros() }),
    ...(times && requestDropout !== undefined && { requestTimes: zeros() }),
  };
  const writer = side && new SideFeatureWriter();
  const random = seeded(seed ^ HIDDEN, epoch * 2 ** 16 + number);
  const hides = (): boolean => random.next() < sideDropout;
  const asking = seeded(seed ^ UNASKED, epoch * 2 ** 16 + number);
  for (const id of ids) {
    const [user, first, n, events] = at(windows, id);
    const from = batch.tokens;
    const to = from + n;
    // With the last target, which is no token.
    let positions: Uint32Array = Uint32Array.from({ length: n + 1 }, (_, i) => first + i);
    let window = items.subarray(first, first + n + 1);
    let windowTimes = times?.subarray(first, first + n + 1);
    if (changesWindows(augment)) {
      positions = augmentWindow(augment, events, seed, epoch, id).map((position) => first + position);
      window = positions.map((at) => items.at(at) as number);
      // Reordered events have rising times nevertheless.
      if (times)
        windowTimes = positions
          .slice()
          .sort()
          .map((at) => times.at(at) as number);
    }
    const asked = Array.from({ length: n }, (_, i) =>
      requestDropout === undefined || asking.next() < requestDropout ? UNKNOWN_TIME : i + 1,
    );
    if (side && writer) {
      const hide = { user: hides(), events: hides() };
      const targets = asked.map((at) => (at === UNKNOWN_TIME ? at : (positions[at] as number)));
      side.write(writer, user, positions.subarray(0, n), targets, hide);
    }
    batch.items.set(window.subarray(0, n), from);
    batch.targets.set(window.subarray(1, n + 1), from); // of the cloze task: see `mask`
    if (windowTimes) {
      batch.times?.set(windowTimes.subarray(0, n), from);
      asked.forEach((at, i) => {
        if (batch.requestTimes) batch.requestTimes[from + i] = windowTimes[at === UNKNOWN_TIME ? i : at] as number;
      });
    }
    batch.start.fill(from, from, to);
    batch.end.fill(to, from, to);
    for (let i = 0; i < n; i++) batch.positions[from + i] = i;
    batch.tokens = to;
  }
  batch.weights.fill(1 / batch.tokens, 0, batch.tokens);
  const { cloze } = options;
  if (cloze) mask(batch, split.items, cloze, seeded(seed ^ MASKS, epoch * 2 ** 16 + number));
  return writer ? { ...batch, side: writer.finish() } : batch;
}

/** Turns a batch of whole windows into one of the cloze task. @param maskRow the item row of masked events */
function mask(batch: Batch, maskRow: number, { share, last }: Cloze, random: Random): void {
  const { items, targets, weights, end, tokens } = batch;
  targets.fill(0);
  weights.fill(0);
  const most = maxMasked(items.length, share);
  let count = 0;
  const hide = (i: number): void => {
    targets[i] = items[i] as number;
    items[i] = maskRow;
    weights[i] = 1;
    count++;
  };
  for (let from = 0, to = 0; from < tokens && count < most; from = to) {
    to = end[from] as number;
    const n = to - from;
    if (random.next() < last) {
      hide(to - 1);
      continue;
    }
    // Draws `left` of the n events without replacement: each with probability left / (events not yet considered).
    let left = Math.min(most - count, Math.max(1, Math.round(n * share)));
    for (let i = 0; i < n; i++) {
      if (random.next() * (n - i) >= left) continue;
      hide(from + i);
      left--;
    }
  }
  for (let i = 0; i < tokens; i++) weights[i] = (weights[i] as number) / count;
}
