/** The devices of a test file, open while it runs. */
import type { Device } from '../../engine/index.ts';
import { openDevice } from '../device.ts';

/** The CPU device in double precision. */
export const double = await openDevice({ backend: 'cpu', precision: 'f64' });
export const cpu = await openDevice({ backend: 'cpu' });
export const wasm = await openDevice({ backend: 'wasm' });
export const gpu = await openDevice({ backend: 'webgpu' });

/** Devices in single precision. */
export const backends: [backend: string, device: Device][] = [
  ['webgpu', gpu],
  ['wasm', wasm],
  ['cpu', cpu],
];
