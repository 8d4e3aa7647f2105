/** Histories end to end in a budget of tokens, as an encoder reads them when it recommends. */
import type { SequenceModel } from './sequence-model.ts';

/** What someone did. */
export interface History {
  /** Item rows, oldest first, at least one; the last `window` of them are read. */
  history: Uint32Array;
  /** Times of the history (data/times.ts), for models that read them; without them the order counts. */
  times?: Uint32Array;
}

interface TokenArrays {
  items: Uint32Array;
  positions: Uint32Array;
  start: Uint32Array;
  end: Uint32Array;
  times?: Uint32Array;
}

/** The tokens of a batch, for `Inputs`. */
export function tokenSpec(budget: number, times: boolean) {
  const u32 = { shape: [budget], dtype: 'u32' as const };
  return { items: u32, positions: u32, start: u32, end: u32, ...(times ? { times: u32 } : {}) };
}

/** Tokens that a history takes: its last events, and the mask of the event to come where the model fills in masks. */
export const lengthOf = ({ settings, cloze }: SequenceModel, history: Uint32Array): number =>
  Math.min(settings.window, history.length + (cloze ? 1 : 0));

/**
 * Writes a history's tokens at `at`.
 * @returns where the next history begins
 */
export function packHistory(model: SequenceModel, q: History, to: TokenArrays, at: number): number {
  const { items, positions, start, end, times } = to;
  const length = lengthOf(model, q.history);
  const events = model.cloze ? length - 1 : length;
  const first = q.history.length - events;
  items.set(q.history.subarray(first), at);
  if (model.cloze) items[at + events] = model.items;
  for (let i = 0; i < length; i++) positions[at + i] = i;
  // The event to come is taken to be as late as the last one.
  if (times) for (let i = 0; i < length; i++) times[at + i] = q.times?.[first + Math.min(i, events - 1)] ?? i;
  start.fill(at, at, at + length);
  end.fill(at + length, at, at + length);
  return at + length;
}

/** Leaves the tokens from `at` on to nobody. */
export function clearTokens({ items, positions, start, end, times }: TokenArrays, at: number): void {
  for (const unused of [items, positions, start, end, ...(times ? [times] : [])]) unused.fill(0, at);
}
