/** What the elementwise functions of one tensor share: y = f(x), dx = dy · f′(x), with f′ computed again from x. */
import { gradOf, into } from '../../autograd.ts';
import type { Reference } from '../../reference.ts';
import { groups, kernel } from '../../kernel.ts';
import type { Tensor } from '../../tensor.ts';
import { expectType } from './check.ts';

const FORWARD = kernel('unary_fwd', [
  { file: 'unary_fwd', grid: (p) => groups(p.n, 1024), constants: (p) => ({ OP: p.op }) },
]);
const BACKWARD = kernel('unary_bwd', [
  { file: 'unary_bwd', grid: (p) => groups(p.n, 1024), constants: (p) => ({ OP: p.op }) },
]);

export interface UnaryReferences {
  forward: Reference;
  backward: Reference;
}

/** The reference loops of a function and its slope. */
export function unaryReferences(f: (x: number) => number, slope: (x: number) => number): UnaryReferences {
  return {
    forward: ({ x, y }, { n }) => {
      for (let i = 0; i < n; i++) y[i] = f(x[i]);
    },
    backward: ({ x, dy, dx }, { n, acc }) => {
      for (let i = 0; i < n; i++) dx[i] = (acc ? dx[i] : 0) + dy[i] * slope(x[i]);
    },
  };
}

/** The op numbers of kernels/lib/unary.wgsl. */
const OPS = { relu: 0, silu: 1, sigmoid: 2, tanh: 3, exp: 4, log: 5 } as const;

/** f(x) for the function of that name. */
export function unary(name: keyof typeof OPS, refs: UnaryReferences, x: Tensor): Tensor {
  const { device } = x;
  expectType(name, 'x', x);
  const params = { n: x.size, op: OPS[name] };
  const y = device.empty(x.shape, 'f32', name);
  device.run(FORWARD, refs.forward, { x, y }, params);
  device.tape.record([x], y, () => {
    const { grad: dx, acc } = into(x);
    device.run(BACKWARD, refs.backward, { x, dy: gradOf(y), dx }, { ...params, acc });
  });
  return y;
}
