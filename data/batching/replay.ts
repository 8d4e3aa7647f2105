/** Batches of an update: windows with fresh events, and a uniform sample of the others (experience replay). */
import type { Random } from '../random.ts';
import type { Split } from '../splits/split.ts';

/** Stream of the seed that draws what is replayed. */
export const REPLAYED = 0x7265706c;

/** A window of events: [first, first + events) in the dataset. */
interface Replayed {
  tokens: number;
}

/**
 * The windows with an event that is marked as fresh, and of the others as many as have `replay` times their tokens in
 * expectation, each alike. Without anything fresh all windows are kept.
 *
 * @param spanOf the events of a window, [from, to) in the dataset
 */
export function replayed<W extends Replayed>(
  windows: W[],
  { dataset: { fresh } }: Split,
  replay: number | undefined,
  spanOf: (window: W) => [from: number, to: number],
  random: Random,
): W[] {
  if (replay === undefined || !fresh) return windows;
  const isFresh = windows.map((window) => {
    const [from, to] = spanOf(window);
    return fresh.subarray(from, to).includes(1);
  });
  const tokensOf = (kind: boolean): number =>
    windows.reduce((sum, { tokens }, i) => sum + (isFresh[i] === kind ? tokens : 0), 0);
  const [own, others] = [tokensOf(true), tokensOf(false)];
  if (own === 0) return windows;
  const share = (replay * own) / Math.max(1, others);
  return windows.filter((_, i) => isFresh[i] || random.next() < share);
}
