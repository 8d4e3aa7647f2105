/** Batches of an update: windows with fresh events, and a uniform sample of the others (experience replay). */
import type { Random } from '../random.ts';
import type { Split } from '../splits/split.ts';

/** Stream of the seed that draws what is replayed. */
export const REPLAYED = 0x7265706c;

/**
 * The windows with an event that is marked as fresh, and of the others as many as have `replay` times their tokens in
 * expectation, each alike. Without anything fresh all windows are kept.
 *
 * @param tokens [windows]
 * @param spanOf the events of a window, [from, to) in the dataset
 * @returns the windows that are kept, in order
 */
export function replayed(
  tokens: Uint32Array,
  { dataset: { fresh } }: Split,
  replay: number | undefined,
  spanOf: (window: number) => [from: number, to: number],
  random: Random,
): Uint32Array {
  const all = Uint32Array.from(tokens, (_, i) => i);
  if (replay === undefined || !fresh) return all;
  const isFresh = Uint8Array.from(all, (i) => {
    const [from, to] = spanOf(i);
    return Number(fresh.subarray(from, to).includes(1));
  });
  let [own, others] = [0, 0];
  tokens.forEach((count, i) => {
    if (isFresh[i]) own += count;
    else others += count;
  });
  if (own === 0) return all;
  const share = (replay * own) / Math.max(1, others);
  return all.filter((i) => isFresh[i] || random.next() < share);
}
