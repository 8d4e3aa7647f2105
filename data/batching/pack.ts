/** Which windows share a batch. */
import { InputError } from '../errors.ts';
import type { Pieces } from '../pieces.ts';

/** How many windows ahead the packer looks for one that fits the space left in a batch. */
const LOOK_AHEAD = 128;

/** A limit of a batch, and how much of it each window takes, [windows]; any window fits an empty batch. */
export interface Capacity {
  maxTokens: number;
  tokens: Uint32Array;
}

/**
 * Divides windows into batches that keep every limit: windows in turn, and once the next does not fit, the largest (by the
 * first limit) that does among the LOOK_AHEAD that follow, until none does.
 *
 * @param windows in the order in which they are taken; reordered
 * @returns the windows of each batch, views
 */
export function* pack(windows: Uint32Array, limits: readonly [Capacity, ...Capacity[]]): Pieces<Uint32Array[]> {
  const batches: Uint32Array[] = [];
  const { tokens } = limits[0];
  const left = Float64Array.from(limits, ({ maxTokens }) => maxTokens);
  const fits = (window: number): boolean =>
    limits.every((limit, l) => (limit.tokens[window] as number) <= (left[l] as number));
  let from = 0;
  for (let at = 0; at < windows.length; ) {
    yield;
    let pick = -1;
    let largest = 0;
    const full = left.includes(0);
    for (let i = at; i < (full ? at : Math.min(windows.length, at + LOOK_AHEAD)); i++) {
      const window = windows[i] as number;
      const size = tokens[window] as number;
      if ((pick >= 0 && size <= largest) || !fits(window)) continue;
      pick = i;
      largest = size;
      if (i === at) break;
    }
    if (pick < 0) {
      batches.push(windows.subarray(from, at));
      from = at;
      for (const [l, { maxTokens }] of limits.entries()) left[l] = maxTokens;
      continue;
    }
    const chosen = windows[pick] as number;
    if (pick > at) windows.copyWithin(at + 1, at, pick);
    windows[at++] = chosen;
    for (const [l, limit] of limits.entries()) left[l] = (left[l] as number) - (limit.tokens[chosen] as number);
  }
  if (windows.length > from) batches.push(windows.subarray(from));
  return batches;
}

/** @throws InputError when a window does not fit into a batch */
export function checkWindow({ window, maxTokens }: { window: number; maxTokens: number }): void {
  if (Number.isInteger(window) && window >= 1 && window <= maxTokens) return;
  throw new InputError('too-large', `a window of ${window} tokens does not fit a budget of ${maxTokens}`, {
    hint: 'make the budget larger',
  });
}
