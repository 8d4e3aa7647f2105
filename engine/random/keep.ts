/** Dropout masks for the references: the twin of kernels/lib/keep.wgsl. */
import { threefry2x32 } from './random.ts';
import type { NumericArray } from '../tensor.ts';
import { STATE } from '../state.ts';

/** The parameters that fused ops pass to their kernels for a dropout of this rate; `op` numbers the random op. */
export function dropoutParams(
  who: string,
  rate: number,
  op: number,
): { dropout: number; op: number; threshold: number; scale: number } {
  if (!(rate >= 0 && rate < 1)) throw new Error(`${who}: expected a dropout in [0, 1), got ${rate}`);
  return { dropout: rate > 0 ? 1 : 0, op, threshold: Math.floor(rate * 2 ** 32), scale: 1 / (1 - rate) };
}

/** The factor of element e: 0 or `scale`; always 1 without a state or where dropout is off in it. */
export function keepOf(
  state: NumericArray | null,
  op: number,
  threshold: number,
  scale: number,
): (e: number) => number {
  if (!state?.[STATE.DROPOUT]) return () => 1;
  let at = -1;
  let words: [number, number] = [0, 0];
  return (e) => {
    if (e >>> 1 !== at) {
      at = e >>> 1;
      words = threefry2x32(state[STATE.SEED], state[STATE.STEP], op, at);
    }
    return words[e & 1] >= threshold ? scale : 0;
  };
}
