import type { Reference } from '../reference.ts';

export const cachedAttentionReference: Reference = ({ q, kv, start, end, own, count, o }, p) => {
  const { rows, heads, k, capacity, scale } = p;
  const d = heads * k;
  for (let r = 0; r < rows; r++) {
    const keys: number[] = [];
    const beyond = end[r] > Math.max(start[r], p.slots);
    for (let j = start[r]; j < Math.min(end[r], p.slots); j++) keys.push(j);
    for (let j = 0; j < Math.min(count[r], capacity); j++) keys.push(own[r * capacity + j]);
    for (let h = 0; h < heads; h++) {
      const scores = keys.map((at) => {
        let dot = 0;
        for (let c = 0; c < k; c++) dot += q[r * p.q_row * 4 + h * k + c] * kv[at * 2 * d + h * k + c];
        return at < p.slots ? scale * dot : Number.NaN;
      });
      const top = scores.reduce((a, b) => Math.max(a, b), -3e38); // NaN, if one is
      const weights = scores.map((s) => Math.exp(s - top));
      const total = weights.reduce((a, b) => a + b, 0);
      for (let c = 0; c < k; c++) {
        const sum = keys.reduce((a, at, j) => a + weights[j] * kv[at * 2 * d + d + h * k + c], 0);
        o[r * d + h * k + c] = beyond ? Number.NaN : keys.length > 0 ? sum / total : 0;
      }
    }
  }
};

export const storeRowsReference: Reference = ({ x, ids, y }, p) => {
  const [cols, width, from] = [p.cols * 4, p.x_row * 4, p.from_col * 4];
  for (let r = 0; r < p.rows; r++) {
    if (ids[r] >= p.capacity) continue;
    for (let c = 0; c < cols; c++) y[ids[r] * cols + c] = x[r * width + from + c];
  }
};
