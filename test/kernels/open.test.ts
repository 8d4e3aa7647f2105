/** What `Device.open` can be asked for: WebGPU's guaranteed limits, and poisoned memory. */
import { describe, expect, it } from 'vitest';
import type { Device } from '../../engine/index.ts';
import { openDevice } from '../device.ts';

describe("a device with WebGPU's default limits", async () => {
  const device = await openDevice({ backend: 'webgpu', limits: 'default' });

  it('has those and no optional feature', () => {
    const { limits, features } = (device.gpu as NonNullable<Device['gpu']>).gpu;
    expect(limits.maxStorageBuffersPerShaderStage).toBe(8);
    expect(limits.maxComputeInvocationsPerWorkgroup).toBe(256);
    expect(limits.maxComputeWorkgroupStorageSize).toBe(16384);
    expect(limits.maxStorageBufferBindingSize).toBe(2 ** 27);
    // The core set that Dawn and browsers list is no option.
    expect([...features].filter((name) => name !== 'core-features-and-limits')).toEqual([]);
    expect(device.caps).toMatchObject({ subgroups: false, f16: false, timestamps: false, matrices: [] });
  });
});

describe.each(['webgpu', 'wasm', 'cpu'] as const)('a device with poisoned memory on %s', async (backend) => {
  const device = await openDevice({ backend, poison: true });

  it('hands out NaN, in new memory and in reused memory', async () => {
    for (let round = 0; round < 2; round++) {
      const t = device.empty([5]);
      expect([...(await t.data())]).toEqual(Array(5).fill(Number.NaN));
      device.write(t, [1, 2, 3, 4, 5]);
      expect([...(await t.data())]).toEqual([1, 2, 3, 4, 5]);
      t.dispose();
    }
    expect([...(await device.zeros([5]).data())]).toEqual([0, 0, 0, 0, 0]);
    expect([...(await device.empty([2], 'u32').data())]).toEqual([0x7fc00000, 0x7fc00000]);
  });

  it('takes and gives tensors without an element', async () => {
    expect(await device.tensor([], [0, 3]).data()).toEqual(new Float32Array(0));
  });
});
