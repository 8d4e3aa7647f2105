/** Sets every element of a tensor to one value (a dispatch, since a recorded pass allows nothing else). */
import { groups, kernel } from '../kernel.ts';
import type { Tensor } from '../tensor.ts';
import { fillForward } from './fill.ref.ts';
import { expectType } from './shared/check.ts';

const FILL = kernel('fill', [
  { file: 'fill', grid: (p) => groups(p.n, 1024), constants: (p) => ({ TAIL: p.n % 4 !== 0 }) },
]);

/** x ← value, in place. No gradient. */
export function fill(x: Tensor, value: number): void {
  expectType('fill', 'x', x);
  if (x.size > 0) x.device.run(FILL, fillForward, { x }, { n: x.size, value });
}
