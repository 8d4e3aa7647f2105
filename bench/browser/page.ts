/** What the page of `npm run bench:browser` runs; bench/browser/run.mjs calls it. */
import { Device } from '../../engine/index.ts';
import { benchStep, type StepBench } from '../step.ts';
import { benchKernels, type KernelBench } from '../kernels.ts';

/** SwiftShader is about ten times slower than lavapipe: a sixteenth of the rows there. */
const SWIFTSHADER_SCALE = 16;

export interface BrowserBench extends KernelBench {
  device: string;
  /** What the rows of every case were divided by. */
  scale: number;
}

export async function benchInBrowser(
  options: { filter?: string; scale?: number },
  onCase: (name: string) => void,
): Promise<BrowserBench> {
  const device = await Device.open({ backend: 'webgpu' });
  const { vendor, architecture } = (device.gpu as NonNullable<Device['gpu']>).info;
  const name = `webgpu (${[vendor, architecture].filter(Boolean).join(' ') || device.name})`;
  const scale = options.scale ?? (/swiftshader/i.test(`${name} ${device.name}`) ? SWIFTSHADER_SCALE : 1);
  try {
    return { device: name, scale, ...(await benchKernels(device, { filter: options.filter, scale, onCase })) };
  } finally {
    device.close();
  }
}

/** The training step; the small one on an adapter that computes on the CPU. */
export async function benchStepInBrowser(): Promise<StepBench & { swiftshader: boolean; small: boolean }> {
  const device = await Device.open({ backend: 'webgpu' });
  try {
    const { vendor, architecture } = (device.gpu as NonNullable<Device['gpu']>).info;
    const swiftshader = /swiftshader/i.test(`${vendor} ${architecture} ${device.name}`);
    return { swiftshader, small: swiftshader, ...(await benchStep(device, { small: swiftshader })) };
  } finally {
    device.close();
  }
}
