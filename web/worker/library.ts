/** The models in this browser: one folder each in the origin's private file system, with the log if trained here. */
import { InputError } from '../../data/errors.ts';
import type { Files } from '../../model/storage/files.ts';
import type { ModelConfig } from '../../model/storage/config.ts'; // types alone: its code brings the engine along
import { Snapshot } from '../../model/storage/manifest.ts';
import type { Filter, ModelEntry, Plan, LogReading, RunState, LogSource } from './contract.ts';
import { FolderFiles } from './files.ts';

/** The record of a training in this browser; stored with the model's files, but not exported with them. */
export interface Run {
  source:
    | { kind: 'shop'; shoppers: number }
    | { kind: 'file'; name: string; items: string | null; users: string | null };
  reading: LogReading;
  filter: Filter;
  plan: Plan;
  state: RunState;
}

const RUN = 'run.json';
/** Copies of the training data, so that a training can be continued after a reload. */
const LOG = 'run.log';
const ITEMS = 'run.items';
const USERS = 'run.users';
const OWN = new Set([RUN, LOG, ITEMS, USERS]);

async function modelsFolder(): Promise<FileSystemDirectoryHandle> {
  if (typeof navigator.storage?.getDirectory !== 'function') {
    throw new InputError('unsupported', 'this browser keeps no files for pages (OPFS), which models are kept in', {
      hint: 'use a recent Chrome',
    });
  }
  const root = await navigator.storage.getDirectory();
  return root.getDirectoryHandle('models', { create: true });
}

/** @throws InputError if there is none with that name */
export async function modelFiles(id: string): Promise<FolderFiles> {
  try {
    return new FolderFiles(await (await modelsFolder()).getDirectoryHandle(id));
  } catch (error) {
    if ((error as DOMException).name !== 'NotFoundError') throw error;
    throw new InputError('not-found', `${id}: no such model in this browser`);
  }
}

/** Models that this tab is writing. */
const writtenHere = new Set<string>();

/**
 * Work that writes a model's folder, once at a time over all tabs: they would overwrite each other's files.
 * @throws InputError if the folder is being written
 */
export async function writing<T>(id: string, work: () => Promise<T>): Promise<T> {
  return await navigator.locks.request(`attune model ${id}`, { ifAvailable: true }, async (lock) => {
    if (!lock) {
      const here = writtenHere.has(id);
      throw new InputError('locked', `${id}: ${here ? 'this' : 'another'} tab is writing this model`, {
        hint: here ? 'pause the training or wait' : 'close it or wait',
      });
    }
    writtenHere.add(id);
    try {
      return await work();
    } finally {
      writtenHere.delete(id);
    }
  });
}

/** A new folder, named after the model. One tab at a time makes one, so that each gets a name of its own. */
export const newModel = (name: string): Promise<FolderFiles> =>
  navigator.locks.request('attune new model', () => makeFolder(name));

async function makeFolder(name: string): Promise<FolderFiles> {
  const folder = await modelsFolder();
  const taken = new Set<string>();
  for await (const key of folder.keys()) taken.add(key);
  const word =
    name
      .normalize('NFKD')
      .replace(/[^\w-]+/g, '-')
      .replace(/^-+|-+$/g, '')
      .slice(0, 40) || 'model';
  let id = word;
  for (let n = 2; taken.has(id); n++) id = `${word}-${n}`;
  return new FolderFiles(await folder.getDirectoryHandle(id, { create: true }));
}

export async function removeModel(id: string): Promise<void> {
  await (await modelsFolder()).removeEntry(id, { recursive: true });
}

export async function saveRun(files: Files, run: Run): Promise<void> {
  await files.write(RUN, JSON.stringify(run));
}

export async function loadRun(files: FolderFiles): Promise<Run | null> {
  const bytes = await files.read(RUN);
  return bytes && (JSON.parse(new TextDecoder().decode(bytes)) as Run);
}

/** The files of a training. */
export type Kept = Pick<Extract<LogSource, { kind: 'file' }>, 'file' | 'items' | 'users'>;

export async function keepSource(files: FolderFiles, { file, items, users }: Kept): Promise<void> {
  await files.copyOf(file, LOG);
  if (items) await files.copyOf(items, ITEMS);
  if (users) await files.copyOf(users, USERS);
}

/** The log that a model was trained on, with its original name. @throws InputError if it is missing */
export async function keptSource(files: FolderFiles, run: Run): Promise<Kept> {
  const { source } = run;
  if (source.kind === 'shop') throw new Error('library: the demo shop has no file');
  const log = await files.file(LOG);
  if (!log)
    throw new InputError('not-found', `${files.where}: the log that it was trained on is gone`, {
      hint: 'train it again',
    });
  const named = async (kept: string, name: string | null): Promise<File | null> => {
    const file = name === null ? null : await files.file(kept);
    return file && new File([file], name as string);
  };
  return {
    file: new File([log], source.name),
    items: await named(ITEMS, source.items),
    users: await named(USERS, source.users),
  };
}

/** Newest first; folders without a model are left out. */
export async function listModels(): Promise<ModelEntry[]> {
  const found: ModelEntry[] = [];
  const folder = await modelsFolder();
  for await (const handle of folder.values()) {
    if (handle.kind !== 'directory') continue;
    const entry = await describe(new FolderFiles(handle as FileSystemDirectoryHandle)).catch(() => null);
    if (entry) found.push(entry);
  }
  return found.sort((a, b) => (a.created < b.created ? 1 : -1));
}

async function describe(files: FolderFiles): Promise<ModelEntry | null> {
  const snapshot = await Snapshot.open(files);
  const bytes = await snapshot.read('config.json');
  if (!bytes) return null;
  const config = JSON.parse(new TextDecoder().decode(bytes)) as ModelConfig;
  const parts = await snapshot.parts();
  const names = (await files.list()).filter((one) => !OWN.has(one));
  const run = await loadRun(files);
  const sizes = await Promise.all(names.map(async (name) => (await files.file(name))?.size ?? 0));
  const best = await bestFigure(files);
  return {
    id: files.where,
    name: run?.plan.name ?? files.where,
    recipe: config.recipe,
    source: config.data.source,
    created: config.created,
    users: config.data.users,
    items: config.data.items,
    interactions: config.data.interactions,
    device: config.device,
    state: run?.state ?? null,
    ready: parts.includes('model.safetensors') || parts.includes('checkpoint.safetensors'),
    bytes: sizes.reduce((sum, size) => sum + size, 0),
    ndcg: config.blend?.fitted?.blend['NDCG@10'] ?? best,
  };
}

/** The best NDCG@10 on the validation part so far; null before the first validation. */
async function bestFigure(files: FolderFiles): Promise<number | null> {
  const text = new TextDecoder().decode((await files.read('metrics.jsonl')) ?? undefined);
  for (const line of text.split('\n').reverse()) {
    if (!line.includes('"best":true')) continue;
    return (JSON.parse(line) as { valid: Record<string, number> }).valid['NDCG@10'] ?? null;
  }
  return null;
}
