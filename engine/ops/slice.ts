/** A range of the first or of the last axis, as a copy. (`Tensor.rows` gives aligned rows without one, or a gradient.) */
import { gradOf, into } from '../autograd.ts';
import { showShape, type Tensor } from '../tensor.ts';
import { fill } from './fill.ts';
import { alongColumns, copyBlock } from './shared/block.ts';

/** x[from … to) along axis 0, or along the last (−1); the other axes stay whole. f32 or u32. */
export function slice(x: Tensor, axis: number, from: number, to: number): Tensor {
  const { device } = x;
  const { rows, cols, unit, length } = alongColumns('slice', x, axis);
  if (!(Number.isInteger(from) && Number.isInteger(to) && 0 <= from && from <= to && to <= length)) {
    throw new Error(
      `slice: expected a range within 0 to ${length}, got ${from} to ${to} along axis ${axis} of ${showShape(x.shape)}`,
    );
  }
  const shape = [...x.shape];
  shape[axis === 0 ? 0 : x.rank - 1] = to - from;
  const y = device.empty(shape, x.dtype, 'slice');
  const width = (to - from) * unit;
  const there = { stride: cols, offset: from * unit };
  const here = { stride: width, offset: 0 };
  copyBlock(x, there, y, here, rows, width);
  device.tape.record([x], y, () => {
    const { grad, acc } = into(x);
    if (!acc && width < cols) fill(grad, 0);
    copyBlock(gradOf(y), here, grad, there, rows, width, acc);
  });
  return y;
}
