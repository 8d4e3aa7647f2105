/**
 * Training windows of an encoder–decoder: histories, and the items that follow each.
 *
 * A training history of m events has the targets x_1 … x_{m−1}. Each epoch cuts them, at a random shift, into runs of n;
 * before each run lie the up to T events that the encoder reads, and the decoder, which begins with the last of them,
 * predicts the run. So an epoch covers each position once, at a place in its continuation that changes from epoch to epoch.
 */
import type { Batch, BatchOptions } from './batches.ts';
import { InputError } from '../errors.ts';
import { pack } from './pack.ts';
import { seeded } from '../random.ts';
import type { Split } from '../splits/split.ts';

/** What a decoder reads and predicts, laid end to end like a batch, in the order of its windows. All [room]. */
export interface ContinuationBatch {
  /** Tokens in use. */
  tokens: number;
  /** Item row: the last of the history first, then those of the continuation but its last. */
  items: Uint32Array;
  /** Place in the continuation, from 0. */
  positions: Uint32Array;
  /** Item row that follows. */
  targets: Uint32Array;
  /** 1 / tokens for tokens in use. */
  weights: Float32Array;
  /** The continuation that a token belongs to. */
  start: Uint32Array;
  end: Uint32Array;
  /** The history that it continues, as tokens of the batch. */
  keyStart: Uint32Array;
  keyEnd: Uint32Array;
  /** [budget] The continuation of each token of the histories. */
  queryStart: Uint32Array;
  queryEnd: Uint32Array;
}

export type ContinuationOptions = Omit<BatchOptions, 'cloze' | 'augment'> & { continuation: number };

/** Tokens of a batch's continuations: a quarter of the histories'; one continuation at least. */
export const continuationTokens = (budget: number, continuation: number): number =>
  Math.ceil(Math.max(continuation, budget / 4) / 64) * 64;

interface Plan {
  /** [windows] where the history and the continuation begin in `dataset.items`, and how long both are */
  first: Uint32Array;
  cut: Uint32Array;
  history: Uint32Array;
  length: Uint32Array;
  order: Uint32Array;
  bounds: number[];
}

/** Keeps these draws apart from those of other windows. */
const STREAM = 0x636f6e74;

/** The batches of one epoch; see `batches`. Everything follows from (seed, epoch). */
export function* continuations(
  parts: Split,
  options: ContinuationOptions & { skip?: number },
): Generator<Batch, void, undefined> {
  const plan = planEpoch(parts, options);
  for (let b = options.skip ?? 0; b + 1 < plan.bounds.length; b++) yield fillBatch(parts, plan, b, options);
}

export function continuationsPerEpoch(parts: Split, options: ContinuationOptions): number {
  return planEpoch(parts, options).bounds.length - 1;
}

function planEpoch(parts: Split, { maxTokens: budget, window, continuation, seed, epoch }: ContinuationOptions): Plan {
  if (!(Number.isInteger(window) && window >= 1 && window <= budget)) {
    throw new InputError('too-large', `a window of ${window} tokens does not fit a budget of ${budget}`, {
      hint: 'make the budget larger',
    });
  }
  const random = seeded(seed ^ STREAM, epoch);
  const [first, cut, history, length]: number[][] = [[], [], [], []];
  for (let u = 0; u < parts.users; u++) {
    const events = parts.trainLength(u);
    if (events < 2) continue;
    const base = parts.dataset.offsets[u];
    // The first run gives up what the shift takes; all others but the last are full.
    const shift = random.below(Math.min(continuation, events - 1));
    for (let at = 1, end = 1 + continuation - shift; at < events; at = end, end += continuation) {
      const read = Math.min(at, window);
      first.push(base + at - read);
      history.push(read);
      cut.push(base + at);
      length.push(Math.min(end, events) - at);
    }
  }
  const order = Uint32Array.from(first, (_, i) => i);
  for (let i = order.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [order[i], order[j]] = [order[j], order[i]];
  }
  const [lengths, histories] = [Uint32Array.from(length), Uint32Array.from(history)];
  return {
    first: Uint32Array.from(first),
    cut: Uint32Array.from(cut),
    history: histories,
    length: lengths,
    order,
    bounds: pack(order, [
      { length: histories, maxTokens: budget },
      { length: lengths, maxTokens: continuationTokens(budget, continuation) },
    ]),
  };
}

function fillBatch(
  parts: Split,
  plan: Plan,
  b: number,
  { maxTokens: budget, continuation }: ContinuationOptions,
): Batch {
  const { items: events, times: seconds } = parts.dataset;
  const make = (n: number) => new Uint32Array(n);
  const room = continuationTokens(budget, continuation);
  const [items, positions, targets, start, end] = Array.from({ length: 5 }, () => make(budget));
  const times = seconds && make(budget);
  const next: ContinuationBatch = {
    tokens: 0,
    items: make(room),
    positions: make(room),
    targets: make(room),
    weights: new Float32Array(room),
    start: make(room),
    end: make(room),
    keyStart: make(room),
    keyEnd: make(room),
    queryStart: make(budget),
    queryEnd: make(budget),
  };
  let tokens = 0;
  let to = 0;
  for (let w = plan.bounds[b]; w < plan.bounds[b + 1]; w++) {
    const [first, cut, history, length] = [plan.first, plan.cut, plan.history, plan.length].map(
      (of) => of[plan.order[w]],
    );
    const [from, stop] = [to, to + length];
    items.set(events.subarray(first, cut), tokens);
    if (seconds) times?.set(seconds.subarray(first, cut), tokens);
    for (let i = 0; i < history; i++) positions[tokens + i] = i;
    for (const [array, value] of [
      [start, tokens],
      [end, tokens + history],
      [next.queryStart, from],
      [next.queryEnd, stop],
    ] as const)
      array.fill(value, tokens, tokens + history);
    next.items.set(events.subarray(cut - 1, cut - 1 + length), from);
    next.targets.set(events.subarray(cut, cut + length), from);
    for (let i = 0; i < length; i++) next.positions[from + i] = i;
    for (const [array, value] of [
      [next.start, from],
      [next.end, stop],
      [next.keyStart, tokens],
      [next.keyEnd, tokens + history],
    ] as const)
      array.fill(value, from, stop);
    tokens += history;
    to = stop;
  }
  next.tokens = to;
  next.weights.fill(1 / to, 0, to);
  const weights = new Float32Array(budget);
  return { tokens, items, positions, targets, weights, start, end, ...(times ? { times } : {}), continuation: next };
}
