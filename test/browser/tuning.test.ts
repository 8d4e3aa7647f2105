/** The store of measured kernels in Chromium's private file system. */
import { describe, expect, it } from 'vitest';
import { browserTuning, type Choices, Device, OpfsTuningStore, softmax, storeName } from '../../engine/index.ts';

const ADAPTER = 'an adapter of the test';
const CHOICES: Choices = { softmax_fwd: { 'rows1 cols2': 'softmax_fwd' } };

async function remove(name: string): Promise<void> {
  await (await navigator.storage.getDirectory()).removeEntry(name).catch(() => {});
}

describe('tuning in the private file system', () => {
  it('gives what was saved, for its adapter only', async () => {
    await remove(storeName(ADAPTER));
    const store = new OpfsTuningStore();
    expect(await store.load(ADAPTER)).toBeNull();
    await store.save(ADAPTER, CHOICES);
    expect(await new OpfsTuningStore().load(ADAPTER)).toEqual(CHOICES);
    expect(await store.load('another adapter')).toBeNull();
    await store.save(ADAPTER, {}); // shorter than before: nothing of the old text may stay
    expect(await store.load(ADAPTER)).toEqual({});
    await remove(storeName(ADAPTER));
  });

  it('takes damaged text for nothing measured', async () => {
    const file = await (await navigator.storage.getDirectory()).getFileHandle(storeName(ADAPTER), { create: true });
    const stream = await file.createWritable();
    await stream.write('{');
    await stream.close();
    expect(await new OpfsTuningStore().load(ADAPTER)).toBeNull();
    await remove(storeName(ADAPTER));
  });

  it('is where a device of this browser finds the kernel to run', async () => {
    const tuning = browserTuning();
    expect(tuning?.runtime).toMatch(/^Chrome\/\d+/);
    let adapter = '';
    const load = (name: string) => {
      adapter = name;
      return Promise.resolve({ softmax_fwd: { 'rows2 cols3': 'softmax_fwd_sub WG=64' } });
    };
    const store = { load, save: () => Promise.resolve() };
    const probe = await Device.open({ backend: 'webgpu', tuning: { store, runtime: tuning?.runtime ?? '' } });
    const subgroups = probe.gpu?.caps.subgroups;
    probe.close();
    await tuning?.store.save(adapter, { softmax_fwd: { 'rows2 cols3': 'softmax_fwd_sub WG=64' } });
    try {
      const device = await Device.open({ backend: 'webgpu', tuning });
      device.scope(() => void softmax(device.full([4, 8], 1)));
      expect(device.variants().softmax_fwd).toEqual([subgroups ? 'softmax_fwd_sub WG=64' : 'softmax_fwd']);
      device.close();
    } finally {
      await remove(storeName(adapter));
    }
  });
});
