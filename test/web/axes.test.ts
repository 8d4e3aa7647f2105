/** The principal axes behind the map of items, on a matrix whose eigenvectors are known. */
import { expect, it } from 'vitest';
import { principalAxes } from '../../web/worker/inside.ts';

it('finds the two largest eigenvectors of a symmetric matrix', () => {
  // Q · diag(1, 9, 4) · Qᵀ with orthonormal columns q0, q1, q2.
  const q = [
    [2 / 3, -1 / 3, 2 / 3],
    [2 / 3, 2 / 3, -1 / 3],
    [-1 / 3, 2 / 3, 2 / 3],
  ];
  const values = [1, 9, 4];
  const matrix = Float64Array.from({ length: 9 }, (_, at) =>
    values.reduce((sum, value, k) => sum + value * q[Math.floor(at / 3)][k] * q[at % 3][k], 0),
  );
  const [first, second] = principalAxes(matrix, 3);
  expect(first.value).toBeCloseTo(9, 9);
  expect(second.value).toBeCloseTo(4, 9);
  for (const [found, k] of [[first, 1] as const, [second, 2] as const]) {
    const along = found.axis.reduce((sum, x, i) => sum + x * q[i][k], 0);
    expect(Math.abs(along)).toBeCloseTo(1, 9);
  }
});

it('does not mind a matrix without variance', () => {
  const [first] = principalAxes(new Float64Array(16), 4);
  expect(first.value).toBe(0);
  expect(first.axis.every(Number.isFinite)).toBe(true);
});
