import { afterAll } from 'vitest';
import { Device, type DeviceOptions } from '../engine/index.ts';

/** A device for the tests of a file, or of the asynchronous `describe` that opens it; closed after them. */
export async function openDevice(options: DeviceOptions): Promise<Device> {
  const device = await Device.open(options);
  afterAll(() => device.close());
  return device;
}
