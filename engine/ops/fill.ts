/** Sets every element of a tensor to one value (a dispatch, since a recorded pass allows nothing else). */
import { groups, kernel } from '../kernel.ts';
import { Tensor } from '../tensor.ts';
import { fillForward } from './fill.ref.ts';

const FILL = kernel('fill', [
  { file: 'fill', grid: (p) => groups(p.n, 1024), constants: (p) => ({ TAIL: p.n % 4 !== 0 }) },
]);

/** x ← value, in place; a u32 tensor takes 0 alone, which has the same bits. No gradient. */
export function fill(x: Tensor, value: number): void {
  if (x.dtype === 'u32' && value !== 0) throw new Error(`fill: expected 0 for the u32 tensor ${x.label}, got ${value}`);
  const bits = x.dtype === 'f32' ? x : new Tensor(x.device, x.storage, x.shape, 'f32', x.label, x.offset);
  if (x.size > 0) x.device.run(FILL, fillForward, { x: bits }, { n: x.size, value });
}
