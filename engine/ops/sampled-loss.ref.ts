import type { Reference } from '../reference.ts';
import type { NumericArray } from '../tensor.ts';

/** The numbers of the kernels' `kind`. */
export const KINDS = ['softmax', 'bce', 'bpr'] as const;

const softplus = (x: number): number => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
const sigmoid = (x: number): number => (x >= 0 ? 1 / (1 + Math.exp(-x)) : 1 - 1 / (1 + Math.exp(x)));

/** The corrected scores of row i's negatives, −∞ where one is its target (which then counts for nothing, NaN or not). */
function scoresOf(t: Record<string, NumericArray>, p: Record<string, number>, i: number): Float64Array {
  const list = Math.floor(i / p.group) * p.n;
  return Float64Array.from({ length: p.n }, (_, j) => {
    if (t.negatives[list + j] === t.targets[i]) return Number.NEGATIVE_INFINITY;
    return t.neg[i * p.n + j] - (p.logq_on ? t.logq[list + j] : 0);
  });
}

export const sampledLossForward: Reference = (t: Record<string, NumericArray>, p) => {
  for (let i = 0; i < p.l; i++) {
    const [w, s] = [t.weights[i], t.pos[i]];
    if (w === 0) {
      t.stats.fill(0, 4 * i, 4 * i + 4);
      t.terms[i] = 0;
      continue;
    }
    const x = scoresOf(t, p, i).filter((v) => v !== Number.NEGATIVE_INFINITY);
    let kept = 0;
    let sum = 0;
    if (KINDS[p.kind] === 'softmax') {
      const top = x.reduce((a, b) => Math.max(a, b), s);
      kept = top + Math.log(x.reduce((z, v) => z + Math.exp(v - top), Math.exp(s - top)));
      sum = kept - s;
    } else if (KINDS[p.kind] === 'bce') {
      sum = p.share * x.reduce((z, v) => z + softplus(v), p.beta * softplus(-s));
    } else {
      kept = x.reduce((z, v) => z + sigmoid(v - s), 0);
      sum = p.share * x.reduce((z, v) => z + softplus(v - s), 0);
    }
    t.stats.set([kept, s, w, 0], 4 * i);
    t.terms[i] = w * sum;
  }
};

export const sampledLossBackward: Reference = (t: Record<string, NumericArray>, p) => {
  for (let i = 0; i < p.l; i++) {
    const [kept, s, w] = t.stats.subarray(4 * i, 4 * i + 3);
    const f = t.dy[0] * w * p.share;
    const kind = KINDS[p.kind];
    const x = scoresOf(t, p, i);
    let dpos = 0;
    if (f !== 0) {
      if (kind === 'softmax') dpos = f * (Math.exp(s - kept) - 1);
      else dpos = kind === 'bce' ? -f * p.beta * sigmoid(-s) : -f * kept;
    }
    t.dpos[i] = (p.acc_pos ? t.dpos[i] : 0) + dpos;
    for (let j = 0; j < p.n; j++) {
      const slope = kind === 'softmax' ? Math.exp(x[j] - kept) : sigmoid(kind === 'bce' ? x[j] : x[j] - s);
      const counts = f !== 0 && x[j] !== Number.NEGATIVE_INFINITY;
      const at = i * p.n + j;
      t.dneg[at] = (p.acc_neg ? t.dneg[at] : 0) + (counts ? f * slope : 0);
    }
  }
};
