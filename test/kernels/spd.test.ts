/** Inverses through the engine's matrix product, held to what an inverse is. */
import { describe, expect, it } from 'vitest';
import { invertSpd, multiply, Panels } from '../../engine/spd.ts';
import { uniform } from '../../engine/random/random.ts';
import { openDevice } from '../device.ts';

/** A = XᵀX + λI, [n, n]. */
function gram(n: number, rows: number, lambda: number): Float64Array {
  const x = uniform(rows * n, 7, 1);
  const a = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) {
      let sum = i === j ? lambda : 0;
      for (let r = 0; r < rows; r++) sum += x[r * n + i] * x[r * n + j];
      a[i * n + j] = Math.fround(sum);
    }
  }
  return a;
}

describe.each(['webgpu', 'wasm', 'cpu'] as const)('on %s', async (backend) => {
  const devices = [await openDevice({ backend }), await openDevice({ backend, maxBindingBytes: 128 * 4 * 384 })];

  it.each([1, 33, 300])('A⁻¹·A = I for n = %i, in one panel and in several', async (n) => {
    const a = gram(n, 20, 2);
    for (const device of devices) {
      const inverse = await Panels.create(device, n, (row, out) => out.set(a.subarray(row * n, row * n + n)));
      const copy = await Panels.create(device, n, (row, out) => out.set(a.subarray(row * n, row * n + n)));
      await invertSpd(inverse);
      const product = await multiply(inverse, copy);
      let worst = 0;
      let rows = 0;
      await product.rows((row, values) => {
        rows++;
        for (let j = 0; j < n; j++) worst = Math.max(worst, Math.abs(values[j] - (row === j ? 1 : 0)));
      });
      expect(rows).toBe(n);
      expect(worst).toBeLessThan(1e-3);
      for (const p of [inverse, copy, product]) p.dispose();
    }
  });

  it('says which pivot is not positive', async () => {
    const a = await Panels.create(devices[0], 3, (row, out) => out.fill(row === 1 ? -1 : 0.5));
    await expect(invertSpd(a)).rejects.toThrow(/not positive definite.*pivot/);
    a.dispose();
  });
});
