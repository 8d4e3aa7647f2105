import type { Arrays, Reference } from '../device.ts';
import type { Params } from '../kernel.ts';
import { threefry2x32 } from '../random.ts';

type Visit = (row: {
  i: number;
  h: number;
  first: number;
  last: number;
  at: number;
  keep: (j: number) => number;
}) => void;

/**
 * Calls `visit` for every token i that attends to anything and every head h: to the keys [first, last). `at` is where
 * (h, i) stands in lse and delta; `keep(j)` is the factor dropout gives the probability (i, j).
 */
function rows({ start, end, state }: Arrays, p: Params, visit: Visit): void {
  for (let h = 0; h < p.heads; h++) {
    for (let i = 0; i < p.l; i++) {
      const first = start[i];
      const last = p.causal ? Math.min(end[i], i + 1) : end[i];
      const keep = (j: number): number => {
        if (!p.dropout || !state[5]) return 1;
        const words = threefry2x32(state[0], state[1], (p.stream + h) >>> 0, ((i << 16) | (j >> 1)) >>> 0);
        return words[j & 1] >= p.threshold ? p.keep_scale : 0;
      };
      visit({ i, h, first, last, at: h * p.l + i, keep });
    }
  }
}

/** Σ over a head's columns of a[i·aw + ac + c] · b[j·bw + bc + c]. */
function dot(k: number, a: Arrays[string], ao: number, b: Arrays[string], bo: number): number {
  let sum = 0;
  for (let c = 0; c < k; c++) sum += a[ao + c] * b[bo + c];
  return sum;
}

export const attentionForward: Reference = (arrays, p) => {
  const { qkv, o, lse } = arrays;
  const d = p.heads * p.k;
  rows(arrays, p, ({ i, h, first, last, at, keep }) => {
    const out = i * d + h * p.k;
    for (let c = 0; c < p.k; c++) o[out + c] = 0;
    lse[at] = 0;
    if (first >= last) return;
    const scores = new Float64Array(last - first);
    for (let j = first; j < last; j++)
      scores[j - first] = p.scale * dot(p.k, qkv, i * 3 * d + h * p.k, qkv, j * 3 * d + d + h * p.k);
    const max = scores.reduce((a, b) => Math.max(a, b));
    const sum = scores.reduce((a, s) => a + Math.exp(s - max), 0);
    lse[at] = max + Math.log(sum);
    const row = new Float64Array(p.k);
    for (let j = first; j < last; j++) {
      const weight = (Math.exp(scores[j - first] - max) / sum) * keep(j);
      for (let c = 0; c < p.k; c++) row[c] += weight * qkv[j * 3 * d + 2 * d + h * p.k + c];
    }
    for (let c = 0; c < p.k; c++) o[out + c] = row[c];
  });
};

export const attentionDelta: Reference = (arrays, p) => {
  const d = p.heads * p.k;
  rows(arrays, p, ({ i, h, at }) => {
    arrays.delta[at] = dot(p.k, arrays.dout, i * d + h * p.k, arrays.o, i * d + h * p.k);
  });
};

/** P after dropout and dS of one pair, from the saved logsumexp and delta. */
function pair(
  { qkv, dout, lse, delta }: Arrays,
  p: Params,
  i: number,
  j: number,
  h: number,
  keep: number,
): { weight: number; ds: number } {
  const d = p.heads * p.k;
  const at = h * p.l + i;
  const prob = Math.exp(p.scale * dot(p.k, qkv, i * 3 * d + h * p.k, qkv, j * 3 * d + d + h * p.k) - lse[at]);
  const dprob = keep * dot(p.k, dout, i * d + h * p.k, qkv, j * 3 * d + 2 * d + h * p.k);
  return { weight: prob * keep, ds: p.scale * prob * (dprob - delta[at]) };
}

function overwrite({ dqkv }: Arrays, p: Params, from: number, to: number): void {
  const d = p.heads * p.k;
  if (!p.acc) for (let i = 0; i < p.l; i++) for (let c = from * d; c < to * d; c++) dqkv[i * 3 * d + c] = 0;
}

export const attentionBackwardQ: Reference = (arrays, p) => {
  const { qkv, dqkv } = arrays;
  const d = p.heads * p.k;
  overwrite(arrays, p, 0, 1);
  rows(arrays, p, ({ i, h, first, last, keep }) => {
    const row = new Float64Array(p.k);
    for (let j = first; j < last; j++) {
      const { ds } = pair(arrays, p, i, j, h, keep(j));
      for (let c = 0; c < p.k; c++) row[c] += ds * qkv[j * 3 * d + d + h * p.k + c];
    }
    for (let c = 0; c < p.k; c++) dqkv[i * 3 * d + h * p.k + c] += row[c];
  });
};

export const attentionBackwardKV: Reference = (arrays, p) => {
  const { qkv, dout, dqkv } = arrays;
  const d = p.heads * p.k;
  const sums = new Float64Array(p.l * 2 * d);
  rows(arrays, p, ({ i, h, first, last, keep }) => {
    for (let j = first; j < last; j++) {
      const { weight, ds } = pair(arrays, p, i, j, h, keep(j));
      const at = j * 2 * d + h * p.k;
      for (let c = 0; c < p.k; c++) {
        sums[at + c] += ds * qkv[i * 3 * d + h * p.k + c];
        sums[at + d + c] += weight * dout[i * d + h * p.k + c];
      }
    }
  });
  overwrite(arrays, p, 1, 3);
  for (let j = 0; j < p.l; j++) for (let c = 0; c < 2 * d; c++) dqkv[j * 3 * d + d + c] += sums[j * 2 * d + c];
};
