/** Row by row dot products of two matrices: the score of each state with one item of its own. */
import { gradOf, into } from '../autograd.ts';
import { groups, kernel } from '../kernel.ts';
import type { Tensor } from '../tensor.ts';
import { rowDotBackward, rowDotForward } from './row-dot.ref.ts';
import { asMatrix, expectSameShape, expectType, expectWidth4 } from './shared/check.ts';
import { lanes } from './shared/lanes.ts';

const FORWARD = kernel('row_dot_fwd', [
  {
    file: 'row_dot_fwd',
    grid: (p) => groups(p.r, 64 / lanes(p.d / 4)),
    constants: (p) => ({ LANES: lanes(p.d / 4) }),
  },
]);
const BACKWARD = kernel('row_scale', (p) => groups(p.r * p.d, 1024));

/** Σ_d a[.., d] · b[.., d]: a, b [.., D] → [..]. D must divide by 4. */
export function rowDot(a: Tensor, b: Tensor): Tensor {
  const { device } = a;
  expectType('rowDot', 'a', a);
  expectType('rowDot', 'b', b);
  expectSameShape('rowDot', 'a', a, 'b', b);
  expectWidth4('rowDot', 'a', a);
  const { rows: r, cols: d } = asMatrix(a);
  const y = device.empty(a.shape.slice(0, -1), 'f32', 'rowDot');
  device.run(FORWARD, rowDotForward, { a, b, y }, { r, d });
  device.tape.record([a, b], y, () => {
    for (const [input, x] of [
      [a, b],
      [b, a],
    ]) {
      if (!input.requiresGrad) continue;
      const { grad, acc } = into(input);
      device.run(BACKWARD, rowDotBackward, { x, s: gradOf(y), y: grad }, { r, d, acc });
    }
  });
  return y;
}
