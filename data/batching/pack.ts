/** Which windows share a batch. */
import { InputError } from '../errors.ts';

/** How many windows ahead the packer looks for one that fits the space left in a batch. */
const LOOK_AHEAD = 128;

/** A limit of a batch, and how much of it a window takes; any window fits an empty batch. */
export interface Capacity<W> {
  maxTokens: number;
  tokens(window: W): number;
}

/**
 * Divides windows into batches that keep every limit: windows in turn, and once the next does not fit, the largest (by the
 * first limit) that does among the LOOK_AHEAD that follow, until none does. Reorders `windows`.
 */
export function pack<W>(windows: W[], limits: readonly [Capacity<W>, ...Capacity<W>[]]): W[][] {
  const batches: W[][] = [];
  const { tokens } = limits[0];
  let batch: W[] = [];
  let space = limits.map((limit) => ({ ...limit, left: limit.maxTokens }));
  const fits = (window: W): boolean => space.every((limit) => limit.tokens(window) <= limit.left);
  for (let at = 0; at < windows.length; ) {
    let pick = -1;
    let largest = 0;
    const full = space.some(({ left }) => left === 0);
    for (let i = at; i < (full ? at : Math.min(windows.length, at + LOOK_AHEAD)); i++) {
      const window = windows[i] as W;
      if (!fits(window) || (pick >= 0 && tokens(window) <= largest)) continue;
      pick = i;
      largest = tokens(window);
      if (i === at) break;
    }
    if (pick < 0) {
      batches.push(batch);
      batch = [];
      space = limits.map((limit) => ({ ...limit, left: limit.maxTokens }));
      continue;
    }
    const chosen = windows[pick] as W;
    if (pick > at) windows.copyWithin(at + 1, at, pick);
    windows[at++] = chosen;
    batch.push(chosen);
    for (const limit of space) limit.left -= limit.tokens(chosen);
  }
  if (batch.length > 0) batches.push(batch);
  return batches;
}

/** @throws InputError when a window does not fit into a batch */
export function checkWindow({ window, maxTokens }: { window: number; maxTokens: number }): void {
  if (Number.isInteger(window) && window >= 1 && window <= maxTokens) return;
  throw new InputError('too-large', `a window of ${window} tokens does not fit a budget of ${maxTokens}`, {
    hint: 'make the budget larger',
  });
}
