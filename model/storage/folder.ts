/**
 * A model is a folder. Its parts, each under the name of its generation (model.safetensors is model-000003.safetensors, say;
 * manifest.ts), may be replaced one by one, and a kill at any moment leaves a folder that loads:
 *
 *   manifest.json           which files are current, their sizes and checksums
 *   items.json              row → ID, title, attributes, number of training events
 *   config.json             everything needed to rebuild the model, but no weights; replaced when a training ends and the
 *                           blend with the item transitions is fitted
 *   checkpoint.safetensors  weights `p/NAME`, moments `m/NAME` and `v/NAME`, all counters, and the weights' moving average
 *                           `a/NAME` where there is one
 *   memory.safetensors      written before step 1: the item transitions (transitions/transitions.ts), unless they are off
 *   users.safetensors       written at the end: the segment prior (transitions/segment-prior.ts), where user features are read
 *   model.safetensors       the best weights by validation, with their metrics
 *   ranker.safetensors      the ranker on top of them (ranker/store.ts), where one was trained
 *   predictions.safetensors of a rating model, see ratings/folder.ts
 *   training.bin            what it was trained on, as hashes (training-record.ts); never packed
 *
 * Two files have plain names: metrics.jsonl, to which each evaluation appends a line, and the model card README.md (card.ts).
 *
 * Until the first validation there is no model.safetensors; loading then takes the weights of the last checkpoint and
 * says so in `weights.note`. Until a blend is fitted the transformer scores alone. A blend fits any weights: a training
 * that continues keeps the last one until it ends.
 */
import { InputError, option } from '../../data/errors.ts';
import { CHECKPOINT, MODEL } from './checkpoint.ts';
import { CONFIG, configText, type Item, ITEMS, itemsText, type ModelConfig } from './config.ts';
import type { Files } from './files.ts';
import { commit, holdsGenerations, MANIFEST, type Part, PARTS, Snapshot } from './manifest.ts';

/** Of a model of ratings; see rating-folder.ts. */
export const PREDICTIONS = 'predictions.safetensors';

const METRICS = 'metrics.jsonl';

/** Files of a model folder that are not parts and have plain names. */
export const BESIDE = ['README.md', METRICS] as const;

/** Whether the folder holds a model made by Attune, whole or not. */
export async function holdsModel(files: Files): Promise<boolean> {
  if (holdsGenerations(await files.list()) || (await madeHere(files, MANIFEST))) return true;
  return (await madeHere(files, CONFIG)) || (await madeHere(files, ITEMS));
}

/** Whether the folder holds a model made by Attune that tells what it was made from. */
export async function holdsConfig(files: Files): Promise<boolean> {
  return (await holdsModel(files)) && (await (await Snapshot.open(files)).has(CONFIG));
}

/** Whether it has come to weights, or to predictions of ratings. A damaged manifest counts: something would be lost. */
export async function holdsWeights(files: Files): Promise<boolean> {
  if (!(await holdsModel(files))) return false;
  const snapshot = await Snapshot.open(files).catch(() => null);
  if (!snapshot) return true;
  const parts = await snapshot.parts();
  return parts.includes(CONFIG) && [CHECKPOINT, MODEL, PREDICTIONS].some((part) => parts.includes(part as Part));
}

/**
 * Refuses a folder that no new model may be written to.
 * @throws InputError when a model is there and `overwrite` is not set, or files that Attune did not write
 */
export async function refuseTaken(files: Files, options: { overwrite?: boolean }): Promise<void> {
  if (await holdsModel(files)) {
    if (options.overwrite || !(await holdsWeights(files))) return;
    throw new InputError('already-exists', `${files.where}: already holds a model`, {
      hint: `add ${option('resume')} to continue it, ${option('overwrite')} to replace it, or choose another folder`,
    });
  }
  const names = await files.list();
  const foreign = [MANIFEST, ...PARTS, ...BESIDE].filter((name) => names.includes(name));
  if (foreign.length > 0) {
    throw new InputError('already-exists', `${files.where}: holds ${foreign.join(', ')} that Attune did not write`, {
      hint: 'choose an empty or new folder',
    });
  }
}

/**
 * Writes what is fixed, before the first step. A model that is there is replaced by that, at once.
 * @throws InputError when a model is there and `overwrite` is not set, or files that Attune did not write
 */
export async function createFolder(
  files: Files,
  config: ModelConfig,
  items: readonly Item[],
  options: { overwrite?: boolean } = {},
): Promise<void> {
  await refuseTaken(files, options);
  if (config.data.items !== items.length) {
    throw new Error(`folder: the config counts ${config.data.items} items, ${items.length} were given`);
  }
  for (const name of BESIDE) await files.remove(name);
  await commit(files, { [ITEMS]: itemsText(items), [CONFIG]: configText(config) }, { fresh: true });
}

/** Adds a line to metrics.jsonl; `record` should name its `step`. */
export async function appendMetrics(files: Files, record: Record<string, unknown>): Promise<void> {
  await files.append(METRICS, `${JSON.stringify(record)}\n`);
}

/** The lines of metrics.jsonl; a torn last line is left out. */
export async function readMetrics(files: Files): Promise<Record<string, unknown>[]> {
  const bytes = await files.read(METRICS);
  const lines = new TextDecoder().decode(bytes?.subarray(0, bytes.lastIndexOf(0x0a) + 1)).split('\n');
  return lines.flatMap((line, index) => {
    if (line.trim() === '') return [];
    try {
      return [JSON.parse(line) as Record<string, unknown>];
    } catch {
      throw new InputError('damaged-model', `${files.where}/${METRICS}:${index + 1}: not a line of JSON`);
    }
  });
}

/** Drops the lines after `step`: a training that continues from a checkpoint writes them again. */
export async function trimMetrics(files: Files, step: number): Promise<void> {
  const records = await readMetrics(files);
  const kept = records.filter((record) => !(typeof record.step === 'number' && record.step > step));
  if (kept.length === records.length) return;
  await files.write(METRICS, kept.map((record) => `${JSON.stringify(record)}\n`).join(''));
}

async function madeHere(files: Files, name: string): Promise<boolean> {
  const bytes = await files.read(name);
  if (!bytes) return false;
  try {
    const value = JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown> | null;
    return typeof value?.formatVersion === 'number' && (name !== CONFIG || typeof value.attune === 'string');
  } catch {
    return false;
  }
}
