/** The worker's only device: opened when first needed, and again after it was lost. */
import { browserTuning, Device } from '../../engine/index.ts';
import { missing, nameOf } from './adapter.ts';
import type { DeviceReport } from './contract.ts';

let current: Promise<Device> | null = null;

export async function sharedDevice(): Promise<Device> {
  const open = (): Promise<Device> =>
    Device.open({ backend: 'auto', tuning: browserTuning(), onFallback: () => {} }).catch((error) => {
      current = null;
      throw error;
    });
  current ??= open();
  const device = await current;
  if (!device.gpu?.failure) return device;
  device.close();
  current = open();
  return current;
}

/** Frees unused buffers. */
export function trim(device: Device): void {
  device.gpu?.buffers.trim();
}

export async function describeDevice(): Promise<DeviceReport> {
  const device = await sharedDevice();
  const { caps, gpu } = device;
  const features = caps ? (['subgroups', 'f16', 'timestamps'] as const).filter((name) => caps[name]) : [];
  return {
    backend: gpu ? 'webgpu' : 'cpu',
    name: gpu ? nameOf(gpu.info) : device.wasm ? 'WebAssembly' : 'the CPU',
    missing: gpu ? null : missing(),
    features,
    bytes: device.stats().bytes,
  };
}
