import { browserTuning, Device, type DeviceOptions } from '../engine/index.ts';

/** A batch that ran, for metrics. */
export interface BatchReport {
  queries: number;
  /** How long each query waited for its turn. */
  waitedMs: readonly number[];
  /** From its turn to the answers. */
  ranMs: number;
}

export interface LoadOptions {
  backend?: DeviceOptions['backend'];
  /** A device to share; `close()` leaves it open. */
  device?: Device;
  /**
   * Kernels measured for this adapter (`attune tune`), where a device is opened. In Node they come from the cache folder
   * unless `ATTUNE_TUNE=off`, in a browser from the origin's private file system; null ignores them.
   */
  tuning?: DeviceOptions['tuning'] | null;
  /** Called after each batch of lists, for metrics. */
  onBatch?: (batch: BatchReport) => void;
}

/** The device that a model is loaded onto, opened unless one is shared. */
export async function deviceFor({ device, backend = 'auto', tuning }: LoadOptions): Promise<Device> {
  return device ?? Device.open({ backend, tuning: tuning === undefined ? browserTuning() : (tuning ?? undefined) });
}
