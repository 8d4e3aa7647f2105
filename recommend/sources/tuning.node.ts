/** Where Node keeps the kernels that it measured to be fastest: the user's cache folder. */
import { createRequire } from 'node:module';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import { type DeviceOptions, formatChoices, parseChoices, storeName, type TuningStore } from '../../engine/index.ts';

/** Dawn translates the shaders: another version, another measurement. */
export function runtime(): string {
  try {
    return `dawn ${(createRequire(import.meta.url)('webgpu/package.json') as { version: string }).version}`;
  } catch {
    return 'dawn unknown';
  }
}

const folder = (): string => path.join(process.env.XDG_CACHE_HOME || path.join(homedir(), '.cache'), 'attune');

/** The file of an adapter's choices. */
export const tuningFile = (adapter: string): string => path.join(folder(), storeName(adapter));

export const fileTuningStore: TuningStore = {
  async load(adapter) {
    try {
      return parseChoices(await readFile(tuningFile(adapter), 'utf8'));
    } catch {
      return null;
    }
  },
  async save(adapter, choices) {
    const file = tuningFile(adapter);
    await mkdir(folder(), { recursive: true });
    await writeFile(`${file}.${process.pid}.tmp`, formatChoices(adapter, choices));
    await rename(`${file}.${process.pid}.tmp`, file);
  },
};

/** What devices open with in Node, the command's and the library's: nothing with `ATTUNE_TUNE=off`. */
export const nodeTuning = (): DeviceOptions['tuning'] =>
  process.env.ATTUNE_TUNE === 'off' ? undefined : { store: fileTuningStore, runtime: runtime() };
