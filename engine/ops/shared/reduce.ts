/**
 * Reductions over any axes, by the kernels that reduce rows: axes at the end are columns already, those at the front
 * are added down the columns, and what lies otherwise is copied into that order first.
 */
import { into } from '../../autograd.ts';
import { type Shape, showShape, sizeOf, type Tensor } from '../../tensor.ts';
import { copyStrided, stridesOf } from './strided.ts';
import { sumAll, sumLast, sumLeading } from './sums.ts';

/** Runs of neighboring axes that are all kept, or all reduced; axes of length 1 belong to either. */
function runsOf(shape: Shape, reduced: (axis: number) => boolean): { reduced: boolean; size: number }[] {
  const runs: { reduced: boolean; size: number }[] = [];
  for (const [axis, size] of shape.entries()) {
    if (size === 1) continue;
    const last = runs.at(-1);
    if (last?.reduced === reduced(axis)) last.size *= size;
    else runs.push({ reduced: reduced(axis), size });
  }
  return runs;
}

/** y = [y +] factor · Σ of x over the axes along which y, which broadcasts to x's shape, is repeated. */
export function sumTo(x: Tensor, y: Tensor, factor: number, acc: number): void {
  const missing = x.rank - y.rank;
  const reduced = (axis: number): boolean => axis < missing || y.shape[axis - missing] === 1;
  sumOver(x, reduced, y, factor, acc);
}

/**
 * The gradient of an operand that was broadcast to y's shape: `write` makes [adds] it in that shape, and what repeats is
 * summed. Nothing for one that requires none.
 */
export function intoSide(side: Tensor, y: Tensor, write: (g: Tensor, acc: number) => void): void {
  if (!side.requiresGrad) return;
  const { grad, acc } = into(side);
  if (side.size === y.size) return write(grad, acc);
  const full = side.device.empty(y.shape, 'f32', `${y.label} before its sum`);
  write(full, 0);
  sumTo(full, grad, 1, acc);
}

/** y = [y +] factor · Σ of x over these axes; y has what is left. */
export function sumOver(x: Tensor, reduced: (axis: number) => boolean, y: Tensor, factor: number, acc: number): void {
  const runs = runsOf(x.shape, reduced);
  const cols = runs.reduce((n, run) => n * (run.reduced ? run.size : 1), 1);
  if (y.size === 1) sumAll(x, y, factor, acc);
  else if (runs.length === 2 && runs[0].reduced) sumLeading(x, cols, y.size, y, factor, acc);
  else sumLast(lastly(x, reduced), y.size, cols, y, factor, acc);
}

/** The order of axes that has the reduced ones last. */
export function lastOrder(rank: number, reduced: (axis: number) => boolean): number[] {
  const axes = Array.from({ length: rank }, (_, axis) => axis);
  return [...axes.filter((axis) => !reduced(axis)), ...axes.filter(reduced)];
}

/** x with the reduced axes last, without a gradient: x itself where they are. */
function lastly(x: Tensor, reduced: (axis: number) => boolean): Tensor {
  const runs = runsOf(x.shape, reduced);
  if (runs.length < 2 || (runs.length === 2 && runs[1].reduced)) return x;
  const order = lastOrder(x.rank, reduced);
  const shape = order.map((axis) => x.shape[axis]);
  const strides = stridesOf(x.shape);
  const y = x.device.empty(shape, 'f32', `${x.label} in another order`);
  const from = { tensor: x, strides: order.map((axis) => strides[axis]) };
  copyStrided('sum', shape, from, { tensor: y, strides: stridesOf(shape) });
  return y;
}

/** Which elements are put together: all of them, those of the last axis, or those of the axes of these numbers (−1 is the last). */
export type Over = 'all' | 'last' | number | readonly number[];

/** The axis of this number, counted from the end where it is negative. */
export function axisOf(op: string, x: Tensor, axis: number): number {
  if (!Number.isInteger(axis) || axis < -x.rank || axis >= x.rank) {
    const range = x.rank === 0 ? 'a tensor with axes' : `an axis from ${-x.rank} to ${x.rank - 1}`;
    throw new Error(`${op}: expected ${range}, got axis ${axis} of ${showShape(x.shape)}`);
  }
  return axis < 0 ? axis + x.rank : axis;
}

/** The axes that `over` names, in order. @throws Error where one is missing or is named twice */
export function axesOf(op: string, x: Tensor, over: Over): number[] {
  if (over === 'all') return x.shape.map((_, axis) => axis);
  if (over === 'last') return [axisOf(op, x, -1)];
  if (typeof over === 'string') throw new Error(`${op}: expected over to be 'all', 'last' or axes, got ${over}`);
  const axes = [over].flat().map((axis) => axisOf(op, x, axis));
  if (new Set(axes).size !== axes.length)
    throw new Error(`${op}: expected each axis once, got ${[over].flat()} of ${showShape(x.shape)}`);
  return axes.sort((a, b) => a - b);
}

/** The shape that is left: reduced axes go away, or stay with length 1. */
export function reducedShape(shape: Shape, axes: readonly number[], keepdims: boolean): number[] {
  return shape.flatMap((n, axis) => (axes.includes(axis) ? (keepdims ? [1] : []) : [n]));
}

/** How many elements each result is made of. */
export const countOver = (shape: Shape, axes: readonly number[]): number => sizeOf(axes.map((axis) => shape[axis]));
