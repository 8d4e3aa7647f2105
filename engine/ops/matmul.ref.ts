import type { Reference } from '../reference.ts';
import { keepOf } from '../random/keep.ts';
import { geluOf, geluSlope, reluSlope, sigmoidOf as sigmoid } from './unary.ref.ts';

export const ACTIVATIONS = ['none', 'relu', 'gelu', 'silu'] as const;

/** What a product does beyond C = act(op(A) · op(B)); kernels/lib/matmul_flags.wgsl has the same bits. */
export const FLAG = {
  BIAS: 1,
  /** C += instead of C =. */
  ADD: 2,
  /** Z receives the value before the activation. */
  Z: 4,
  /** db receives (+=) the column sums of op(B). */
  COLUMN_SUMS: 8,
  /** Times act'(Z) instead of act. */
  SLOPE: 16,
  RESIDUAL: 32,
  DROPOUT: 64,
} as const;

const VALUE = [(x: number) => x, (x: number) => Math.max(x, 0), geluOf, (x: number) => x * sigmoid(x)];
const SLOPE = [() => 1, reluSlope, geluSlope, (x: number) => sigmoid(x) * (1 + x * (1 - sigmoid(x)))];

/**
 * C = residual + dropout(act(op(A)·op(B) + bias)); Z before the activation; db += column sums of op(B); with
 * FLAG.SLOPE C = op(A)·op(B) ∘ act'(z).
 */
export const matmulForward: Reference = ({ a, b, bias, c, z, db, residual, state }, p) => {
  const keep = keepOf(p.flags & FLAG.DROPOUT ? state : null, p.op, p.threshold, p.scale);
  const value = VALUE[p.act];
  const [aRow, aStep] = p.transA ? [1, p.lda] : [p.lda, 1];
  const [bCol, bStep] = p.transB ? [p.ldb, 1] : [1, p.ldb];
  const row = new Float64Array(p.n);
  for (let batch = 0; batch < p.batch; batch++) {
    for (let i = 0; i < p.m; i++) {
      row.fill(0);
      const a0 = batch * p.sa + i * aRow;
      const b0 = batch * p.sb;
      if (p.transB) {
        for (let j = 0; j < p.n; j++) {
          let sum = 0;
          for (let k = 0; k < p.k; k++) sum += a[a0 + k * aStep] * b[b0 + j * bCol + k];
          row[j] = sum;
        }
      } else {
        for (let k = 0; k < p.k; k++) {
          const x = a[a0 + k * aStep];
          const bk = b0 + k * bStep;
          for (let j = 0; j < p.n; j++) row[j] += x * b[bk + j];
        }
      }
      const at = batch * p.sc + i * p.ldc;
      for (let j = 0; j < p.n; j++) {
        const v = row[j] + (p.flags & FLAG.BIAS ? bias[j] : 0);
        if (p.flags & FLAG.Z) z[at + j] = v;
        const y = p.flags & FLAG.SLOPE ? v * SLOPE[p.act](z[at + j]) : value(v);
        const kept = y * keep(at + j) + (p.flags & FLAG.RESIDUAL ? residual[at + j] : 0);
        c[at + j] = kept + (p.flags & FLAG.ADD ? c[at + j] : 0);
      }
    }
    if (p.flags & FLAG.COLUMN_SUMS) {
      for (let k = 0; k < p.k; k++) for (let j = 0; j < p.n; j++) db[j] += b[batch * p.sb + k * bStep + j * bCol];
    }
  }
};

export const matmulActivationBackward: Reference = ({ z, dy, dz }, { n, act, acc }) => {
  for (let i = 0; i < n; i++) dz[i] = (acc ? dz[i] : 0) + dy[i] * SLOPE[act](z[i]);
};

/** C = [C +] Σₛ part[s], part [S, M, ld]. */
export const matmulSplitSum: Reference = ({ part, c }, { s, m, n, ld, ldc, acc }) => {
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j++) {
      let sum = 0;
      for (let k = 0; k < s; k++) sum += part[(k * m + i) * ld + j];
      c[i * ldc + j] = (acc ? c[i * ldc + j] : 0) + sum;
    }
  }
};

/** The parts of a product along K: a batch whose last matrices have only `last` of it. */
export const matmulParts: Reference = ({ a, b, c }, p) => {
  const none = new Float32Array(0);
  for (let z = 0; z < p.batch; z++) {
    const part = {
      a: a.subarray(z * p.sa),
      b: b.subarray(z * p.sb),
      c: c.subarray(z * p.sc),
      bias: none,
      z: none,
      db: none,
      residual: none,
      state: none,
    };
    matmulForward(part, { ...p, batch: 1, k: z + 1 === p.batch ? p.last : p.k });
  }
};
