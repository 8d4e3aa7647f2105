/** A range of an axis, as a copy. (`Tensor.rows` gives aligned rows without one, or a gradient.) */
import { gradOf, into } from '../autograd.ts';
import { showShape, type Tensor } from '../tensor.ts';
import { fill } from './fill.ts';
import { alongColumns, copyBlock } from './shared/block.ts';
import { axisOf } from './shared/reduce.ts';
import { copyStrided, stridesOf } from './shared/strided.ts';

/**
 * x[from … to) along an axis (−1 is the last); the other axes stay whole. f32 or u32.
 * @param step takes every step-th element, starting at `from`; below 0 it walks backwards, down to `to` or, with −1, to the start
 */
export function slice(x: Tensor, axis: number, from: number, to: number, step = 1): Tensor {
  const { device } = x;
  const { rows, cols, unit, length } = alongColumns('slice', x, axis);
  const back = step < 0;
  const [low, high] = back ? [to + 1, from + 1] : [from, to];
  if (!([from, to, step].every(Number.isInteger) && step !== 0 && 0 <= low && low <= high && high <= length)) {
    const by = step === 1 ? '' : ` by ${step}`;
    throw new Error(
      `slice: expected a range within 0 to ${length}, got ${from} to ${to}${by} along axis ${axis} of ${showShape(x.shape)}`,
    );
  }
  const at = axisOf('slice', x, axis);
  const shape = [...x.shape];
  shape[at] = Math.ceil((high - low) / Math.abs(step));
  const y = device.empty(shape, x.dtype, 'slice');
  const width = shape[at] * unit;
  const there = { stride: cols, offset: from * unit };
  const here = { stride: width, offset: 0 };
  /** Copies the range out of a tensor of x's shape into one of y's, or back. */
  const copy = (source: Tensor, target: Tensor, inward: boolean, acc: number): void => {
    if (step === 1) return copyBlock(source, inward ? here : there, target, inward ? there : here, rows, width, acc);
    const strides = stridesOf(x.shape);
    strides[at] *= step;
    const range = { strides, at: from * unit };
    const whole = { strides: stridesOf(shape) };
    const [a, b] = inward ? [whole, range] : [range, whole];
    copyStrided('slice', shape, { tensor: source, ...a }, { tensor: target, ...b }, acc);
  };
  copy(x, y, false, 0);
  device.tape.record([x], y, () => {
    const { grad, acc } = into(x);
    if (!acc && y.size < x.size) fill(grad, 0);
    copy(gradOf(y), grad, true, acc);
  });
  return y;
}
