/** The devices of a test file, open while it runs. */
import { afterAll, beforeAll } from 'vitest';
import { Device } from '../../engine/index.ts';

export let gpu: Device;
export let cpu: Device;
/** The CPU device in double precision. */
export let double: Device;
beforeAll(async () => {
  double = await Device.open({ backend: 'cpu', precision: 'f64' });
  cpu = await Device.open({ backend: 'cpu' });
  gpu = await Device.open({ backend: 'webgpu' });
});
afterAll(() => gpu?.close());

export const both: [backend: string, open: () => Device][] = [
  ['webgpu', () => gpu],
  ['cpu', () => cpu],
];
