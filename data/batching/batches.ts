import { type Augmentation, changesWindows, augmentWindow } from './augment.ts';
import { type ContinuationBatch, continuations, continuationsPerEpoch } from './continuations.ts';
import { InputError } from '../errors.ts';
import { pack } from './pack.ts';
import { type Random, seeded } from '../random.ts';
import { type SideFeatureRows, SideFeatureWriter } from '../features/side-features.ts';
import type { Split } from '../splits/split.ts';

/**
 * Training windows laid end to end in a token budget. Every array has the budget's length; what the last window leaves
 * free is zero: no target, no weight, and start = end = 0, so that it attends to nothing.
 */
export interface Batch {
  /** tokens in use, ≤ budget */
  tokens: number;
  /** [budget] input item row */
  items: Uint32Array;
  /** [budget] place in the window, from 0 */
  positions: Uint32Array;
  /** [budget] item row that follows */
  targets: Uint32Array;
  /** [budget] 1 / tokens for tokens in use: the loss is their mean */
  weights: Float32Array;
  /** [budget] token i belongs to the window [start[i], end[i]) */
  start: Uint32Array;
  end: Uint32Array;
  /** [budget] time of the event; only where the log has times */
  times?: Uint32Array;
  /** What stands beside the tokens in use; only where the model reads it. */
  side?: SideFeatureRows;
  /** What follows each window; it alone is predicted then, and the windows' own targets and weights are 0. */
  continuation?: ContinuationBatch;
}

/** The cloze task (BERT4Rec, Sun et al. 2019, §3.6): masked events are what is predicted. */
export interface Cloze {
  /** share of a window's events that are masked, one at least */
  share: number;
  /** share of the windows in which the last event alone is masked, as recommending does */
  last: number;
}

export interface BatchOptions {
  /** tokens a batch holds */
  maxTokens: number;
  /** longest window T, ≤ budget */
  window: number;
  seed: number;
  /** counts from 0; each has its own windows and order */
  epoch: number;
  /** Without it each event predicts the next. */
  cloze?: Cloze;
  /** How windows are changed; they are as they were without it. */
  augment?: Augmentation;
  /** Probability that a window is read as if nothing were known of its user, and likewise of how its events were. */
  sideDropout?: number;
  /** Windows are histories, and what is predicted are up to so many items that follow each (see continuations.ts). */
  continuation?: number;
}

/** Which windows an epoch has and which batch each is in. */
interface Plan {
  /** [windows] where the window's first input stands in `dataset.items` */
  first: Uint32Array;
  /** [windows] whose it is */
  user: Uint32Array;
  /** [windows] tokens */
  length: Uint32Array;
  /** [windows] events before augmentation, the last target included */
  taken: Uint32Array;
  /** windows in the order they are packed; batch b holds order[bounds[b] … bounds[b + 1]) */
  order: Uint32Array;
  bounds: number[];
}

/**
 * Events of a batch that the cloze task masks at most, so that what is predicted has a place of fixed size: half as many
 * again as the share asks for, and a quarter of the batch at least (a short window masks one event). Windows that come
 * after that stay whole.
 */
export function maxMasked(budget: number, share: number): number {
  return Math.ceil((budget * Math.min(1, Math.max(0.25, 1.5 * share))) / 64) * 64;
}

/** Keeps the masks' random numbers apart from those of the windows. */
const MASKS = 0x5f3759df;
/** Likewise those that hide what stands beside the items. */
const HIDDEN = 0x51de;

/**
 * The batches of one epoch. A training history of m events has n = m − 1 positions (input x_i, target x_{i+1}); it is
 * cut at a random shift into ⌈n/T⌉ windows that cover each position exactly once, and all windows are shuffled.
 *
 * With `cloze` all m events of a history are tokens, some of them masked (their item is V, one beyond the catalogue); only
 * these have a weight, and their target is the item that was there. Masks are drawn anew in each epoch.
 *
 * Everything follows from (seed, epoch): `skip` leaves out the first batches and yields the others as if it had not,
 * which is how a run resumes in mid-epoch.
 *
 * @throws InputError when a window does not fit the budget
 */
export function* batches(parts: Split, options: BatchOptions & { skip?: number }): Generator<Batch, void, undefined> {
  if (options.continuation) return yield* continuations(parts, { ...options, continuation: options.continuation });
  const plan = planEpoch(parts, options);
  for (let b = options.skip ?? 0; b + 1 < plan.bounds.length; b++) {
    const batch = fillBatch(parts, plan, b, options);
    if (options.cloze)
      mask(batch, parts.items, options.cloze, seeded(options.seed ^ MASKS, options.epoch * 2 ** 16 + b));
    yield batch;
  }
}

/** Batches in the given epoch, exactly; it differs by little between epochs. */
export function batchesPerEpoch(parts: Split, options: BatchOptions): number {
  if (options.continuation) return continuationsPerEpoch(parts, { ...options, continuation: options.continuation });
  return planEpoch(parts, options).bounds.length - 1;
}

