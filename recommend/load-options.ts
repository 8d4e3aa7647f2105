import type { BatchReport } from './batch-queue.ts';
import { browserTuning, Device, type DeviceOptions } from '../engine/index.ts';

export interface LoadOptions {
  backend?: DeviceOptions['backend'];
  /** A device to share; `close()` leaves it open. */
  device?: Device;
  /**
   * Kernels measured for this adapter (`attune tune`), where a device is opened. In Node they come from the cache folder
   * unless `ATTUNE_TUNE=off`, in a browser from the origin's private file system; null ignores them.
   */
  tuning?: DeviceOptions['tuning'] | null;
  /** Called once if `auto` found no adapter; the default writes one line to the console's error stream. */
  onFallback?: DeviceOptions['onFallback'];
  /** Called after each batch of lists, for metrics. */
  onBatch?: (batch: BatchReport) => void;
}

/** The device that a model is loaded onto, opened unless one is shared. */
export async function deviceFor({ device, backend = 'auto', tuning, onFallback }: LoadOptions): Promise<Device> {
  const measured = tuning === undefined ? browserTuning() : (tuning ?? undefined);
  return device ?? Device.open({ backend, tuning: measured, onFallback });
}
