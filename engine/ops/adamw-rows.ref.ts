import type { Params } from '../kernel.ts';
import type { Arrays, Reference } from '../reference.ts';
import { STATE, STATUS } from '../state.ts';
import { floatOf } from './adamw.ref.ts';

/** What the average keeps of itself at step j. */
export const kept = (p: Params, j: number): number => Math.min(p.average_decay, (1 + j) / (10 + j));

/**
 * Element e of a row that is done up to step s as of step t, with its moments and average: dense AdamW step by step, to the
 * end; the kernels stop after p.moves steps.
 */
function idle({ history, params, m, v, average }: Arrays, p: Params, e: number, s: number, t: number) {
  let [x, first, second] = p.moments ? [params[e], m[e], v[e]] : [params[e], 0, 0];
  let mean = p.average_on ? average[e] : 0;
  if (first === 0 && second === 0 && p.decay === 0 && !p.average_on) return { x, first, second, mean };
  for (let j = s + 1; j <= t; j++) {
    const [rate, root, share] = history.subarray(4 * (j % p.ring), 4 * (j % p.ring) + 3);
    first *= p.beta1;
    second *= p.root2 * p.root2;
    const step = p.moments ? (rate * first) / (Math.sqrt(second) * root + p.eps) : 0;
    x -= step + (p.average_on ? 0 : share * x);
    if (p.average_on) mean = x + share * (mean - x);
  }
  return { x, first, second, mean };
}

/** Rows of `touched` that are this shard's: the index of their gradient, their number in the shard, the step they are at. */
export function* shardRows(
  touched: Arrays[string],
  { first, v }: Params,
): Generator<{ i: number; row: number; s: number }> {
  for (let i = 0; i < touched[0]; i++) {
    const [id, s, at] = touched.subarray(64 + 3 * i, 67 + 3 * i);
    if (id >= first && id < first + v) yield { i: at, row: id - first, s };
  }
}

export const catchUpReference: Reference = (arrays, p) => {
  const { status, touched, params, m, v, average, y } = arrays;
  const all = Array.from({ length: p.all ? p.v : 0 }, (_, row) => ({ i: row, row, s: touched[p.first + row] }));
  for (const { i, row, s } of p.all ? all : shardRows(touched, p)) {
    for (let c = 0; c < p.d; c++) {
      const e = row * p.d + c;
      if (!status[STATUS.FAILED]) {
        const now = idle(arrays, p, e, s, status[STATUS.STEP]);
        params[e] = now.x;
        if (p.moments) {
          m[e] = now.first;
          v[e] = now.second;
        }
        if (p.average_on) average[e] = now.mean;
      }
      if (!p.all) y[i * p.d + c] = params[e];
    }
  }
};

export const currentReference: Reference = (arrays, p) => {
  const { status, last, y } = arrays;
  for (let row = 0; row < p.v; row++) {
    for (let e = row * p.d; e < (row + 1) * p.d; e++) {
      const { x, mean } = idle(arrays, p, e, last[p.first + row], status[STATUS.STEP]);
      y[e] = p.average_on ? mean : x;
    }
  }
};

export const historyReference: Reference = ({ state, status, history }, p) => {
  if (status[STATUS.FAILED]) return;
  const t = status[STATUS.STEP];
  const lr = floatOf(state[STATE.LEARNING_RATE]);
  const before = t % p.ring === 1 ? 0 : history[4 * ((t - 1) % p.ring) + 3];
  const [c1, c2] = [floatOf(status[STATUS.CORRECTION1]), floatOf(status[STATUS.CORRECTION2])];
  const share = p.average_on ? kept(p, t) : lr * p.decay;
  history.set([(lr * p.rate) / c1, 1 / Math.sqrt(c2), share, before + Math.log1p(-lr * p.decay)], 4 * (t % p.ring));
};

export const adamwRowsReference: Reference = ({ state, status, touched, grads, params, m, v, average }, p) => {
  if (status[STATUS.FAILED]) return;
  const [lr, c1, c2, scale] = [
    floatOf(state[STATE.LEARNING_RATE]),
    floatOf(status[STATUS.CORRECTION1]),
    floatOf(status[STATUS.CORRECTION2]),
    floatOf(status[STATUS.SCALE]),
  ];
  for (const { i, row } of shardRows(touched, p)) {
    for (let c = 0; c < p.d; c++) {
      const e = row * p.d + c;
      const g = grads[i * p.d + c] * scale;
      m[e] = p.beta1 * m[e] + p.rest1 * g;
      v[e] = p.beta2 * v[e] + p.rest2 * g * g;
      params[e] -= lr * ((p.rate * m[e]) / c1 / (Math.sqrt(v[e] / c2) + p.eps) + p.decay * params[e]);
      if (p.average_on) average[e] = params[e] + kept(p, status[STATUS.STEP]) * (average[e] - params[e]);
      grads[i * p.d + c] = 0;
    }
  }
};
