import type { Reference } from '../device.ts';

/**
 * loss = Σ wᵢ (logsumexp(xᵢ·Wᵀ) − xᵢ·W[targetᵢ]) and, with grad = 1, dx = wᵢ (softmax − one-hot) W and
 * dtable = Σ wᵢ (softmax − one-hot)ᵀ xᵢ, for an upstream gradient of 1.
 */
export const crossEntropyForward: Reference = ({ x, table, targets, weights, loss, dx, dtable }, { l, d, v, grad }) => {
  const row = new Float64Array(v);
  const gx = new Float64Array(d);
  const gt = grad ? new Float64Array(v * d) : null;
  let total = 0;
  for (let i = 0; i < l; i++) {
    const w = weights[i];
    gx.fill(0);
    if (w !== 0) {
      let max = Number.NEGATIVE_INFINITY;
      for (let j = 0; j < v; j++) {
        let s = 0;
        for (let k = 0; k < d; k++) s += x[i * d + k] * table[j * d + k];
        row[j] = s;
        if (s > max) max = s;
      }
      let sum = 0;
      for (let j = 0; j < v; j++) sum += Math.exp(row[j] - max);
      total += w * (max + Math.log(sum) - row[targets[i]]);
      if (gt) {
        for (let j = 0; j < v; j++) {
          const g = w * (Math.exp(row[j] - max) / sum - (j === targets[i] ? 1 : 0));
          for (let k = 0; k < d; k++) {
            gx[k] += g * table[j * d + k];
            gt[j * d + k] += g * x[i * d + k];
          }
        }
      }
    }
    if (grad) dx.set(gx, i * d);
  }
  if (gt) dtable.set(gt);
  loss[0] = total;
};

export const scaleByForward: Reference = ({ x, s, y }, { n, acc }) => {
  for (let i = 0; i < n; i++) y[i] = (acc ? y[i] : 0) + s[0] * x[i];
};

/** The kernels run only on a GPU, in pieces; the CPU device takes `crossEntropyForward` as a whole. */
export const onGpuOnly: Reference = () => {
  throw new Error('cross-entropy: its pieces have no reference of their own');
};
