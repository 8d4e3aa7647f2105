/** What the calls of the contract are made on; nothing that they do may reach the device and kill it. */
import { afterEach } from 'vitest';
import type { Device, Shape, Tensor } from '../../../engine/index.ts';
import { gpu } from '../devices.ts';

afterEach(async () => {
  await gpu.settle();
  gpu.check();
});

const count = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);
/** Numbers, the same on each device. */
export const f = (d: Device, ...shape: number[]): Tensor =>
  d.tensor(
    Float32Array.from({ length: count(shape) }, (_, i) => ((i * 7) % 11) / 8 - 0.5),
    shape as Shape,
    { label: 'numbers' },
  );
/** Zeros as ids. */
export const u = (d: Device, ...shape: number[]): Tensor =>
  d.tensor(new Uint32Array(count(shape)), shape as Shape, { label: 'ids' });
/** Numbers that have a gradient. */
export const leaf = (d: Device, ...shape: number[]): Tensor => {
  const t = f(d, ...shape);
  d.makeLeaf(t);
  return t;
};
/** Bounds of n tokens, each of an empty sequence. */
export const spans = (d: Device, n: number) => ({ start: u(d, n), end: u(d, n) });
