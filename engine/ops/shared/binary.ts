/**
 * What the elementwise functions of two tensors share: y = f(a, b), broadcast as in NumPy. Operands that are whole, a
 * scalar, or a suffix of the result's shape take a kernel of their own, others `map`. The gradient of a broadcast side is
 * the full gradient summed over the axes that it was repeated along, in a fixed order.
 */
import { gradOf, into } from '../../autograd.ts';
import type { Reference } from '../../reference.ts';
import { groups, type Kernel, kernel } from '../../kernel.ts';
import { type Shape, showShape, type Tensor } from '../../tensor.ts';
import { expectType } from './check.ts';
import { intoSide, sumTo } from './reduce.ts';
import { scaleTo } from './scale.ts';
import { broadcastShape, map, type MapRule, repeated, stridesOf } from './strided.ts';

/**
 * A function and what it sends back: expressions of WGSL in a, b and, for the gradients, in d, what reached the result
 * (all of the type T, vec4f or f32), and the same for the references.
 */
export interface BinaryRule {
  f: string;
  reference(a: number, b: number): number;
  /** d · ∂f/∂a and d · ∂f/∂b; a number stands for ± d itself; none where f has no slope. */
  gradients?: [BinaryGradient | 1, BinaryGradient | 1 | -1];
  /** d · df(a, a)/da, where it is simpler. */
  square?: BinaryGradient;
  /** Its number in kernels/wasm/elementwise.ts, if it has one. */
  wasm?: number;
}

type BinaryGradient = [f: string, reference: (a: number, b: number, d: number) => number];

/** Elementwise, of shapes that broadcast. */
export type Binary = (a: Tensor, b: Tensor) => Tensor;

const expression = (file: string, f: string): Kernel =>
  kernel(file, [{ file, grid: (p) => groups(p.n, 1024), constants: () => ({ f }) }]);

/** A function of operands that repeat, or (`d`) its gradient: a kernel with its reference, and the same for `map`. */
interface Form {
  kernel: Kernel;
  reference: Reference;
  map: MapRule;
}

function forwardForm({ f, reference: of }: BinaryRule): Form {
  const reference: Reference = ({ a, b, y }, { n, na, nb }) => {
    for (let i = 0; i < n; i++) y[i] = of(a[i % na], b[i % nb]);
  };
  return { kernel: expression('binary_fwd', f), reference, map: { f, reference: of } };
}

function backwardForm([f, of]: BinaryGradient): Form {
  const reference: Reference = ({ a, b, dy, g }, { n, na, nb, acc }) => {
    for (let i = 0; i < n; i++) g[i] = (acc ? g[i] : 0) + of(a[i % na], b[i % nb], dy[i]);
  };
  const inMap = f.replace(/\bd\b/g, 'c');
  return { kernel: expression('binary_bwd', f), reference, map: { f: inMap, reference: of } };
}

/** Whether a tensor repeats as a whole along a shape: one number, or a suffix of it but for leading ones. */
function isSuffix(t: Tensor, shape: Shape): boolean {
  const own = t.shape.slice(t.shape.findIndex((n) => n !== 1));
  return t.size === 1 || own.every((n, i) => n === shape[shape.length - own.length + i]);
}

/**
 * The op of a rule.
 */
/* @__NO_SIDE_EFFECTS__ */
export function binary(name: string, rule: BinaryRule): Binary {
  const forward = forwardForm(rule);
  const gradients = rule.gradients?.map((g) => (typeof g === 'number' ? g : backwardForm(g)));
  const square = rule.square && backwardForm(rule.square);
  return (a, b) => {
    const { device } = a;
    expectType(name, 'a', a);
    expectType(name, 'b', b);
    const shape = resultShape(name, a, b);
    const y = device.empty(shape, 'f32', name);
    const whole = [a, b].every((t) => isSuffix(t, shape));
    const sizes = { n: y.size, na: a.size, nb: b.size, op: rule.wasm ?? -1 };
    const walks = { a: repeated(a, shape), b: repeated(b, shape) };
    const flat = { strides: stridesOf(shape) };
    if (whole) device.run(forward.kernel, forward.reference, { a, b, y }, sizes);
    else map(name, forward.map, shape, { ...walks, y: { tensor: y, ...flat } });
    if (!gradients) return y;

    /** g = [g +] a gradient of y's size. */
    const run = ({ kernel: what, reference, map: inMap }: Form, g: Tensor, acc: number): void => {
      const dy = gradOf(y);
      if (whole) device.run(what, reference, { a, b, dy, g }, { ...sizes, acc });
      else map(name, inMap, shape, { ...walks, c: { tensor: dy, ...flat }, y: { tensor: g, ...flat } }, acc);
    };
    const differentiate = (side: Tensor, gradient: Form | number): void => {
      if (typeof gradient !== 'number') return intoSide(side, y, (g, to) => run(gradient, g, to));
      if (!side.requiresGrad) return;
      const { grad, acc } = into(side);
      if (side.size === y.size) scaleTo(gradOf(y), grad, gradient, acc);
      else sumTo(gradOf(y), grad, gradient, acc);
    };
    device.tape.record([a, b], y, () => {
      if (square && a === b) return differentiate(a, square);
      differentiate(a, gradients[0]);
      differentiate(b, gradients[1]);
    });
    return y;
  };
}

function resultShape(name: string, a: Tensor, b: Tensor): Shape {
  const shape = broadcastShape(a.shape, b.shape);
  if (!shape)
    throw new Error(
      `${name}: expected shapes that broadcast (equal from the last axis on, or 1), got a ${showShape(a.shape)} · b ${showShape(b.shape)}`,
    );
  return shape;
}

/** A comparison: 1 where it holds, else 0; of two tensors of numbers or two of integers. NaN compares as nothing does. No gradient. */
/* @__NO_SIDE_EFFECTS__ */
export function comparison(name: string, test: string, holds: (a: number, b: number) => boolean): Binary {
  const reference = (a: number, b: number): number => (holds(a, b) ? 1 : 0);
  const f = `select(T(0.0), T(1.0), ${test})`;
  const integers: MapRule = { f, reference };
  const numbers = binary(name, { f: `ordered(${f}, a, b, ${reference(Number.NaN, 0)}.0)`, reference });
  return (a, b) => {
    if (a.dtype === 'f32') return numbers(a, b);
    expectType(name, 'b', b, 'u32');
    const shape = resultShape(name, a, b);
    const y = a.device.empty(shape, 'f32', name);
    map(name, integers, shape, {
      a: repeated(a, shape),
      b: repeated(b, shape),
      y: { tensor: y, strides: stridesOf(shape) },
    });
    return y;
  };
}
