import type { Reference } from '../reference.ts';

/**
 * loss = Σ wᵢ (logsumexp(xᵢ·Wᵀ) − (1 − smooth_by) xᵢ·W[targetᵢ] − even · Σᵥ xᵢ·W[v]) and, with grad = 1,
 * dx = wᵢ (softmax − p) W and dtable = Σ wᵢ (softmax − p)ᵀ xᵢ, with p = (1 − smooth_by) · one-hot + even, for an upstream
 * gradient of 1.
 */
export const crossEntropyForward: Reference = ({ x, table, targets, weights, loss, dx, dtable }, p) => {
  const { l, d, v, grad, smooth_by: smooth, even } = p;
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
      const flat = even === 0 ? 0 : even * row.reduce((a, b) => a + b, 0);
      total += w * (max + Math.log(sum) - (1 - smooth) * row[targets[i]] - flat);
      if (gt) {
        for (let j = 0; j < v; j++) {
          const g = w * (Math.exp(row[j] - max) / sum - (j === targets[i] ? 1 - smooth : 0) - even);
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

// The pieces below run on the CPU device where the table lies in shards; stats are as kernels/ce_stats.wgsl has them.

/** Merges a block of logits [r, ld] into the rows' maximum, Σ exp, target's logit and Σ logits. */
export const statsReference: Reference = ({ logits, targets, weights, stats }, { r, cols, ld, col0, first }) => {
  for (let i = 0; i < r; i++) {
    if (weights[i] === 0) continue;
    const row = logits.subarray(i * ld, i * ld + cols);
    let [max, sum, hit, total] = first
      ? [Number.NEGATIVE_INFINITY, 0, Number.NaN, 0]
      : stats.subarray(4 * i, 4 * i + 4);
    const old = max;
    for (const s of row) if (s > max) max = s;
    sum = sum !== 0 ? sum * Math.exp(old - max) : 0;
    for (const s of row) sum += Math.exp(s - max);
    for (const s of row) total += s;
    const t = targets[i] - col0;
    if (t >= 0 && t < cols) hit = row[t];
    stats.set([max, sum, hit, total], 4 * i);
  }
};

/** logits ← weight · (softmax − (1 − smooth_by) · one-hot − even), in place. */
export const gradReference: Reference = ({ logits, targets, weights, stats }, p) => {
  const { r, cols, ld, col0, smooth_by: smooth, even } = p;
  for (let i = 0; i < r; i++) {
    const [max, sum] = stats.subarray(4 * i, 4 * i + 2);
    const w = weights[i];
    for (let j = 0; j < ld; j++) {
      const e = w !== 0 && j < cols ? Math.exp(logits[i * ld + j] - max) / sum - even : 0;
      logits[i * ld + j] = w * (e - (j < cols && j + col0 === targets[i] ? 1 - smooth : 0));
    }
  }
};

export const lossReference: Reference = ({ stats, weights, loss }, p) => {
  const { l, per, smooth_by: smooth, even } = p;
  for (let part = 0; part * per < Math.max(1, l); part++) {
    let total = 0;
    for (let i = part * per; i < Math.min(l, (part + 1) * per); i++) {
      if (weights[i] === 0) continue;
      const [max, sum, hit, all] = stats.subarray(4 * i, 4 * i + 4);
      total += weights[i] * (max + Math.log(sum) - (1 - smooth) * hit - even * all);
    }
    loss[part] = total;
  }
};
