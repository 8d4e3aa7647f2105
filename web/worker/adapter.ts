/** The adapter that this browser would compute on, without loading the engine. */
import type { DeviceReport } from './contract.ts';

/** Why WebGPU is not available, in words, and what helps. */
export function missing(): DeviceReport['missing'] {
  if (!isSecureContext) {
    return { what: 'WebGPU needs a secure page.', how: 'Open this page through https:// or http://localhost.' };
  }
  if (!(navigator as Partial<Navigator>).gpu) {
    return {
      what: 'This browser has no WebGPU.',
      how: 'Chrome and Edge have it since version 113, Safari since 26, Firefox since 141 (Windows).',
    };
  }
  return {
    what: 'The browser has WebGPU, but no graphics adapter for it.',
    how: 'In Chrome, check chrome://gpu; on Linux, start it with --enable-unsafe-webgpu --enable-features=Vulkan, and enable hardware acceleration in its settings.',
  };
}

export const nameOf = ({ description, vendor, architecture }: GPUAdapterInfo): string =>
  description || [vendor, architecture].filter(Boolean).join(' ') || 'a graphics adapter';

const FEATURES: [GPUFeatureName, string][] = [
  ['subgroups' as GPUFeatureName, 'subgroups'],
  ['shader-f16', 'f16'],
  ['timestamp-query', 'timestamps'],
];

/** Like `describeDevice`, for the adapter that the engine will use. */
export async function probe(): Promise<DeviceReport> {
  const adapter = await (navigator as Partial<Navigator>).gpu?.requestAdapter({ powerPreference: 'high-performance' });
  if (!adapter) return { backend: 'cpu', name: 'the CPU', missing: missing(), features: [], bytes: 0 };
  const features = FEATURES.filter(([feature]) => adapter.features.has(feature)).map(([, name]) => name);
  return { backend: 'webgpu', name: nameOf(adapter.info), missing: null, features, bytes: 0 };
}
