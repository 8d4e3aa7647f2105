/**
 * What is right, by naive loops in double precision on sampled elements: independent of every peer, Attune included.
 * Each function gives, by the name of an output, the indices looked at and the values expected there.
 */
import { sample } from './data.mjs';

/** @returns {Record<string, { indices: number[], expected: number[] }>} */
export function expectedOf(spec, inputs) {
  return references[spec.kind](spec, inputs);
}

/** Largest deviation, over the root mean square of what was expected. */
export function errorOf(expected, values) {
  let worst = 0;
  for (const [name, { expected: want }] of Object.entries(expected)) {
    const got = values[name];
    if (got?.length !== want.length) return Number.POSITIVE_INFINITY;
    const rms = Math.sqrt(want.reduce((sum, x) => sum + x * x, 0) / want.length);
    want.forEach((x, i) => {
      worst = Math.max(worst, Math.abs(got[i] - x) / rms);
    });
    if (Number.isNaN(worst)) return Number.POSITIVE_INFINITY;
  }
  return worst;
}

const dot = (a, ia, sa, b, ib, sb, n) => {
  let sum = 0;
  for (let i = 0; i < n; i++) sum += a[ia + i * sa] * b[ib + i * sb];
  return sum;
};

const references = {
  matmul({ m, k, n, transB }, { a, b }) {
    const indices = sample(m * n, 2000);
    const at = (i) => {
      const row = Math.floor(i / n);
      const col = i % n;
      return transB ? dot(a, row * k, 1, b, col * k, 1, k) : dot(a, row * k, 1, b, col, n, k);
    };
    return { c: { indices, expected: indices.map(at) } };
  },

  softmax({ rows, cols }, { x }) {
    return rowwise(rows, cols, (at) => {
      const row = Array.from(x.subarray(at, at + cols));
      const top = Math.max(...row);
      const e = row.map((v) => Math.exp(v - top));
      const sum = e.reduce((s, v) => s + v, 0);
      return e.map((v) => v / sum);
    });
  },

  layernorm({ rows, cols, eps }, { x, w, b }) {
    return rowwise(rows, cols, (at) => {
      const row = Array.from(x.subarray(at, at + cols));
      const mean = row.reduce((s, v) => s + v, 0) / cols;
      const variance = row.reduce((s, v) => s + (v - mean) ** 2, 0) / cols;
      return row.map((v, i) => ((v - mean) / Math.sqrt(variance + eps)) * w[i] + b[i]);
    });
  },

  attention(spec, inputs) {
    return headwise(spec, (at) => {
      const { out } = attentionForward(spec, inputs, at);
      return { o: out };
    });
  },

  'attention-bwd'(spec, inputs) {
    return headwise(spec, (at) => attentionBackward(spec, inputs, at));
  },

  'cross-entropy': crossEntropy,

  /** The first loss; a small case (see `losses`) checks gradients and Adam. */
  train(spec, inputs) {
    const losses = trainLosses(spec, inputs, spec.checkSteps ?? 1);
    return { losses: { indices: losses.map((_, i) => i), expected: losses } };
  },
};

/** Ten rows, whole. */
function rowwise(rows, cols, row) {
  const indices = [];
  const expected = [];
  for (const r of sample(rows, 10)) {
    row(r * cols).forEach((value, i) => {
      indices.push(r * cols + i);
      expected.push(value);
    });
  }
  return { y: { indices, expected } };
}

/** Two heads of two sequences, whole; [B, H, T, K] is laid out by (b, h). */
function headwise({ b, h, t, k }, head) {
  const result = {};
  for (const pair of sample(b * h, 2)) {
    const at = pair * t * k;
    for (const [name, values] of Object.entries(head(at))) {
      result[name] ??= { indices: [], expected: [] };
      for (let i = 0; i < t * k; i++) {
        result[name].indices.push(at + i);
        result[name].expected.push(values[i]);
      }
    }
  }
  return result;
}

function attentionForward({ t, k }, { q, k: keys, v }, at) {
  const out = new Float64Array(t * k);
  const p = new Float64Array(t * t);
  for (let i = 0; i < t; i++) {
    let top = Number.NEGATIVE_INFINITY;
    for (let j = 0; j <= i; j++) {
      p[i * t + j] = dot(q, at + i * k, 1, keys, at + j * k, 1, k) / Math.sqrt(k);
      top = Math.max(top, p[i * t + j]);
    }
    let sum = 0;
    for (let j = 0; j <= i; j++) sum += p[i * t + j] = Math.exp(p[i * t + j] - top);
    for (let j = 0; j <= i; j++) {
      p[i * t + j] /= sum;
      for (let c = 0; c < k; c++) out[i * k + c] += p[i * t + j] * v[at + j * k + c];
    }
  }
  return { out, p };
}

