/** GELU, tanh approximation: y = x/2 · (1 + tanh(√(2/π) (x + 0.044715 x³))) (Hendrycks & Gimpel 2016, §2). */
import { gradOf, into } from '../autograd.ts';
import { groups, kernel } from '../kernel.ts';
import type { Tensor } from '../tensor.ts';
import { geluBackward, geluForward } from './gelu.ref.ts';
import { expectType } from './shared/check.ts';

const FORWARD = kernel('gelu_fwd', (p) => groups(p.n, 1024));
const BACKWARD = kernel('gelu_bwd', (p) => groups(p.n, 1024));

/** Elementwise GELU of a tensor of any shape. */
export function gelu(x: Tensor): Tensor {
  const { device } = x;
  expectType('gelu', 'x', x);
  const y = device.empty(x.shape, 'f32', 'gelu');
  device.run(FORWARD, geluForward, { x, y }, { n: x.size });
  device.tape.record([x], y, () => {
    const { grad: dx, acc } = into(x);
    device.run(BACKWARD, geluBackward, { x, dy: gradOf(y), dx }, { n: x.size, acc });
  });
  return y;
}
