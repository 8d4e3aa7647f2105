import type { Reference } from '../reference.ts';
import { threefry2x32 } from '../random/random.ts';
import { STATE } from '../state.ts';

export const dropoutReference: Reference = ({ x, y, state }, { n, op, threshold, scale, acc }) => {
  let words: [number, number] = [0, 0];
  for (let e = 0; e < n; e++) {
    if (e % 2 === 0 && state[STATE.DROPOUT]) words = threefry2x32(state[STATE.SEED], state[STATE.STEP], op, e / 2);
    const v = state[STATE.DROPOUT] ? x[e] * (words[e & 1] >= threshold ? scale : 0) : x[e];
    y[e] = (acc ? y[e] : 0) + v;
  }
};
