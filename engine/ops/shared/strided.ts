/**
 * What reads or writes tensors out of order: operands that repeat along some axes (broadcasting), whose axes are in another
 * order (permute), or of which a part is taken (slices with steps). One kernel does all of it, `map`: it turns the flat
 * index of a result into an offset in each operand. The planner here leaves axes out that need no index of their own.
 */
import { groups, type Kernel, kernel, type Params } from '../../kernel.ts';
import type { Reference } from '../../reference.ts';
import { type DType, type Shape, showShape, sizeOf, type Tensor } from '../../tensor.ts';

/** Axes that the kernel has; more are refused where they cannot be joined. */
const RANK = 6;
const OPERANDS = ['y', 'a', 'b', 'c'] as const;

/** How a tensor is walked along the axes of a shape: elements to go on for one step of each, and where it starts. */
export interface Walk {
  tensor: Tensor;
  strides: readonly number[];
  at?: number;
}

/** The strides of a contiguous tensor. */
export function stridesOf(shape: Shape): number[] {
  let size = 1;
  return shape.map((_, i) => (size *= shape[shape.length - i] ?? 1)).reverse();
}

/** A tensor as an operand of a shape that it broadcasts to: equal axes from the last one on, or repeated where it has 1 or none. */
export function repeated(tensor: Tensor, shape: Shape): Walk {
  const own = stridesOf(tensor.shape);
  const missing = shape.length - tensor.rank;
  return {
    tensor,
    strides: shape.map((_, i) => (i < missing || tensor.shape[i - missing] === 1 ? 0 : own[i - missing])),
  };
}

/** The shape that two shapes broadcast to, as in NumPy; null if they do not. */
export function broadcastShape(a: Shape, b: Shape): Shape | null {
  const rank = Math.max(a.length, b.length);
  const axis = (s: Shape, i: number): number => s[i - rank + s.length] ?? 1;
  const shape = Array.from({ length: rank }, (_, i) => (axis(a, i) === 1 ? axis(b, i) : axis(a, i)));
  return shape.every((n, i) => [1, n].includes(axis(b, i))) ? shape : null;
}

/** Leaves out axes of length 1, and joins neighbors that every operand walks as one. */
function joinAxes(shape: Shape, strides: readonly (readonly number[])[]): { shape: number[]; strides: number[][] } {
  const out = { shape: [] as number[], strides: strides.map((): number[] => []) };
  for (const [i, n] of shape.entries()) {
    if (n === 1) continue;
    const last = out.shape.length - 1;
    if (last >= 0 && strides.every((s, k) => out.strides[k][last] === s[i] * n)) {
      out.shape[last] *= n;
      for (const [k, s] of strides.entries()) out.strides[k][last] = s[i];
    } else {
      out.shape.push(n);
      for (const [k, s] of strides.entries()) out.strides[k].push(s[i]);
    }
  }
  return out;
}

/** The bits of an element as WGSL calls them. */
const typeOf = (walk: Walk | undefined): DType => walk?.tensor.dtype ?? 'f32';

/** A function of up to three elements: its expression in WGSL, and the same for the references. */
export interface MapRule {
  /** Of a, b and c. */
  f: string;
  reference(a: number, b: number, c: number): number;
}

export const mapReference =
  (rule: MapRule): Reference =>
  (arrays, p) => {
    const { y, a, b, c } = arrays;
    const shape = [0, p.d1, p.d2, p.d3, p.d4, p.d5];
    const strides = OPERANDS.map((name) => shape.map((_, axis) => p[`${name}${axis}`]));
    const at = OPERANDS.map((name) => p[`${name}_at`]);
    for (let i = 0; i < p.n; i++) {
      const [to, u, v, w] = at;
      const value = rule.reference(a[u], b[v], c[w]);
      y[to] = p.acc ? y[to] + value : value;
      // On to the next index: the last axis first, as a counter does.
      for (let axis = RANK - 1, rest = i + 1; axis >= 0; axis--) {
        const turned = axis > 0 && rest % shape[axis] === 0;
        for (let o = 0; o < at.length; o++) at[o] += strides[o][axis] * (turned ? 1 - shape[axis] : 1);
        if (!turned) break;
        rest /= shape[axis];
      }
    }
  };

/** By its constants. */
const kernels = new Map<string, Kernel>();

/** The kernel of an expression, for operands of these types. */
function mapKernel(constants: Record<string, string | number>): Kernel {
  const key = Object.values(constants).join();
  let found = kernels.get(key);
  if (!found) {
    found = kernel('map', [{ file: 'map', grid: (p) => groups(p.n, 256), constants: () => constants }]);
    kernels.set(key, found);
  }
  return found;
}

/**
 * y = [y +] f(a, b, c) for every index of `shape`; operands that are left out read as anything.
 * @param op for messages
 */
export function map(
  op: string,
  rule: MapRule,
  shape: Shape,
  walks: { y: Walk; a: Walk; b?: Walk; c?: Walk },
  acc = 0,
): void {
  const none = shape.map(() => 0);
  const joined = joinAxes(
    shape,
    OPERANDS.map((name) => walks[name]?.strides ?? none),
  );
  const rank = joined.shape.length;
  if (rank > RANK)
    throw new Error(`${op}: expected at most ${RANK} axes that cannot be joined, got ${rank} of ${showShape(shape)}`);
  const params: Params = { n: sizeOf(shape), acc };
  for (let axis = 0; axis < RANK; axis++) {
    const own = axis - RANK + rank;
    if (axis > 0) params[`d${axis}`] = joined.shape[own] ?? 1;
    OPERANDS.forEach((name, k) => {
      params[`${name}${axis}`] = joined.strides[k][own] ?? 0;
    });
  }
  for (const name of OPERANDS) params[`${name}_at`] = walks[name]?.at ?? 0;
  const { y, a, b, c } = walks;
  y.tensor.device.run(
    mapKernel({ RANK: Math.max(1, rank), A: typeOf(a), B: typeOf(b), Y: typeOf(y), f: rule.f }),
    mapReference(rule),
    { y: y.tensor, a: a.tensor, b: b?.tensor ?? null, c: c?.tensor ?? null },
    params,
  );
}

const COPY: MapRule = { f: 'a', reference: (a) => a };

/** y's elements = [those +] x's, along the axes of a shape; bits are kept. */
export function copyStrided(op: string, shape: Shape, x: Walk, y: Walk, acc = 0): void {
  map(op, COPY, shape, { y, a: x }, acc);
}
