/** Measured choices in the origin's private file system: the store for Chrome. */
import type { Choices } from './webgpu.ts';
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
