/** Where Node keeps the kernels that it measured to be fastest: the user's cache folder. */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import { formatChoices, parseChoices, storeName, type TuningStore } from '../engine/index.ts';
import { versionOf } from './common.ts';

/** Dawn translates the shaders: another version, another measurement. */
export const runtime = (): string => `dawn ${versionOf('webgpu')}`;

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

/** What devices of the CLI open with: nothing with `ATTUNE_TUNE=off`. */
export const tuningStore = (): TuningStore | undefined =>
  process.env.ATTUNE_TUNE === 'off' ? undefined : fileTuningStore;
