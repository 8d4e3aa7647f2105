/**
 * A device with WebGPU's default limits and no optional feature, as any browser may give it: the case table by the
 * portable variants (one case an op, or all of them in `npm run test:full`), and training.
 */
import { describe, expect, it } from 'vitest';
import { Device } from '../../engine/index.ts';
import { FULL } from '../full.ts';
import { ring, run, small } from '../train/small.ts';
import { cases } from './cases/index.ts';
import { mismatch } from './forms.ts';
import { firstCases } from './harness.ts';
import { expectedOf, runCase } from './run-case.ts';
import { openDevice } from '../device.ts';

const double = await openDevice({ backend: 'cpu', precision: 'f64' });
const gpu = await openDevice({ backend: 'webgpu', limits: 'default', poison: true });

const chosen = FULL ? cases.filter((c) => !c.refused) : firstCases(cases);

describe("with WebGPU's default limits", () => {
  it.each(chosen)('$op: $name', async (c) => {
    const { data, weights, result } = await expectedOf(c, double);
    expect(mismatch(c, await runCase(c, gpu, data, weights), result)).toBeNull();
  });

  it('trains as the references do', async () => {
    const split = ring();
    const cpu = await Device.open({ backend: 'cpu' });
    const [a, b] = [await run(gpu, split, small(), { epochs: 1 }), await run(cpu, split, small(), { epochs: 1 })];
    expect(a.result.losses.length).toBeGreaterThan(0);
    for (const [i, { loss }] of a.result.losses.entries())
      expect(loss).toBeCloseTo(b.result.losses[i].loss as number, 3);
    expect(
      Object.values(gpu.variants())
        .flat()
        .filter((file) => /sg8|sub|f16|matrix/.test(file)),
    ).toEqual([]);
  });
});
