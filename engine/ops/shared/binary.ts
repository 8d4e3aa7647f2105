/**
 * What add, sub, mul and div share: y = a ∘ b with broadcasting of a scalar or of a suffix of the other's shape.
 * The gradient of a broadcast side is the full gradient summed over what it was repeated along, in a fixed order.
 */
import { gradOf, into } from '../../autograd.ts';
import type { Reference } from '../../reference.ts';
import { groups, kernel } from '../../kernel.ts';
import { type Shape, showShape, sizeOf, type Tensor } from '../../tensor.ts';
import { scaleTo } from './scale.ts';
import { sumAll, sumLeading } from './sums.ts';
import { expectType } from './check.ts';

const FORWARD = kernel('binary_fwd', [
  { file: 'binary_fwd', grid: (p) => groups(p.n, 1024), constants: (p) => ({ OP: p.op }) },
]);
const BACKWARD = kernel('binary_bwd', [
  { file: 'binary_bwd', grid: (p) => groups(p.n, 1024), constants: (p) => ({ OP: p.op }) },
]);

/** Scalars: the result, and its slopes along a and b. */
export interface BinaryRule {
  f(a: number, b: number): number;
  da(a: number, b: number): number;
  db(a: number, b: number): number;
}

export interface BinaryReferences {
  forward: Reference;
  /** g = [g +] dy · slope, for a and for b. */
  backward: [Reference, Reference];
}

/** The reference loops of a rule; operands shorter than n repeat. */
export function binaryReferences({ f, da, db }: BinaryRule): BinaryReferences {
  const backward =
    (slope: (a: number, b: number) => number): Reference =>
    ({ a, b, dy, g }, { n, na, nb, acc }) => {
      for (let i = 0; i < n; i++) g[i] = (acc ? g[i] : 0) + dy[i] * slope(a[i % na], b[i % nb]);
    };
  return {
    forward: ({ a, b, y }, { n, na, nb }) => {
      for (let i = 0; i < n; i++) y[i] = f(a[i % na], b[i % nb]);
    },
    backward: [backward(da), backward(db)],
  };
}

const squareBackward: Reference = ({ a, dy, g }, { n, acc }) => {
  for (let i = 0; i < n; i++) g[i] = (acc ? g[i] : 0) + dy[i] * 2 * a[i];
};

/** The op numbers of kernels/binary_fwd.wgsl. */
const OPS = { add: 0, sub: 1, mul: 2, div: 3 } as const;

/** a ∘ b for the op of that name. */
export function binary(name: keyof typeof OPS, refs: BinaryReferences, a: Tensor, b: Tensor): Tensor {
  const { device } = a;
  expectType(name, 'a', a);
  expectType(name, 'b', b);
  const shape = broadcast(name, a.shape, b.shape);
  const y = device.empty(shape, 'f32', name);
  const sizes = { n: y.size, na: a.size, nb: b.size };
  device.run(FORWARD, refs.forward, { a, b, y }, { ...sizes, op: OPS[name] });

  /** g = [g +] dy · slope, of y's size, for side 0 (a) or 1 (b). */
  const square = name === 'mul' && a === b;
  const slope = (which: 0 | 1, g: Tensor, acc: number): void => {
    if (square) {
      device.run(BACKWARD, squareBackward, { a, b, dy: gradOf(y), g }, { ...sizes, acc, op: 4 });
      return;
    }
    const op = (name === 'mul' ? 0 : 2) + which;
    device.run(BACKWARD, refs.backward[which], { a, b, dy: gradOf(y), g }, { ...sizes, acc, op });
  };
  const differentiate = (side: Tensor, which: 0 | 1): void => {
    if (!side.requiresGrad) return;
    const { grad, acc } = into(side);
    const sign = name === 'sub' && which === 1 ? -1 : 1;
    const linear = name === 'add' || name === 'sub';
    if (side.size === y.size) {
      if (linear) scaleTo(gradOf(y), grad, sign, acc);
      else slope(which, grad, acc);
      return;
    }
    let full = gradOf(y);
    if (!linear) {
      full = device.empty(shape, 'f32', `${name} before its sum`);
      slope(which, full, 0);
    }
    if (side.size === 1) sumAll(full, grad, sign, acc);
    else sumLeading(full, y.size / Math.max(1, side.size), side.size, grad, sign, acc);
  };
  device.tape.record([a, b], y, () => {
    differentiate(a, 0);
    if (!square) differentiate(b, 1);
  });
  return y;
}

/** The shape of the result: equal shapes, or one of size 1, or one a suffix of the other. */
function broadcast(name: string, a: Shape, b: Shape): Shape {
  const [long, short] = a.length > b.length || (a.length === b.length && sizeOf(a) >= sizeOf(b)) ? [a, b] : [b, a];
  const suffix = short.every((n, i) => n === long[long.length - short.length + i]);
  if (suffix || sizeOf(short) === 1) return long;
  if (sizeOf(long) === 1) return short;
  throw new Error(
    `${name}: expected equal shapes, a scalar or a suffix of the other, got a ${showShape(a)} · b ${showShape(b)}`,
  );
}
