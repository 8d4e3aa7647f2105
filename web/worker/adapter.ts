/** What this browser could compute on, asked of it directly: the engine loads when there is something to compute. */
import type { DeviceReport } from './contract.ts';

/** What is missing for WebGPU here, in words, and what helps. */
export function missing(): DeviceReport['missing'] {
  if (!isSecureContext) {
    return { what: 'WebGPU needs a secure page.', how: 'Open this page through https:// or http://localhost.' };
  }
  if (!(navigator as Partial<Navigator>).gpu) {
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

export const nameOf = ({ description, vendor, architecture }: GPUAdapterInfo): string =>
  description || [vendor, architecture].filter(Boolean).join(' ') || 'a graphics adapter';

const FEATURES: [GPUFeatureName, string][] = [
  ['subgroups' as GPUFeatureName, 'subgroups'],
  ['shader-f16', 'f16'],
  ['timestamp-query', 'timestamps'],
];

/** As `describeDevice`, of the adapter that the engine will take. */
export async function probe(): Promise<DeviceReport> {
  const adapter = await (navigator as Partial<Navigator>).gpu?.requestAdapter({ powerPreference: 'high-performance' });
  if (!adapter) return { backend: 'cpu', name: 'the CPU', missing: missing(), features: [], bytes: 0 };
  const features = FEATURES.filter(([feature]) => adapter.features.has(feature)).map(([, name]) => name);
  return { backend: 'webgpu', name: nameOf(adapter.info), missing: null, features, bytes: 0 };
}
