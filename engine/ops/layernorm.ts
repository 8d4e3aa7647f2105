/**
 * Layer normalization over the last axis (Ba, Kiros & Hinton 2016, eq. 4; biased variance), and the same fused with the
 * residual addition before it: sum = x + dropout(r), norm = LN(sum).
 */
import { into } from '../autograd.ts';
import type { Device } from '../device.ts';
import { dropoutParams } from '../random/keep.ts';
import { groups, type Kernel, kernel, lanes4, lanes8, type Params, software, subgroupVariants } from '../kernel.ts';
import { showShape, type Tensor } from '../tensor.ts';
import {
  ADD_DR,
  ADD_DX,
  COLUMNS,
  DNORM,
  DR,
  DROPOUT,
  DSUM,
  DX,
  layernormBackward,
  layernormBackwardColumns,
  layernormForward,
  RESIDUAL,
} from './layernorm.ref.ts';
import { expectType } from './shared/check.ts';

/** Lanes of eight hold a row of at most so many in registers: beyond, the driver takes tens of seconds to compile. */
const eight = (most: number) => ({
  requires: lanes8,
  accepts: (p: Params) => p.d % 4 === 0 && p.d <= most,
  constants: (p: Params) => ({ V: groups(p.d, 32) }),
});

/** A thread for each row, where a barrier costs more than a stride. */
const rows = {
  requires: software,
  accepts: (p: Params) => p.d % 4 === 0,
  suits: lanes4,
};

const SHAPE = { sizes: ['rows', 'd'], flags: ['flags'] };
const FORWARD: Kernel = kernel(
  'layernorm_fwd',
  [
    ...[16, 4].map((ROWS) => ({
      file: 'layernorm_fwd_sg8',
      ...eight(256),
      tuning: { ROWS },
      grid: (p: Params) => groups(p.rows, 4 * ROWS),
    })),
    { file: 'layernorm_fwd_odd8', requires: lanes8, grid: (p) => groups(p.rows, 4) },
    { file: 'layernorm_fwd_row', ...rows, grid: (p) => groups(p.rows, 64) },
    ...subgroupVariants(
      'layernorm_fwd_sub',
      (p) => groups(p.rows, 4),
      (p) => p.d,
    ),
    { file: 'layernorm_fwd', grid: (p) => groups(p.rows, 16) },
  ],
  SHAPE,
);
const BACKWARD: Kernel = kernel(
  'layernorm_bwd',
  [
    { file: 'layernorm_bwd_sg8', ...eight(128), grid: (p) => groups(p.rows, p.block) },
    { file: 'layernorm_bwd_odd8', requires: lanes8, grid: (p) => groups(p.rows, p.block) },
    { file: 'layernorm_bwd_row', ...rows, grid: (p) => groups(groups(p.rows, p.block), 16) },
    ...subgroupVariants(
      'layernorm_bwd_sub',
      (p) => groups(p.rows, p.block),
      (p) => p.d,
    ),
    { file: 'layernorm_bwd', grid: (p) => groups(p.rows, p.block) },
  ],
  SHAPE,
);
const COLUMN_SUMS = kernel('layernorm_bwd_columns', [
  {
    file: 'layernorm_bwd_columns_sg8',
    requires: lanes8,
    accepts: (p) => p.d % 4 === 0,
    grid: (p) => p.d / 2,
  },
  { file: 'layernorm_bwd_columns', grid: (p) => groups(2 * p.d, 32) },
]);

/** At most so many partial sums of dweight and dbias, of at least so many rows each. */
const MAX_BLOCKS = 256;
const MIN_BLOCK = 16;

/** x [..., D], weight [D], bias [D] → (x − mean) / √(var + eps) · weight + bias over the last axis. */
export function layernorm(x: Tensor, weight: Tensor, bias: Tensor, eps = 1e-5): Tensor {
  return run('layernorm', x, null, weight, bias, eps, 0).norm;
}

/**
 * sum = x + dropout(r), norm = layernorm(sum): x and r [..., D] (two different tensors), weight and bias [D]; one kernel.
 * Both outputs may be used and differentiated, or only one.
 */
