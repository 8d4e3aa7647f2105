/** Root mean square layer normalization (Zhang & Sennrich, NeurIPS 2019, eq. 4). */
import { gradOf, into } from '../autograd.ts';
import { groups, type Kernel, kernel } from '../kernel.ts';
import { showShape, type Tensor } from '../tensor.ts';
import { mul } from './binary.ts';
import { rmsnormBackward, rmsnormForward } from './rmsnorm.ref.ts';
import { asMatrix, expectType, expectWidth4 } from './shared/check.ts';
import { lanes } from './shared/lanes.ts';

const byRow = (file: string): Kernel =>
  kernel(file, [
    { file, grid: (p) => groups(p.r, 64 / lanes(p.d / 4)), constants: (p) => ({ LANES: lanes(p.d / 4) }) },
  ]);
const FORWARD = byRow('rmsnorm_fwd');
const BACKWARD = byRow('rmsnorm_bwd');

/**
 * x [..., D], weight [D] -> x / sqrt(mean(x^2) + eps) * weight over the last axis; D divisible by 4.
 * @throws Error where D is not, or the weight has another shape
 */
export function rmsnorm(x: Tensor, weight: Tensor, eps = 1e-6): Tensor {
  const { device } = x;
  expectType('rmsnorm', 'x', x);
  expectType('rmsnorm', 'weight', weight);
  expectWidth4('rmsnorm', 'x', x);
  const { rows, cols } = asMatrix(x);
  if (weight.rank !== 1 || weight.size !== cols)
    throw new Error(`rmsnorm: expected a weight [${cols}], got ${showShape(weight.shape)}`);
  const y = device.empty(x.shape, 'f32', 'rmsnorm');
  const r = device.empty([rows], 'f32', 'inverse root mean squares');
  device.run(FORWARD, rmsnormForward, { x, r, y }, { r: rows, d: cols, eps });
  device.tape.record([x], y, () => {
    const { grad: dx, acc } = into(x);
    device.run(BACKWARD, rmsnormBackward, { y, r, dy: gradOf(y), dx }, { r: rows, d: cols, acc });
  });
  return mul(y, weight);
}
