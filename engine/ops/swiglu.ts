/** SwiGLU's gate (Shazeer 2020, "GLU variants improve transformer", eq. 5): the products around it are matmul's. */
import { gradOf, into } from '../autograd.ts';
import { groups, kernel } from '../kernel.ts';
import { showShape, type Tensor } from '../tensor.ts';
import { expectType } from './shared/check.ts';
import { swigluBackward, swigluForward } from './swiglu.ref.ts';

const FORWARD = kernel('swiglu_fwd', (p) => groups(p.n, 256));
const BACKWARD = kernel('swiglu_bwd', (p) => groups(p.n, 256));

/** silu(gate) · up for x [rows, 2F] that holds gate and up side by side, F a multiple of 4: [rows, F]. */
export function swiglu(x: Tensor): Tensor {
  const { device } = x;
  expectType('swiglu', 'x', x);
  if (x.rank !== 2 || x.shape[1] % 8 !== 0) {
    throw new Error(`swiglu: expected x [rows, 2F] with F a multiple of 4, got ${showShape(x.shape)}`);
  }
  const [rows, width] = x.shape;
  const f = width / 2;
  const y = device.empty([rows, f], 'f32', 'swiglu');
  const params = { n: y.size / 4, f };
  device.run(FORWARD, swigluForward, { x, y }, params);
  device.tape.record([x], y, () => {
    const { grad: dx, acc } = into(x);
    device.run(BACKWARD, swigluBackward, { x, dy: gradOf(y), dx }, { ...params, acc });
  });
  return y;
}
