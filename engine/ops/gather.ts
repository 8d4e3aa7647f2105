/**
 * Entries of an axis picked by number, and the sum of entries by number, each the gradient of the other. The sum goes over
 * all ids for every row of its result: for a large table that learns, `embedding` has its ids grouped on the host instead.
 */
import { gradOf, into } from '../autograd.ts';
import { elementVariants, groups, kernel } from '../kernel.ts';
import { texts } from '../../kernels/scatter/texts.ts';
import { showShape, sizeOf, type Tensor } from '../tensor.ts';
import { gatherReference, scatterReference } from './gather.ref.ts';
import { expectRank, expectType } from './shared/check.ts';
import { axisOf } from './shared/reduce.ts';
import { scaleTo } from './shared/scale.ts';

const GATHER = kernel(
  'gather',
  elementVariants('gather', 'u32', ['cols'], (size) => ({
    grid: (p) => groups((p.outer * p.n * p.cols) / size, 256),
    constants: (p) => ({ OUTER: p.outer > 1 }),
  })),
);
const SCATTER = kernel('scatter_add', (p) => p.outer * p.rows * groups(p.cols, 64), undefined, texts);

/** Sizes of a gather: x [outer, rows, cols] and y [outer, n, cols]. */
interface Sizes {
  outer: number;
  rows: number;
  n: number;
  cols: number;
}

/** y[o, i, :] = x[o, ids[i], :]. */
function gatherTo(x: Tensor, ids: Tensor, y: Tensor, sizes: Sizes): void {
  x.device.run(GATHER, gatherReference, { x, ids, y }, { ...sizes });
}

/** y[o, v, :] = [y +] Σ x[o, i, :] over the i with ids[i] = v. */
function scatterTo(x: Tensor, ids: Tensor, y: Tensor, sizes: Sizes, acc: number): void {
  x.device.run(SCATTER, scatterReference, { x, ids, y }, { ...sizes, acc });
}

/**
 * Entries of an axis of x [..., rows, ...] for ids [...] (u32), 0 by default: the ids' shape takes the place of the axis.
 * A number beyond the last gives zeros, as in `embedding`. x is f32 or u32.
 */
export function gather(x: Tensor, ids: Tensor, axis = 0): Tensor {
  const { device } = x;
  expectRank('gather', 'x', x, 1);
  expectType('gather', 'ids', ids, 'u32');
  const at = axisOf('gather', x, axis);
  const [head, tail] = [x.shape.slice(0, at), x.shape.slice(at + 1)];
  const sizes = { outer: sizeOf(head), rows: x.shape[at], n: ids.size, cols: sizeOf(tail) };
  const y = device.empty([...head, ...ids.shape, ...tail], x.dtype, 'gather');
  gatherTo(x, ids, y, sizes);
  device.tape.record([x], y, () => {
    const { grad, acc } = into(x);
    scatterTo(gradOf(y), ids, grad, sizes, acc);
  });
  return y;
}

/**
 * The sum of entries by number: x [..., ...ids, ...] → [..., rows, ...], where entry v of the axis is the sum of those
 * whose id is v, in the order of the ids. Ids ≥ rows (u32) add nothing.
 */
export function scatterAdd(x: Tensor, ids: Tensor, rows: number, axis = 0): Tensor {
  const { device } = x;
  expectType('scatterAdd', 'x', x);
  expectType('scatterAdd', 'ids', ids, 'u32');
  const [head, own, tail] = [
    x.shape.slice(0, axis),
    x.shape.slice(axis, axis + ids.rank),
    x.shape.slice(axis + ids.rank),
  ];
  if (!(Number.isInteger(axis) && axis >= 0) || showShape(own) !== showShape(ids.shape))
    throw new Error(
      `scatterAdd: expected x with the ids' axes ${showShape(ids.shape)} from axis ${axis} on, got ${showShape(x.shape)}`,
    );
  const sizes = { outer: sizeOf(head), rows, n: ids.size, cols: sizeOf(tail) };
  const y = device.empty([...head, rows, ...tail], 'f32', 'scatterAdd');
  scatterTo(x, ids, y, sizes, 0);
  device.tape.record([x], y, () => {
    const { grad, acc } = into(x);
    const own = acc ? device.empty(x.shape, 'f32', 'grad of scatterAdd') : grad;
    gatherTo(gradOf(y), ids, own, sizes);
    if (acc) scaleTo(own, grad, 1, 1);
  });
  return y;
}
