/**
 * The elementwise functions of two tensors: a line of a table each, with its expression in WGSL (of a and b, which are
 * called T), what it sends back of d, which reached its result, and the same for the references. Shapes broadcast as in
 * NumPy: equal from the last axis on, or repeated where one of them has 1 or no axis. Comparisons have no gradient.
 */
import { powerSlopes } from './binary.ref.ts';
import { type Binary, binary, comparison } from './shared/binary.ts';

/** a + b. */
export const add: Binary = binary('add', {
  f: 'a + b',
  reference: (a, b) => a + b,
  gradients: [1, 1],
  wasm: 0,
});

/** a − b. */
export const sub: Binary = binary('sub', {
  f: 'a - b',
  reference: (a, b) => a - b,
  gradients: [1, -1],
  wasm: 1,
});

/** a · b. */
export const mul: Binary = binary('mul', {
  f: 'a * b',
  reference: (a, b) => a * b,
  gradients: [
    ['d * b', (_, b, d) => d * b],
    ['d * a', (a, _, d) => d * a],
  ],
  square: ['d * (2.0 * a)', (a, _, d) => d * 2 * a],
  wasm: 2,
});

/** a / b. */
export const div: Binary = binary('div', {
  f: 'a / b',
  reference: (a, b) => a / b,
  gradients: [
    ['d / b', (_, b, d) => d * (1 / b)],
    ['-d * (a / b) / b', (a, b, d) => d * (-a / (b * b))],
  ],
  wasm: 3,
});

/** aᵇ: a negative a takes integers as b. The gradient along b is NaN there, that along a is 0 where b is 0. */
export const pow: Binary = binary('pow', {
  f: 'power(a, b)',
  reference: (a, b) => a ** b,
  gradients: [
    ['select(d * b * power(a, b - 1.0), T(0.0) * d, b == T(0.0))', powerSlopes[0]],
    ['select(d * power(a, b) * log(a), T(0.0) * d, a == T(0.0))', powerSlopes[1]],
  ],
});

/** The smaller of a and b; of equals a gets the gradient. */
export const minimum: Binary = binary('minimum', {
  f: 'keep_nan(keep_nan(min(a, b), a), b)',
  reference: (a, b) => Math.min(a, b),
  gradients: [
    ['ordered(select(T(0.0), d, a <= b), a, b, 0.0)', (a, b, d) => (a <= b ? d : 0)],
    ['ordered(select(T(0.0), d, a > b), a, b, 0.0)', (a, b, d) => (a > b ? d : 0)],
  ],
});

/** The larger of a and b; of equals a gets the gradient. */
export const maximum: Binary = binary('maximum', {
  f: 'keep_nan(keep_nan(max(a, b), a), b)',
  reference: (a, b) => Math.max(a, b),
  gradients: [
    ['ordered(select(T(0.0), d, a >= b), a, b, 0.0)', (a, b, d) => (a >= b ? d : 0)],
    ['ordered(select(T(0.0), d, a < b), a, b, 0.0)', (a, b, d) => (a < b ? d : 0)],
  ],
});

/** 1 where a = b, else 0. */
export const equal: Binary = comparison('equal', 'a == b', (a, b) => a === b);

/** 1 where a ≠ b, else 0; NaN differs from everything. */
export const notEqual: Binary = comparison('notEqual', 'a != b', (a, b) => a !== b);

/** 1 where a < b, else 0. */
export const less: Binary = comparison('less', 'a < b', (a, b) => a < b);

/** 1 where a ≤ b, else 0. */
export const lessEqual: Binary = comparison('lessEqual', 'a <= b', (a, b) => a <= b);

/** 1 where a > b, else 0. */
export const greater: Binary = comparison('greater', 'a > b', (a, b) => a > b);

/** 1 where a ≥ b, else 0. */
export const greaterEqual: Binary = comparison('greaterEqual', 'a >= b', (a, b) => a >= b);
