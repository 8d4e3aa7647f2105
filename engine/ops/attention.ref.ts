import type { Arrays, Reference } from '../reference.ts';
import type { Params } from '../kernel.ts';
import { threefry2x32 } from '../random/random.ts';
import type { AttentionReferences } from './shared/attend.ts';
import { STATE } from '../state.ts';

/** One query i of head h; `at` is where (h, i) lies in stats, `keep(j)` what dropout multiplies the weight (i, j) by. */
interface Row {
  i: number;
  h: number;
  at: number;
  keep(j: number): number;
}

/** What dropout multiplies the weight (i, j) of head h by. */
export function dropoutFactor({ state }: Arrays, p: Params, i: number, j: number, h: number): number {
  if (!p.dropout || !state[STATE.DROPOUT]) return 1;
  const words = threefry2x32(state[STATE.SEED], state[STATE.STEP], (p.stream + h) >>> 0, ((i << 16) | (j >> 1)) >>> 0);
  return words[j & 1] >= p.threshold ? p.keep_scale : 0;
}

const row = (arrays: Arrays, p: Params, i: number, h: number): Row => {
  return { i, h, at: 2 * (h * p.l + i), keep: (j) => dropoutFactor(arrays, p, i, j, h) };
};

/**
 * Calls `visit` for every query of every head, with its keys [first, last), and 1, or NaN where its bounds end beyond all
 * keys.
 */
function queries(
  arrays: Arrays,
  p: Params,
  visit: (row: Row, first: number, last: number, factor: number) => void,
): void {
  const { start, end } = arrays;
  for (let h = 0; h < p.heads; h++) {
    for (let i = 0; i < p.l; i++) {
      const last = Math.min(end[i], p.m);
      visit(row(arrays, p, i, h), start[i], p.causal ? Math.min(last, i + 1) : last, wholly(start[i], end[i], p.m));
    }
  }
}

/** 1 where the rows [first, last) are among `count`, else NaN. */
export const wholly = (first: number, last: number, count: number): number =>
  last > Math.max(first, count) ? Number.NaN : 1;

/** Σ over a head's columns of a[ao + c] · b[bo + c]. */
export function columnDot(k: number, a: Arrays[string], ao: number, b: Arrays[string], bo: number): number {
  let sum = 0;
  for (let c = 0; c < k; c++) sum += a[ao + c] * b[bo + c];
  return sum;
}

const qAt = (p: Params, i: number, h: number): number => 4 * p.q_row * i + h * p.k;
const kAt = (p: Params, j: number, h: number): number => 4 * (p.kv_row * j + p.k_col) + h * p.k;
const vAt = (p: Params, j: number, h: number): number => kAt(p, j, h) + p.heads * p.k;
const oAt = (p: Params, i: number, h: number): number => (i * p.heads + h) * p.k;

const forward: Reference = (arrays, p) => {
  const { q, kv, o, stats } = arrays;
  queries(arrays, p, ({ i, h, at, keep }, first, last, factor) => {
    const out = oAt(p, i, h);
    for (let c = 0; c < p.k; c++) o[out + c] = 0 * factor;
    stats[at] = 0 * factor;
    stats[at + 1] = 0;
    if (first >= last) return;
    const scores = new Float64Array(last - first);
    for (let j = first; j < last; j++) scores[j - first] = p.scale * columnDot(p.k, q, qAt(p, i, h), kv, kAt(p, j, h));
    const max = scores.reduce((a, b) => Math.max(a, b));
    const sum = scores.reduce((a, s) => a + Math.exp(s - max), 0);
    stats[at] = (max + Math.log(sum)) * factor;
    const mixed = new Float64Array(p.k);
    for (let j = first; j < last; j++) {
      const weight = (Math.exp(scores[j - first] - max) / sum) * keep(j);
      for (let c = 0; c < p.k; c++) mixed[c] += weight * kv[vAt(p, j, h) + c];
    }
    for (let c = 0; c < p.k; c++) o[out + c] = mixed[c] * factor;
  });
};

const delta: Reference = ({ dout, o, stats }, p) => {
  for (let h = 0; h < p.heads; h++) {
    for (let i = 0; i < p.l; i++) stats[2 * (h * p.l + i) + 1] = columnDot(p.k, dout, oAt(p, i, h), o, oAt(p, i, h));
  }
};

/** P after dropout and dS of one pair, from the saved logsumexp and delta. */
function pair({ q, kv, dout, stats }: Arrays, p: Params, { i, h, at, keep }: Row, j: number): [number, number] {
  const prob = Math.exp(p.scale * columnDot(p.k, q, qAt(p, i, h), kv, kAt(p, j, h)) - stats[at]);
  const dprob = keep(j) * columnDot(p.k, dout, oAt(p, i, h), kv, vAt(p, j, h));
  return [prob * keep(j), p.scale * prob * (dprob - stats[at + 1])];
}

const backwardQ: Reference = (arrays, p) => {
  const { kv, dq } = arrays;
  queries(arrays, p, (own, first, last, factor) => {
    const sum = new Float64Array(p.k);
    for (let j = first; j < last; j++) {
      const [, ds] = pair(arrays, p, own, j);
      for (let c = 0; c < p.k; c++) sum[c] += ds * kv[kAt(p, j, own.h) + c];
    }
    const to = qAt(p, own.i, own.h);
    for (let c = 0; c < p.k; c++) dq[to + c] = (p.acc ? dq[to + c] : 0) + sum[c] * factor;
  });
};

/** Here `start` and `end` are the queries of each key. */
const backwardKV: Reference = (arrays, p) => {
  const { q, dout, start, end, dkv } = arrays;
  for (let h = 0; h < p.heads; h++) {
    for (let j = 0; j < p.m; j++) {
      const dk = new Float64Array(p.k);
      const dv = new Float64Array(p.k);
      const factor = wholly(start[j], end[j], p.l);
      for (let i = p.causal ? Math.max(start[j], j) : start[j]; i < Math.min(end[j], p.l); i++) {
        const [weight, ds] = pair(arrays, p, row(arrays, p, i, h), j);
        for (let c = 0; c < p.k; c++) {
          dk[c] += ds * q[qAt(p, i, h) + c];
          dv[c] += weight * dout[oAt(p, i, h) + c];
        }
      }
      for (const [to, sum] of [
        [kAt(p, j, h), dk],
        [vAt(p, j, h), dv],
      ] as const) {
        for (let c = 0; c < p.k; c++) dkv[to + c] = (p.acc ? dkv[to + c] : 0) + sum[c] * factor;
      }
    }
  }
};

export const attentionReferences: AttentionReferences = { forward, delta, backwardQ, backwardKV };
