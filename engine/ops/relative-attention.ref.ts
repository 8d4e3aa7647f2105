import type { Arrays, Reference } from '../reference.ts';
import type { Params } from '../kernel.ts';
import { columnDot, dropoutFactor, wholly } from './attention.ref.ts';

/** Distances in half octaves: 0, 1, 2, 3, 4–5, 6–7, 8–11, … (kernels/lib/attention_bias.wgsl). */
function halfOctave(x: number): number {
  if (x < 2) return x;
  const e = 31 - Math.clz32(x);
  return 2 * e + ((x >>> (e - 1)) & 1);
}

interface Pair {
  i: number;
  j: number;
  h: number;
  /** Score, with the bias. */
  s: number;
  /** Factor of dropout. */
  keep: number;
  /** Slots of the bias table that the score took. */
  slots: number[];
}

/** 1, or NaN where the bounds of token i end beyond all tokens. */
const factorOf = ({ spans }: Arrays, { l }: Params, i: number): number => wholly(spans[i], spans[l + i], l);

/** Scores of query i's keys in head h; none where the token is unused. */
export function attentionScores(arrays: Arrays, p: Params, i: number, h: number): Pair[] {
  const { qkv, spans, bias } = arrays;
  const { l, k } = p;
  const d = p.heads * k;
  const last = Math.min(spans[l + i], p.causal ? i + 1 : l);
  const out: Pair[] = [];
  for (let j = spans[i]; j < last; j++) {
    let s = 0;
    for (let c = 0; c < k; c++) s += qkv[i * 3 * d + h * k + c] * qkv[j * 3 * d + d + h * k + c];
    s *= p.scale;
    const side = j > i ? 64 : 0;
    const slots: number[] = [];
    const x = Math.abs(i - j);
    if (p.position) slots.push(h * p.width + side + (x < 32 ? x : 22 + halfOctave(x)));
    if (p.time) slots.push(h * p.width + p.times + side + halfOctave(Math.abs(spans[3 * l + i] - spans[2 * l + j])));
    for (const slot of slots) s += bias[slot];
    out.push({ i, j, h, s, keep: dropoutFactor(arrays, p, i, j, h), slots });
  }
  return out;
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

export const relativeAttentionForward: Reference = (arrays, p) => {
  const { qkv, o, stats } = arrays;
  const d = p.heads * p.k;
  for (let h = 0; h < p.heads; h++) {
    for (let i = 0; i < p.l; i++) {
      const all = attentionScores(arrays, p, i, h);
      const top = all.reduce((m, { s }) => Math.max(m, s), Number.NEGATIVE_INFINITY);
      const total = all.reduce((sum, { s }) => sum + Math.exp(s - top), 0);
      const weight = (s: number): number => (p.silu ? s * sigmoid(s) * p.inverse : Math.exp(s - top) / total);
      if (!p.silu) {
        stats[2 * (h * p.l + i)] = (all.length > 0 ? top + Math.log(total) : 0) * factorOf(arrays, p, i);
        stats[2 * (h * p.l + i) + 1] = 0;
      }
      for (let c = 0; c < p.k; c++) {
        let sum = 0;
        for (const { j, s, keep } of all) sum += weight(s) * keep * qkv[j * 3 * d + 2 * d + h * p.k + c];
        o[i * d + h * p.k + c] = sum * factorOf(arrays, p, i);
      }
    }
  }
};

/** The weight of v (before dropout) and ds of a pair. */
function slopes({ qkv, dout, stats }: Arrays, p: Params, { i, j, h, s, keep }: Pair): { weight: number; ds: number } {
  const d = p.heads * p.k;
  const dw = keep * columnDot(p.k, dout, i * d + h * p.k, qkv, j * 3 * d + 2 * d + h * p.k);
  if (p.silu) {
    const slope = sigmoid(s) * (1 + s * sigmoid(-s));
    return { weight: p.inverse * s * sigmoid(s), ds: p.inverse * slope * dw };
  }
  const at = 2 * (h * p.l + i);
  const weight = Math.exp(s - stats[at]);
  return { weight, ds: weight * (dw - stats[at + 1]) };
}

export const relativeAttentionBackwardQ: Reference = (arrays, p) => {
  const { qkv, dqkv, partial } = arrays;
  const d = p.heads * p.k;
  partial.fill(0);
  for (let h = 0; h < p.heads; h++) {
    for (let i = 0; i < p.l; i++) {
      const row = new Float64Array(p.k);
      for (const pair of attentionScores(arrays, p, i, h)) {
        const { ds } = slopes(arrays, p, pair);
        for (let c = 0; c < p.k; c++) row[c] += p.scale * ds * qkv[pair.j * 3 * d + d + h * p.k + c];
        for (const slot of pair.slots) partial[slot * p.l + i] += ds;
      }
      for (let c = 0; c < p.k; c++) {
        const at = i * 3 * d + h * p.k + c;
        dqkv[at] = (p.acc ? dqkv[at] : 0) + row[c] * factorOf(arrays, p, i);
      }
    }
  }
};

export const relativeAttentionBackwardKV: Reference = (arrays, p) => {
  const { qkv, dout, dqkv } = arrays;
  const d = p.heads * p.k;
  const sums = new Float64Array(p.l * 2 * d);
  for (let h = 0; h < p.heads; h++) {
    for (let i = 0; i < p.l; i++) {
      for (const pair of attentionScores(arrays, p, i, h)) {
        const { weight, ds } = slopes(arrays, p, pair);
        const at = pair.j * 2 * d + h * p.k;
        for (let c = 0; c < p.k; c++) {
          sums[at + c] += p.scale * ds * qkv[i * 3 * d + h * p.k + c];
          sums[at + d + c] += weight * pair.keep * dout[i * d + h * p.k + c];
        }
      }
    }
  }
  for (let j = 0; j < p.l; j++) {
    for (let c = 0; c < 2 * d; c++) {
      const at = j * 3 * d + d + c;
      dqkv[at] = (p.acc ? dqkv[at] : 0) + sums[j * 2 * d + c] * factorOf(arrays, p, j);
    }
  }
};
