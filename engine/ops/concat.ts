/** Tensors laid one after another along an axis. */
import { gradOf } from '../autograd.ts';
import { showShape, type Tensor } from '../tensor.ts';
import { alongColumns, blockGradient, copyBlock } from './shared/block.ts';
import { expectType } from './shared/check.ts';
import { axisOf } from './shared/reduce.ts';

/** The parts along an axis (−1 is the last); all other axes must agree. f32 or u32. */
export function concat(parts: readonly Tensor[], axis: number): Tensor {
  if (parts.length === 0) throw new Error('concat: expected at least one tensor, got none');
  const [first] = parts;
  const { device } = first;
  const views = parts.map((x) => alongColumns('concat', x, axis));
  const at = axisOf('concat', first, axis);
  for (const x of parts) {
    expectType('concat', x.label, x, first.dtype);
    if (x.rank !== first.rank || x.shape.some((n, i) => i !== at && n !== first.shape[i])) {
      throw new Error(
        `concat: shapes differ outside of axis ${axis}, ${showShape(first.shape)} · ${showShape(x.shape)}`,
      );
    }
  }
  const shape = [...first.shape];
  shape[at] = views.reduce((n, v) => n + v.length, 0);
  const y = device.empty(shape, first.dtype, 'concat');
  const stride = views.reduce((n, v) => n + v.cols, 0);
  let offset = 0;
  const blocks = views.map((v) => ({ stride, offset: (offset += v.cols) - v.cols }));
  parts.forEach((x, i) =>
    copyBlock(x, { stride: views[i].cols, offset: 0 }, y, blocks[i], views[i].rows, views[i].cols),
  );
  device.tape.record(parts, y, () => {
    parts.forEach((x, i) => {
      if (x.requiresGrad) blockGradient(gradOf(y), blocks[i], x, views[i].rows, views[i].cols);
    });
  });
  return y;
}
