/** Where NaN and infinity come from. */
import type { Device } from './device.ts';
import { showShape, type Tensor } from './tensor.ts';

/**
 * Runs `fn` eagerly in a scope, keeps every f32 tensor that it makes until all were looked at (but for blocks of
 * something larger, which ops free themselves), and describes the first that holds NaN or infinity, in the order in
 * which they were made; null if there is none.
 */
export async function firstNonFiniteTensor(device: Device, fn: () => void): Promise<string | null> {
  const made: Tensor[] = [];
  device.made = made;
  device.opCounter = 0;
  try {
    device.scope(() => {
      fn();
      for (const t of made) t.keep();
    });
    for (const t of made) {
      if (t.dtype !== 'f32' || t.storage.released) continue;
      const values = await t.data();
      const at = values.findIndex((x) => !Number.isFinite(x));
      if (at >= 0) return `${t.label} ${showShape(t.shape)} (element ${at} is ${values[at]})`;
    }
    return null;
  } finally {
    device.made = null;
    for (const t of made) device.release(t.storage);
  }
}
