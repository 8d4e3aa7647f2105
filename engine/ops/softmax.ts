/** Softmax over an axis and its logarithm; the largest of a row is subtracted first. */
import { gradOf, into } from '../autograd.ts';
import { groups, kernel, lanes8, type Params, subgroupVariants } from '../kernel.ts';
import { texts } from '../../kernels/softmax/texts.ts';
import type { Tensor } from '../tensor.ts';
import { sub } from './binary.ts';
import { logsumexp } from './logsumexp.ts';
import { permute } from './permute.ts';
import { asMatrix, expectRank, expectType } from './shared/check.ts';
import { axisOf } from './shared/reduce.ts';
import { softmaxBackward, softmaxForward } from './softmax.ref.ts';

/** Lanes of eight hold a row of at most 512 in registers; wider ones take the driver long to compile. */
const eight = {
  requires: lanes8,
  accepts: (p: Params): boolean => p.cols % 4 === 0 && p.cols <= 512,
  constants: (p: Params) => ({ V: groups(p.cols, 32) }),
  grid: (p: Params): number => groups(p.rows, 8),
};
const wide8 = { requires: lanes8, accepts: (p: Params): boolean => p.cols % 4 === 0, grid: eight.grid };
const odd8 = { requires: lanes8, grid: eight.grid };
const SHAPE = { sizes: ['rows', 'cols'] };
const FORWARD = kernel(
  'softmax_fwd',
  [
    {
      // Fewer workgroups to start, where enough are left for several cores.
      file: 'softmax_fwd_sg8',
      ...eight,
      tuning: { WG: 256 },
      suits: (_, p) => p.rows >= 512,
      grid: (p) => groups(p.rows, 32),
    },
    { file: 'softmax_fwd_sg8', ...eight, tuning: { WG: 64 } },
    { file: 'softmax_fwd_sub8', ...wide8 },
    { file: 'softmax_fwd_odd8', ...odd8 },
    ...subgroupVariants(
      'softmax_fwd_sub',
      (p) => p.rows,
      (p) => p.cols,
    ),
    { file: 'softmax_fwd', grid: (p) => p.rows },
  ],
  SHAPE,
  texts,
);
const BACKWARD = kernel(
  'softmax_bwd',
  [
    { file: 'softmax_bwd_sub8', ...wide8 },
    { file: 'softmax_bwd_odd8', ...odd8 },
    ...subgroupVariants(
      'softmax_bwd_sub',
      (p) => p.rows,
      (p) => p.cols,
    ),
    { file: 'softmax_bwd', grid: (p) => p.rows },
  ],
  SHAPE,
  texts,
);

/** exp(x) / Σ exp(x) along an axis of x [..., n, ...], the last by default. */
export function softmax(x: Tensor, axis = -1): Tensor {
  expectType('softmax', 'x', x);
  expectRank('softmax', 'x', x, 1);
  const at = axisOf('softmax', x, axis);
  if (at === x.rank - 1) return overLast(x);
  // The axis and the last one exchanged, and back.
  const order = x.shape.map((_, i) => (i === at ? x.rank - 1 : i === x.rank - 1 ? at : i));
  return permute(overLast(permute(x, order)), order);
}

/** log softmax(x) along an axis of x, the last by default. */
export function logSoftmax(x: Tensor, axis = -1): Tensor {
  return sub(x, logsumexp(x, axis, { keepdims: true }));
}

function overLast(x: Tensor): Tensor {
  const { device } = x;
  const shape = asMatrix(x);
  const y = device.empty(x.shape, 'f32', 'softmax');
  device.run(FORWARD, softmaxForward, { x, y }, { ...shape });
  device.tape.record([x], y, () => {
    const { grad: dx, acc } = into(x);
    device.run(BACKWARD, softmaxBackward, { y, dy: gradOf(y), dx }, { ...shape, acc });
  });
  return y;
}