function planEpoch(parts: Split, { maxTokens: budget, window, seed, epoch, cloze, augment }: BatchOptions): Plan {
  if (!(Number.isInteger(window) && window >= 1 && window <= budget)) {
    throw new InputError('too-large', `a window of ${window} tokens does not fit a budget of ${budget}`, {
      hint: 'make the budget larger',
    });
  }
  const random = seeded(seed, epoch);
  const changed = changesWindows(augment) ? augment : null;
  /** The last target, which is no token. */
  const beyond = cloze ? 0 : 1;
  const first: number[] = [];
  const user: number[] = [];
  const length: number[] = [];
  const taken: number[] = [];
  for (let u = 0; u < parts.users; u++) {
    const events = parts.trainLength(u);
    if (events < 2) continue;
    const n = cloze ? events : events - 1;
    const windows = Math.ceil(n / window);
    // The slack windows·T − n is what the first window gives up; all others but the last are full.
    const shift = random.below(windows * window - n + 1);
    const base = parts.dataset.offsets[u];
    for (let at = 0, end = windows === 1 ? n : window - shift; at < n; at = end, end = Math.min(n, end + window)) {
      const count = end - at + beyond;
      length.push((changed ? augmentWindow(changed, count, seed, epoch, first.length).length : count) - beyond);
      first.push(base + at);
      user.push(u);
      taken.push(count);
    }
  }
  const order = Uint32Array.from(first, (_, i) => i);
  for (let i = order.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [order[i], order[j]] = [order[j], order[i]];
  }
  const lengths = Uint32Array.from(length);
  return {
    first: Uint32Array.from(first),
    user: Uint32Array.from(user),
    length: lengths,
    taken: Uint32Array.from(taken),
    order,
    bounds: pack(order, [{ length: lengths, maxTokens: budget }]),
  };
}

function fillBatch(parts: Split, plan: Plan, b: number, options: BatchOptions): Batch {
  const { maxTokens: budget, seed, epoch, augment } = options;
  const { items: events, times: seconds } = parts.dataset;
  const times = seconds && new Uint32Array(budget);
  const [items, positions, targets, start, end] = Array.from({ length: 5 }, () => new Uint32Array(budget));
  const weights = new Float32Array(budget);
  const { side } = parts;
  const writer = side && new SideFeatureWriter();
  const random = seeded(seed ^ HIDDEN, epoch * 2 ** 16 + b);
  const hides = (): boolean => random.next() < (options.sideDropout ?? 0);
  let tokens = 0;
  for (let w = plan.bounds[b]; w < plan.bounds[b + 1]; w++) {
    const number = plan.order[w];
    const first = plan.first[number];
    const length = plan.length[number];
    let places: ArrayLike<number> = Array.from({ length }, (_, i) => first + i);
    let window = events.subarray(first, first + length + 1);
    let at = seconds?.subarray(first, first + length);
    if (changesWindows(augment)) {
      const kept = augmentWindow(augment, plan.taken[number], seed, epoch, number);
      window = kept.map((place) => events[first + place]);
      places = kept.slice(0, length).map((place) => first + place);
      // Reordered events take their places in time, too.
      const moved = seconds && kept.sort().map((place) => seconds[first + place]);
      at = moved?.subarray(0, length);
    }
    if (side && writer) side.write(writer, plan.user[number], places, { user: hides(), events: hides() });
    items.set(window.subarray(0, length), tokens);
    targets.set(window.subarray(1, length + 1), tokens); // of the cloze task: see `mask`
    if (at) times?.set(at, tokens);
    start.fill(tokens, tokens, tokens + length);
    end.fill(tokens + length, tokens, tokens + length);
    for (let i = 0; i < length; i++) positions[tokens + i] = i;
    tokens += length;
  }
  weights.fill(1 / tokens, 0, tokens);
  return {
    tokens,
    items,
    positions,
    targets,
    weights,
    start,
    end,
    ...(times ? { times } : {}),
    ...(writer ? { side: writer.finish() } : {}),
  };
}

/** Makes a batch of whole windows one of the cloze task. */
function mask(batch: Batch, masked: number, { share, last }: Cloze, random: Random): void {
  const { items, targets, weights, end, tokens } = batch;
  targets.fill(0);
  weights.fill(0);
  const most = maxMasked(items.length, share);
  let count = 0;
  const hide = (i: number): void => {
    targets[i] = items[i];
    items[i] = masked;
    weights[i] = 1;
    count++;
  };
  for (let from = 0; from < tokens && count < most; from = end[from]) {
    const n = end[from] - from;
    if (random.next() < last) {
      hide(end[from] - 1);
      continue;
    }
    // The first `left` of a shuffled window, without shuffling it: each event with the chance that is left to it.
    let left = Math.min(most - count, Math.max(1, Math.round(n * share)));
    for (let i = 0; i < n; i++) {
      if (random.next() * (n - i) >= left) continue;
      hide(from + i);
      left--;
    }
  }
  for (let i = 0; i < tokens; i++) weights[i] /= count;
}
