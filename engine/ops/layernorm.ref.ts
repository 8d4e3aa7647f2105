import type { Reference } from '../reference.ts';
import { keepOf } from '../random/keep.ts';
import type { NumericArray } from '../tensor.ts';
import { inverseSqrt } from './shared/inverse-sqrt.ts';

export const RESIDUAL = 1;
export const DROPOUT = 2;
export const DNORM = 4;
export const DSUM = 8;
export const DX = 16;
export const ADD_DX = 32;
export const DR = 64;
export const ADD_DR = 128;
export const COLUMNS = 256;

/** Mean and 1/√(var + eps) of `d` values from `at` on, NaN where one of the two sums overflows in f32. */
function moments(z: NumericArray, at: number, d: number, eps: number): [number, number] {
  let mean = 0;
  for (let c = 0; c < d; c++) mean += z[at + c] / d;
  let variance = 0;
  for (let c = 0; c < d; c++) variance += (z[at + c] - mean) ** 2 / d;
  return [mean, inverseSqrt(variance + eps, Math.max(Math.abs(mean), variance) * d)];
}

export const layernormForward: Reference = (
  { x, r, weight, bias, sum, norm, state },
  { rows, d, eps, flags, op, threshold, scale },
) => {
  const factor = keepOf(flags & DROPOUT ? state : null, op, threshold, scale);
  const z = flags & RESIDUAL ? sum : x;
  for (let i = 0; i < rows * d; i++) if (flags & RESIDUAL) sum[i] = x[i] + r[i] * factor(i);
  for (let i = 0; i < rows; i++) {
    const [mean, rstd] = moments(z, i * d, d, eps);
    for (let c = 0; c < d; c++) norm[i * d + c] = (z[i * d + c] - mean) * rstd * weight[c] + bias[c];
  }
};

export const layernormBackward: Reference = (
  { sum, weight, dnorm, dsum, dx, dr, partial, state },
  { rows, d, eps, flags, block, op, threshold, scale },
) => {
  const factor = keepOf(flags & DROPOUT ? state : null, op, threshold, scale);
  if (flags & COLUMNS) partial.fill(0);
  for (let i = 0; i < rows; i++) {
    const dz = new Float64Array(d);
    if (flags & DNORM) {
      const [mean, rstd] = moments(sum, i * d, d, eps);
      const n = Float64Array.from({ length: d }, (_, c) => (sum[i * d + c] - mean) * rstd);
      let g = 0;
      let gn = 0;
      for (let c = 0; c < d; c++) {
        g += (dnorm[i * d + c] * weight[c]) / d;
        gn += (dnorm[i * d + c] * weight[c] * n[c]) / d;
      }
      for (let c = 0; c < d; c++) {
        const dy = dnorm[i * d + c];
        dz[c] = rstd * (dy * weight[c] - g - n[c] * gn);
        if (!(flags & COLUMNS)) continue;
        const at = Math.floor(i / block) * 2 * d + c;
        partial[at] += dy * n[c];
        partial[at + d] += dy;
      }
    }
    for (let c = 0; c < d; c++) {
      const e = i * d + c;
      if (flags & DSUM) dz[c] += dsum[e];
      if (flags & DX) dx[e] = (flags & ADD_DX ? dx[e] : 0) + dz[c];
      if (flags & DR) dr[e] = (flags & ADD_DR ? dr[e] : 0) + dz[c] * factor(e);
    }
  }
};

export const layernormBackwardColumns: Reference = ({ partial, dweight, dbias }, p) => {
  for (let c = 0; c < p.d; c++) {
    let dw = 0;
    let db = 0;
    for (let b = 0; b < p.blocks; b++) {
      dw += partial[b * 2 * p.d + c];
      db += partial[(b * 2 + 1) * p.d + c];
    }
    if (p.weight) dweight[c] = (p.acc_weight ? dweight[c] : 0) + dw;
    if (p.bias) dbias[c] = (p.acc_bias ? dbias[c] : 0) + db;
  }
};
