import type { Arrays, Reference } from '../reference.ts';
import type { Params } from '../kernel.ts';

export const pairsReference: Reference = ({ z, pairs }, { count, n, ku, x4, to_pairs }) => {
  const kx = 4 * x4;
  for (let at = 0; at < 4 * count; at++) {
    const x = Math.floor(at / kx) % n;
    const row = Math.floor(at / kx / n);
    const other = ((Math.floor(row / ku) * n + x) * ku + (row % ku)) * kx + (at % kx);
    if (to_pairs) pairs[other] = z[at];
    else z[at] = pairs[other];
  }
};

/** The weights π of the pair of row u and item x, and the mean of its logits under them. */
function mixtureOf({ z, t, ug, ig }: Arrays, { n, group, K }: Params, u: number, x: number) {
  const [first, list] = [(u * n + x) * K, (Math.floor(u / group) * n + x) * K];
  const pi = new Float64Array(K);
  let top = Number.NEGATIVE_INFINITY;
  for (let k = 0; k < K; k++) {
    pi[k] = t[first + k] + ug[u * K + k] + ig[list + k];
    top = Math.max(top, pi[k]);
  }
  let [total, mean] = [0, 0];
  for (let k = 0; k < K; k++) {
    pi[k] = Math.exp(pi[k] - top);
    total += pi[k];
  }
  for (let k = 0; k < K; k++) {
    pi[k] /= total;
    mean += pi[k] * z[first + k];
  }
  return { first, pi, mean };
}

export const mixtureForward: Reference = (t, p) => {
  for (let u = 0; u < p.rows; u++)
    for (let x = 0; x < p.n; x++) t.scores[u * p.ld + x] = p.scale * mixtureOf(t, p, u, x).mean;
};

export const mixtureBackward: Reference = (t, p) => {
  for (let u = 0; u < p.rows; u++) {
    for (let x = 0; x < p.n; x++) {
      const { first, pi, mean } = mixtureOf(t, p, u, x);
      const g = p.scale * t.dy[u * p.n + x];
      for (let k = 0; k < p.K; k++) {
        t.dz[first + k] = g * pi[k];
        t.t[first + k] = g * pi[k] * (t.z[first + k] - mean);
      }
    }
  }
};

export const gateSumReference: Reference = ({ x, y }, { a, s, c, acc }) => {
  const C = 4 * c;
  for (let i = 0; i < a * C; i++) {
    let sum = acc ? y[i] : 0;
    for (let j = 0; j < s; j++) sum += x[(Math.floor(i / C) * s + j) * C + (i % C)];
    y[i] = sum;
  }
};