function attentionBackward(spec, inputs, at) {
  const { t, k } = spec;
  const { q, k: keys, v, g } = inputs;
  const { out, p } = attentionForward(spec, inputs, at);
  const [dq, dk, dv] = [0, 1, 2].map(() => new Float64Array(t * k));
  for (let i = 0; i < t; i++) {
    const delta = dot(g, at + i * k, 1, out, i * k, 1, k);
    for (let j = 0; j <= i; j++) {
      const dp = dot(g, at + i * k, 1, v, at + j * k, 1, k);
      const ds = (p[i * t + j] * (dp - delta)) / Math.sqrt(k);
      for (let c = 0; c < k; c++) {
        dq[i * k + c] += ds * keys[at + j * k + c];
        dk[j * k + c] += ds * q[at + i * k + c];
        dv[j * k + c] += p[i * t + j] * g[at + i * k + c];
      }
    }
  }
  return { dq, dk, dv };
}

/** Mean cross-entropy of softmax(x tableᵀ); dx on ten rows, dtable on ten items. */
function crossEntropy({ rows, d, v }, { x, table, targets }) {
  const logsumexp = new Float64Array(rows);
  const items = sample(v, 10, 2);
  const someRows = sample(rows, 10, 3);
  const dx = { indices: [], expected: [] };
  const dtable = items.map(() => new Float64Array(d));
  const logits = new Float64Array(v);
  let loss = 0;
  for (let r = 0; r < rows; r++) {
    let top = Number.NEGATIVE_INFINITY;
    for (let i = 0; i < v; i++) {
      logits[i] = dot(x, r * d, 1, table, i * d, 1, d);
      if (logits[i] > top) top = logits[i];
    }
    let sum = 0;
    for (let i = 0; i < v; i++) sum += Math.exp(logits[i] - top);
    logsumexp[r] = top + Math.log(sum);
    loss += (logsumexp[r] - logits[targets[r]]) / rows;
    const slope = (i) => (Math.exp(logits[i] - logsumexp[r]) - (i === targets[r] ? 1 : 0)) / rows;
    items.forEach((item, n) => {
      for (let c = 0; c < d; c++) dtable[n][c] += slope(item) * x[r * d + c];
    });
    if (!someRows.includes(r)) continue;
    const sums = new Float64Array(d);
    for (let i = 0; i < v; i++) for (let c = 0; c < d; c++) sums[c] += slope(i) * table[i * d + c];
    for (let c = 0; c < d; c++) dx.indices.push(r * d + c);
    dx.expected.push(...sums);
  }
  return {
    loss: { indices: [0], expected: [loss] },
    dx,
    dtable: {
      indices: items.flatMap((item) => Array.from({ length: d }, (_, c) => item * d + c)),
      expected: dtable.flatMap((row) => [...row]),
    },
  };
}

/** Losses before each of `steps` steps of Adam (β 0.9 and 0.999, ε 1e-8) on the MLP. */
function trainLosses({ rows, d, f, learningRate }, inputs, steps) {
  const { x, y } = inputs;
  const names = ['w1', 'b1', 'w2', 'b2'];
  const w = Object.fromEntries(names.map((name) => [name, Float64Array.from(inputs[name])]));
  const m = Object.fromEntries(names.map((name) => [name, new Float64Array(w[name].length)]));
  const v = Object.fromEntries(names.map((name) => [name, new Float64Array(w[name].length)]));
  const losses = [];
  for (let step = 1; step <= steps; step++) {
    const g = Object.fromEntries(names.map((name) => [name, new Float64Array(w[name].length)]));
    const hidden = new Float64Array(f);
    const dout = new Float64Array(d);
    let loss = 0;
    for (let r = 0; r < rows; r++) {
      hidden.set(w.b1);
      for (let i = 0; i < d; i++) for (let j = 0; j < f; j++) hidden[j] += x[r * d + i] * w.w1[i * f + j];
      dout.set(w.b2);
      for (let j = 0; j < f; j++) {
        if (hidden[j] <= 0) continue;
        for (let c = 0; c < d; c++) dout[c] += hidden[j] * w.w2[j * d + c];
      }
      for (let c = 0; c < d; c++) {
        const off = dout[c] - y[r * d + c];
        loss += (off * off) / (rows * d);
        dout[c] = (2 * off) / (rows * d);
      }
      if (step === steps) continue; // nothing follows that would need the gradient
      for (let c = 0; c < d; c++) g.b2[c] += dout[c];
      for (let j = 0; j < f; j++) {
        if (hidden[j] <= 0) continue;
        let dh = 0;
        for (let c = 0; c < d; c++) {
          g.w2[j * d + c] += hidden[j] * dout[c];
          dh += dout[c] * w.w2[j * d + c];
        }
        g.b1[j] += dh;
        for (let i = 0; i < d; i++) g.w1[i * f + j] += x[r * d + i] * dh;
      }
    }
    losses.push(loss);
    for (const name of names) {
      for (let i = 0; i < w[name].length; i++) {
        m[name][i] = 0.9 * m[name][i] + 0.1 * g[name][i];
        v[name][i] = 0.999 * v[name][i] + 0.001 * g[name][i] ** 2;
        const mhat = m[name][i] / (1 - 0.9 ** step);
        const vhat = v[name][i] / (1 - 0.999 ** step);
        w[name][i] -= (learningRate * mhat) / (Math.sqrt(vhat) + 1e-8);
      }
    }
  }
  return losses;
}
