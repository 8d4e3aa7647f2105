/** The worker's one device: opened when first needed, and again after it was lost. */
import { browserTuning, Device } from '../../engine/index.ts';
import type { DeviceReport } from './contract.ts';

let current: Promise<Device> | null = null;

export async function openDevice(): Promise<Device> {
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

/** Frees buffers that lie unused. */
export function trim(device: Device): void {
  device.gpu?.trim();
}

/** What is missing for WebGPU here, in words, and what helps. */
async function missing(): Promise<DeviceReport['missing']> {
  const gpu = (navigator as Partial<Navigator>).gpu;
  if (!isSecureContext) {
    return { what: 'WebGPU needs a secure page.', how: 'Open this page through https:// or http://localhost.' };
  }
  if (!gpu) {
    return {
      what: 'This browser has no WebGPU.',
      how: 'Chrome or Edge from version 113 on have it, Safari from 26 on, Firefox from 141 on (Windows).',
    };
  }
  return {
    what: 'The browser has WebGPU, but no graphics adapter for it.',
    how: 'In Chrome look at chrome://gpu; on Linux start it with --enable-unsafe-webgpu --enable-features=Vulkan, and switch on hardware acceleration in its settings.',
  };
}

export async function describeDevice(): Promise<DeviceReport> {
  const device = await openDevice();
  const { caps, gpu } = device;
  const { vendor, architecture, description } = gpu?.info ?? {};
  const features = caps ? (['subgroups', 'f16', 'timestamps'] as const).filter((name) => caps[name]) : [];
  return {
    backend: device.backend,
    name: gpu ? description || [vendor, architecture].filter(Boolean).join(' ') || 'a graphics adapter' : 'the CPU',
    missing: gpu ? null : await missing(),
    features,
    bytes: device.stats().bytes,
  };
}
