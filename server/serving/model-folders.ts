/** The folders that models are taken from: what each holds, as far as it is known without reading the weights. */
import { readdir, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { InputError } from '../../data/errors.ts';
import { loadConfig } from '../../model/storage/config.ts';
import type { Files } from '../../model/storage/files.ts';
import { readMetrics } from '../../model/storage/folder.ts';
import { MANIFEST, modelVersion } from '../../model/storage/manifest.ts';
import { isLocked } from '../../recommend/sources/lock.node.ts';
import { openPath } from '../../recommend/sources/sources.node.ts';
import { Problem } from '../http/problem.ts';

export interface ModelInfo {
  /** Its name among the folders. */
  folder: string;
  /** What tells it from others, in answers, metrics and logs: twelve hex digits of a hash of its files. */
  version: string;
  /** ISO date of its training. */
  trained: string;
  recipe: string;
  items: number;
  /** Under which its metrics were measured; `final`: trained on all events, so that it has none. */
  protocol: string;
  /** Validation metrics; empty where there are none. */
  metrics: Record<string, number>;
}

/** Metrics that are listed. */
const LISTED = ['NDCG@10', 'HR@10', 'MRR'];

/** @throws InputError where there is no model that can be read */
export async function describeFolder(where: string): Promise<ModelInfo> {
  const files = await openPath(where);
  const config = await loadConfig(files);
  const fitted = config.blend?.fitted?.blend ?? (await bestValidation(files));
  return {
    folder: path.basename(where),
    version: await modelVersion(files),
    trained: config.created,
    recipe: config.recipe,
    items: config.data.items,
    protocol: config.protocol,
    metrics: Object.fromEntries(LISTED.flatMap((name) => (name in fitted ? [[name, fitted[name]]] : []))),
  };
}

async function bestValidation(files: Files): Promise<Record<string, number>> {
  const records = await readMetrics(files);
  const best = records.findLast(({ best: is }) => is === true);
  return (best?.valid as Record<string, number> | undefined) ?? {};
}

/**
 * What changes with every change of a model, without reading it; null where there is none, or a training writes to it.
 * @param where a folder, or a packed model
 */
export async function changeMark(where: string): Promise<string | null> {
  const found = await stat(where).catch(() => null);
  if (!found) return null;
  if (found.isDirectory() && (await isLocked(where))) return null;
  const files = found.isDirectory() ? [MANIFEST, 'config.json', 'model.safetensors'] : [''];
  const marks = await Promise.all(
    files.map(async (name) => {
      const file = await stat(path.join(where, name)).catch(() => null);
      return file ? `${file.mtimeMs} ${file.size} ${file.ino}` : '-';
    }),
  );
  return marks.join(', ');
}

/** Models are named by their folder's name: what is not in the root, or leads out of it, is none. */
export class ModelFolders {
  private readonly root: string;
  /** The folder that the server was started with, wherever it is. */
  private readonly first: string;
  private readonly known = new Map<string, { mark: string; info: ModelInfo }>();

  constructor(root: string, first: string) {
    this.root = path.resolve(root);
    this.first = path.resolve(first);
  }

  /** @throws Problem where the name is none, or there is no such folder */
  async find(name: string): Promise<string> {
    if (name === '' || name === '.' || name === '..' || /[/\\\0]/.test(name))
      throw new Problem(400, 'invalid-value', "expected the name of a folder among the server's models", 'folder');
    const within = await realpath(path.join(this.root, name)).catch(() => null);
    if (within !== null) {
      const root = await realpath(this.root);
      if (within.startsWith(root + path.sep)) return path.join(this.root, name);
      throw new Problem(400, 'invalid-value', `${name} leads out of the folder of the server's models`, 'folder');
    }
    if (name === path.basename(this.first)) return this.first;
    throw new Problem(404, 'not-found', `no ${name} among the server's models; GET /v1/models lists them`, 'folder');
  }

  /** All that can be read, by name, and what is wrong with the others. */
  async list(): Promise<{ models: ModelInfo[]; unreadable: { folder: string; reason: string }[] }> {
    const names = new Set((await readdir(this.root).catch(() => [])).sort());
    const models: ModelInfo[] = [];
    const unreadable: { folder: string; reason: string }[] = [];
    for (const name of names.add(path.basename(this.first))) {
      const where = await this.find(name).catch(() => null);
      if (where === null || !(await holdsModel(where))) continue;
      try {
        models.push(await this.describe(where));
      } catch (error) {
        if (!(error instanceof InputError)) throw error;
        unreadable.push({ folder: name, reason: error.reason.replaceAll(this.root + path.sep, '') });
      }
    }
    return { models, unreadable };
  }

  private async describe(where: string): Promise<ModelInfo> {
    const mark = await changeMark(where);
    const known = this.known.get(where);
    if (known && known.mark === mark) return known.info;
    const info = await describeFolder(where);
    if (mark !== null) this.known.set(where, { mark, info });
    return info;
  }
}

/** Whether a path looks like a model: a folder with a config, or a packed file. */
async function holdsModel(where: string): Promise<boolean> {
  const found = await stat(where).catch(() => null);
  if (!found?.isDirectory()) return found !== null && where.endsWith('.attune');
  const names: string[] = await readdir(where).catch(() => []);
  return names.includes(MANIFEST) || names.includes('config.json');
}
