/**
 * Rows picked by number, for inference and selection. No gradient flows through it, since unsorted rows could only be
 * added up with float atomics: a table that learns goes through `embedding`, whose rows are grouped on the host.
 */
import { elementVariants, groups, kernel } from '../kernel.ts';
import type { Tensor } from '../tensor.ts';
import { gatherReference } from './gather.ref.ts';
import { expectConstants, expectRank, expectType } from './shared/check.ts';

const GATHER = kernel(
  'gather',
  elementVariants('gather', 'u32', ['cols'], (size) => ({ grid: (p) => groups((p.n * p.cols) / size, 256) })),
);

/**
 * Rows of x [rows, ...] for ids [...] (u32): [...ids, ...]. A number beyond the last row gives zeros, as in `embedding`.
 * Throws if x needs a gradient, outside of `noGrad`.
 */
export function gather(x: Tensor, ids: Tensor): Tensor {
  const { device } = x;
  expectRank('gather', 'x', x, 1);
  expectType('gather', 'ids', ids, 'u32');
  expectConstants('gather', { x }, 'use embedding, or noGrad()');
  const [rows, ...rest] = x.shape;
  const cols = rest.reduce((a, b) => a * b, 1);
  const y = device.empty([...ids.shape, ...rest], x.dtype, 'gather');
  device.run(GATHER, gatherReference, { x, ids, y }, { n: ids.size, rows, cols });
  return y;
}
