/** Measured choices in the origin's private file system: the store for Chrome. */
import type { DeviceOptions } from '../device-options.ts';
import type { Choices } from '../webgpu/variant-choice.ts';
import { formatChoices, parseChoices, storeName, type TuningStore } from './tuner.ts';

export class OpfsTuningStore implements TuningStore {
  async load(adapter: string): Promise<Choices | null> {
    try {
      const folder = await navigator.storage.getDirectory();
      const file = await (await folder.getFileHandle(storeName(adapter))).getFile();
      return parseChoices(await file.text());
    } catch {
      return null; // nothing was measured, or there is no such file system here
    }
  }

  async save(adapter: string, choices: Choices): Promise<void> {
    const folder = await navigator.storage.getDirectory();
    const stream = await (await folder.getFileHandle(storeName(adapter), { create: true })).createWritable();
    await stream.write(formatChoices(adapter, choices));
    await stream.close();
  }
}

/** What devices open with in a browser; undefined where there is no private file system. */
export function browserTuning(): DeviceOptions['tuning'] {
  const browser = globalThis.navigator as Navigator | undefined;
  if (typeof browser?.storage?.getDirectory !== 'function') return undefined;
  const runtime = /(?:Chrome|Firefox|Version)\/[\d.]+/.exec(browser.userAgent)?.[0] ?? browser.userAgent;
  return { store: new OpfsTuningStore(), runtime };
}
