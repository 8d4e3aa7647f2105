/** What the elementwise functions of one tensor share: y = f(x), dx = dy · f′(x), with f′ computed again from x. */
import { gradOf, into } from '../../autograd.ts';
import type { Reference } from '../../reference.ts';
import { groups, type Kernel, kernel } from '../../kernel.ts';
import type { Tensor } from '../../tensor.ts';
import { expectType } from './check.ts';

/** A function and its slope: expressions of WGSL in x (a vec4f, the type T), alpha and beta, and the same for the references. */
export interface UnaryRule {
  f: string;
  slope: string;
  reference: [f: UnaryReference, slope: UnaryReference];
  /** Its number in kernels/wasm/elementwise.ts, if it has one. */
  wasm?: number;
}

type UnaryReference = (x: number, alpha: number, beta: number) => number;

/** Elementwise, of a tensor of any shape. */
export type Unary = (x: Tensor) => Tensor;

const expression = (file: string, f: string): Kernel =>
  kernel(file, [{ file, grid: (p) => groups(p.n, 1024), constants: () => ({ f }) }]);

const forward =
  (f: UnaryReference): Reference =>
  ({ x, y }, { n, alpha, beta }) => {
    for (let i = 0; i < n; i++) y[i] = f(x[i], alpha, beta);
  };
const backward =
  (slope: UnaryReference): Reference =>
  ({ x, dy, dx }, { n, alpha, beta, acc }) => {
    for (let i = 0; i < n; i++) dx[i] = (acc ? dx[i] : 0) + dy[i] * slope(x[i], alpha, beta);
  };

/**
 * The op of a rule with two constants, for functions that check their own.
 */
/* @__NO_SIDE_EFFECTS__ */
export function unaryWith(name: string, rule: UnaryRule): (x: Tensor, alpha: number, beta: number) => Tensor {
  const kernels = [expression('unary_fwd', rule.f), expression('unary_bwd', rule.slope)];
  const references = [forward(rule.reference[0]), backward(rule.reference[1])];
  return (x, alpha, beta) => {
    const { device } = x;
    expectType(name, 'x', x);
    const params = { n: x.size, alpha, beta, op: rule.wasm ?? -1 };
    const y = device.empty(x.shape, 'f32', name);
    device.run(kernels[0], references[0], { x, y }, params);
    device.tape.record([x], y, () => {
      const { grad: dx, acc } = into(x);
      device.run(kernels[1], references[1], { x, dy: gradOf(y), dx }, { ...params, acc });
    });
    return y;
  };
}

/**
 * The op of a rule.
 */
/* @__NO_SIDE_EFFECTS__ */
export function unary(name: string, rule: UnaryRule): Unary {
  const op = unaryWith(name, rule);
  return (x) => op(x, 0, 0);
}
