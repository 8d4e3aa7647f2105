/** Values read back from a device, and with them a look at what may have failed there. */
import type { Device } from './device.ts';
import type { NumericArray, Tensor } from './tensor.ts';

/** The values of tensors and of the device's guards, with one wait for all of them. @throws Error where a guard does */
export async function readGuarded(
  device: Device,
  tensors: readonly Tensor[],
  expectedMs: number,
): Promise<{ values: NumericArray[]; overslept: boolean }> {
  const all = [...tensors, ...device.guards.keys()];
  for (const t of all) {
    device.alive(t, 'data');
    device.define(t.storage);
  }
  let values: NumericArray[];
  let overslept = false;
  if (!device.gpu) values = all.map((t) => (device.hostView(t) as NumericArray).slice());
  else {
    const found = await device.gpu.read(all, expectedMs);
    values = all.map(({ dtype }, i) => new (dtype === 'f32' ? Float32Array : Uint32Array)(found.values[i]));
    overslept = found.overslept;
  }
  const guards = [...all.entries()].slice(tensors.length);
  for (const [i, guard] of guards) device.guards.get(guard)?.(values[i]);
  return { values: values.slice(0, tensors.length), overslept };
}
