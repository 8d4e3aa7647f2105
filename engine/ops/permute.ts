/** Axes in another order, or repeated: copies, since tensors are contiguous. */
import { gradOf, into } from '../autograd.ts';
import { type Shape, showShape, type Tensor } from '../tensor.ts';
import { broadcastShape, copyStrided, repeated, stridesOf } from './shared/strided.ts';
import { sumTo } from './shared/reduce.ts';
import { expectType } from './shared/check.ts';

/** x with its axes in this order: axis i of the result is axis order[i] of x. f32 or u32. An order that moves nothing copies nothing. */
export function permute(x: Tensor, order: readonly number[]): Tensor {
  const { device } = x;
  if (order.length !== x.rank || !x.shape.every((_, axis) => order.includes(axis)))
    throw new Error(
      `permute: expected the axes 0 to ${x.rank - 1} in some order, got [${order}] for ${showShape(x.shape)}`,
    );
  const shape = order.map((axis) => x.shape[axis]);
  const long = order.filter((axis) => x.shape[axis] !== 1);
  if (long.every((axis, i) => i === 0 || axis > long[i - 1])) return x.reshape(shape);
  const own = stridesOf(x.shape);
  const strides = order.map((axis) => own[axis]);
  const y = device.empty(shape, x.dtype, 'permute');
  const flat = stridesOf(shape);
  copyStrided('permute', shape, { tensor: x, strides }, { tensor: y, strides: flat });
  device.tape.record([x], y, () => {
    const { grad, acc } = into(x);
    copyStrided('permute', shape, { tensor: gradOf(y), strides: flat }, { tensor: grad, strides }, acc);
  });
  return y;
}

/** x in a larger shape, repeated along new axes and those where it has 1. */
export function expand(x: Tensor, shape: Shape): Tensor {
  expectType('expand', 'x', x);
  if (showShape(broadcastShape(x.shape, shape) ?? []) !== showShape(shape))
    throw new Error(`expand: expected a shape that ${showShape(x.shape)} broadcasts to, got ${showShape(shape)}`);
  if (x.shape.length === shape.length && x.shape.every((n, i) => n === shape[i])) return x;
  const y = x.device.empty(shape, 'f32', 'expand');
  copyStrided('expand', shape, repeated(x, shape), { tensor: y, strides: stridesOf(shape) });
  x.device.tape.record([x], y, () => {
    const { grad, acc } = into(x);
    sumTo(gradOf(y), grad, 1, acc);
  });
  return y;
}
