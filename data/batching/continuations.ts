/**
 * Training windows of an encoder-decoder: histories, and the items that follow each.
 *
 * A training history of m events has the targets x_1 … x_{m−1}. Each epoch cuts them, at a random shift, into runs of n;
 * the encoder reads the up to T events before each run, and the decoder, which starts with the last of them, predicts the
 * run. So an epoch covers each target once, at a position in its continuation that changes from epoch to epoch.
 */
import type { Pieces } from '../pieces.ts';
import { seeded, shuffle } from '../random.ts';
import type { Split } from '../splits/split.ts';
import type { Batch, BatchOptions, ContinuationBatch, Epoch } from './batch.ts';
import { checkWindow, pack } from './pack.ts';
import { REPLAYED, replayed } from './replay.ts';
import { at, type Windows, WindowWriter } from './windows.ts';

export type ContinuationOptions = Omit<BatchOptions, 'cloze' | 'augment'> & { continuation: number };

/** Tokens of a batch's continuations: a quarter as many as of histories, and at least one continuation. */
export const continuationTokens = (maxTokens: number, continuation: number): number =>
  Math.ceil(Math.max(continuation, maxTokens / 4) / 64) * 64;

/** Keeps these draws apart from those of other windows. */
const STREAM = 0x636f6e74;

/** The batches of one epoch; see `planEpoch`. Everything follows from (seed, epoch). */
export function* planContinuations(split: Split, options: ContinuationOptions): Pieces<Epoch> {
  checkWindow(options);
  const { maxTokens, window, continuation, seed, epoch } = options;
  const random = seeded(seed ^ STREAM, epoch);
  const writer = new WindowWriter();
  for (let user = 0; user < split.users; user++) {
    yield;
    const events = split.trainLength(user);
    if (events < 2) continue;
    const [base] = split.range(user);
    // The first run is shortened by the shift; all others but the last are full.
    const shift = random.below(Math.min(continuation, events - 1));
    for (let at = 1, end = 1 + continuation - shift; at < events; at = end, end += continuation) {
      const tokens = Math.min(at, window);
      writer.push(user, base + at - tokens, tokens, Math.min(end, events) - at);
    }
  }
  const windows = writer.finish();
  const { tokens, events } = windows;
  const span = (i: number): [number, number] => {
    const [, first, history, length] = at(windows, i);
    return [first + history, first + history + length];
  };
  const kept = replayed(tokens, split, options.replay, span, seeded(seed ^ STREAM ^ REPLAYED, epoch));
  const packed = yield* pack(shuffle(kept, random), [
    { maxTokens, tokens },
    { maxTokens: continuationTokens(maxTokens, continuation), tokens: events },
  ]);
  return {
    count: packed.length,
    *batches(skip = 0) {
      for (const ids of packed.slice(skip)) yield fillBatch(split, windows, ids, options);
    },
  };
}

function fillBatch(split: Split, windows: Windows, ids: Uint32Array, options: ContinuationOptions): Batch {
  const { maxTokens, continuation } = options;
  const { items, times } = split.dataset;
  const zeros = (n: number) => new Uint32Array(n);
  const room = continuationTokens(maxTokens, continuation);
  const next: ContinuationBatch = {
    tokens: 0,
    items: zeros(room),
    positions: zeros(room),
    targets: zeros(room),
    weights: new Float32Array(room),
    start: zeros(room),
    end: zeros(room),
    keyStart: zeros(room),
    keyEnd: zeros(room),
    queryStart: zeros(maxTokens),
    queryEnd: zeros(maxTokens),
  };
  const batch = {
    tokens: 0,
    items: zeros(maxTokens),
    positions: zeros(maxTokens),
    targets: zeros(maxTokens),
    weights: new Float32Array(maxTokens),
    start: zeros(maxTokens),
    end: zeros(maxTokens),
    ...(times && { times: zeros(maxTokens) }),
    continuation: next,
  };
  for (const id of ids) {
    const [, first, tokens, length] = at(windows, id);
    const cut = first + tokens;
    const [from, to] = [batch.tokens, batch.tokens + tokens];
    const [nextFrom, nextTo] = [next.tokens, next.tokens + length];
    batch.items.set(items.subarray(first, cut), from);
    if (times) batch.times?.set(times.subarray(first, cut), from);
    for (let i = 0; i < tokens; i++) batch.positions[from + i] = i;
    batch.start.fill(from, from, to);
    batch.end.fill(to, from, to);
    next.queryStart.fill(nextFrom, from, to);
    next.queryEnd.fill(nextTo, from, to);

    next.items.set(items.subarray(cut - 1, cut - 1 + length), nextFrom);
    next.targets.set(items.subarray(cut, cut + length), nextFrom);
    for (let i = 0; i < length; i++) next.positions[nextFrom + i] = i;
    next.start.fill(nextFrom, nextFrom, nextTo);
    next.end.fill(nextTo, nextFrom, nextTo);
    next.keyStart.fill(from, nextFrom, nextTo);
    next.keyEnd.fill(to, nextFrom, nextTo);
    batch.tokens = to;
    next.tokens = nextTo;
  }
  next.weights.fill(1 / next.tokens, 0, next.tokens);
  return batch;
}
