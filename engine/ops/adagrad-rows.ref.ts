import type { Reference } from '../reference.ts';
import { STATE, STATUS } from '../state.ts';
import { floatOf } from './adamw.ref.ts';
import { kept, shardRows } from './adamw-rows.ref.ts';

export const adagradRowsReference: Reference = ({ state, status, touched, grads, params, sums, average }, p) => {
  if (status[STATUS.FAILED]) return;
  const [lr, scale] = [floatOf(state[STATE.LEARNING_RATE]), floatOf(status[STATUS.SCALE])];
  for (const { i, row } of shardRows(touched, p)) {
    let squares = 0;
    for (let e = i * p.d; e < (i + 1) * p.d; e++) squares += (grads[e] * scale) ** 2;
    sums[row] += squares / p.d;
    const inverse = p.rate / (Math.sqrt(sums[row]) + p.eps);
    for (let c = 0; c < p.d; c++) {
      const e = row * p.d + c;
      params[e] -= lr * (grads[i * p.d + c] * scale * inverse + p.decay * params[e]);
      if (p.average_on) average[e] = params[e] + kept(p, status[STATUS.STEP]) * (average[e] - params[e]);
      grads[i * p.d + c] = 0;
    }
  }
};