export function addLayernorm(
  x: Tensor,
  r: Tensor,
  weight: Tensor,
  bias: Tensor,
  options: { eps?: number; dropout?: number } = {},
): { sum: Tensor; norm: Tensor } {
  return run('addLayernorm', x, r, weight, bias, options.eps ?? 1e-5, options.dropout ?? 0);
}

function run(
  who: string,
  x: Tensor,
  r: Tensor | null,
  weight: Tensor,
  bias: Tensor,
  eps: number,
  dropout: number,
): { sum: Tensor; norm: Tensor } {
  const { device } = x;
  for (const [name, t] of Object.entries({ x, r, weight, bias })) if (t) expectType(who, name, t);
  const d = x.shape.at(-1) ?? 0;
  if (d === 0) throw new Error(`${who}: expected rows of at least one element, got ${showShape(x.shape)}`);
  if (r && showShape(r.shape) !== showShape(x.shape))
    throw new Error(`${who}: shapes differ, x ${showShape(x.shape)} + r ${showShape(r.shape)}`);
  if (r && r.state === x.state)
    throw new Error(`${who}: expected two different tensors, got the same tensor as x and r`);
  for (const t of [weight, bias]) {
    if (t.rank !== 1 || t.size !== d)
      throw new Error(`${who}: expected weight and bias [${d}], got ${showShape(t.shape)}`);
  }
  const mask = dropoutParams(who, dropout, r ? device.opCounter++ : 0);
  const flags = (r ? RESIDUAL : 0) | (mask.dropout ? DROPOUT : 0);
  const params = { rows: x.size / d, d, eps, flags, ...mask };
  const state = mask.dropout ? device.state : null;
  const norm = device.empty(x.shape, 'f32', who);
  const sum = r ? device.empty(x.shape, 'f32', `${who} sum`) : x;
  device.run(FORWARD, layernormForward, { state, x, r, weight, bias, sum: r ? sum : null, norm }, params);
  device.tape.record([x, r, weight, bias], r ? [sum, norm] : norm, () =>
    backward(device, { x, r, weight, bias, sum, norm, state }, params),
  );
  return { sum, norm };
}

interface Saved {
  x: Tensor;
  r: Tensor | null;
  weight: Tensor;
  bias: Tensor;
  sum: Tensor;
  norm: Tensor;
  state: Tensor | null;
}

function backward(device: Device, { x, r, weight, bias, sum, norm, state }: Saved, forward: Params): void {
  const { rows, d } = forward;
  const dnorm = norm.grad;
  const dsum = r ? sum.grad : null;
  const toX = x.requiresGrad ? into(x) : null;
  const toR = r?.requiresGrad ? into(r) : null;
  const columns = dnorm !== null && (weight.requiresGrad || bias.requiresGrad);
  const block = Math.max(MIN_BLOCK, groups(rows, MAX_BLOCKS));
  const blocks = groups(rows, block);
  const partial = columns ? device.empty([blocks, 2, d], 'f32', 'layernorm partials') : null;
  let flags = (toR ? forward.flags & DROPOUT : 0) | (dnorm ? DNORM : 0) | (dsum ? DSUM : 0) | (columns ? COLUMNS : 0);
  if (toX) flags |= DX | (toX.acc ? ADD_DX : 0);
  if (toR) flags |= DR | (toR.acc ? ADD_DR : 0);
  const tensors = {
    state: toR ? state : null,
    sum,
    weight,
    dnorm,
    dsum,
    dx: toX?.grad ?? null,
    dr: toR?.grad ?? null,
    partial,
  };
  device.run(BACKWARD, layernormBackward, tensors, { ...forward, flags, block });
  if (!columns) return;
  const toWeight = weight.requiresGrad ? into(weight) : null;
  const toBias = bias.requiresGrad ? into(bias) : null;
  const sums = (w: typeof toWeight, b: typeof toBias): void =>
    device.run(
      COLUMN_SUMS,
      layernormBackwardColumns,
      { partial, dweight: w?.grad ?? null, dbias: b?.grad ?? null },
      { blocks, d, weight: w ? 1 : 0, bias: b ? 1 : 0, acc_weight: w?.acc ?? 0, acc_bias: b?.acc ?? 0 },
    );
  if (weight.state !== bias.state) sums(toWeight, toBias);
  else {
    // One tensor in both bindings: two bindings of one dispatch may not write the same memory.
    sums(toWeight, null);
    sums(null, toBias);
  }
}
