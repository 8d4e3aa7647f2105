/** A model folder into one file and back (the format: archive.ts). */
import { InputError } from '../../data/errors.ts';
import type { TableFormat } from '../../engine/index.ts';
import { archivePieces } from './archive.ts';
import type { Files } from './files.ts';
import { loadConfig } from './config.ts';
import { BESIDE, refuseTaken } from './folder.ts';
import { TRAINING } from './training-record.ts';
import { lighten } from './lighten.ts';
import { commit, MANIFEST, manifestOf, type Part, snapshotOf } from './manifest.ts';

const CHECKPOINT = 'checkpoint.safetensors';
const MODEL = 'model.safetensors';

export interface PackOptions {
  /**
   * Take the checkpoint, too, so that a training can continue from the packed model. It is three to four times as large as
   * the weights, and left out by default, but where there are no other weights yet.
   */
  checkpoint?: boolean;
  /** Store the weights in fewer bits (lighten.ts): the item table in this format, everything else in f16. Not with a checkpoint. */
  weights?: TableFormat;
}

/**
 * The packed model in pieces, to be written one after the other (a Blob takes them as they are).
 * @throws InputError when the folder is no model or has no weights yet, or, with `weights`, none that were validated
 */
export async function packModel(files: Files, options: PackOptions = {}): Promise<Uint8Array<ArrayBuffer>[]> {
  const snapshot = await snapshotOf(files);
  await loadConfig(snapshot); // says what is wrong with a folder that is no model
  const parts = await snapshot.parts();
  if (!parts.includes(MODEL) && !parts.includes(CHECKPOINT)) {
    throw new InputError(
      'unfinished-model',
      `${files.where}: holds no weights yet (training stopped before its first step)`,
      { hint: 'train it again' },
    );
  }
  if (options.weights && (options.checkpoint || !parts.includes(MODEL))) {
    throw new InputError(
      'unsupported',
      `${files.where}: a checkpoint is not compressed, since trainings continue from it`,
      {
        hint: options.checkpoint ? 'leave it out' : 'train until the first validation',
      },
    );
  }
  const contents = new Map<Part, Uint8Array>();
  for (const part of parts) {
    // What the model was trained on stays at home, as hashes, too.
    if (part === TRAINING || part === 'guard.json') continue;
    if (part === CHECKPOINT && !options.checkpoint && parts.includes(MODEL)) continue;
    const bytes = await snapshot.read(part);
    if (bytes)
      contents.set(part, options.weights ? lighten(part, bytes, options.weights, snapshot.pathOf(part)) : bytes);
  }
  const entries: { name: string; bytes: Uint8Array }[] = Array.from(contents, ([name, bytes]) => ({ name, bytes }));
  for (const name of BESIDE) {
    const bytes = await files.read(name);
    if (bytes) entries.push({ name, bytes });
  }
  entries.push({ name: MANIFEST, bytes: new TextEncoder().encode(manifestOf(contents)) });
  return archivePieces(entries) as Uint8Array<ArrayBuffer>[]; // never on shared memory
}

/**
 * Copies a model, packed or not, into a folder. What is there is replaced at once, at the end.
 * @throws InputError when a model is there and `overwrite` is not set, or files that Attune did not write
 */
export async function copyModel(from: Files, to: Files, options: { overwrite?: boolean } = {}): Promise<void> {
  const snapshot = await snapshotOf(from);
  await loadConfig(snapshot);
  await refuseTaken(to, options);
  for (const name of BESIDE) {
    const bytes = await from.read(name);
    await (bytes ? to.write(name, bytes) : to.remove(name));
  }
  const parts = (await snapshot.parts()).map((part) => [
    part,
    async () => (await snapshot.read(part)) ?? new Uint8Array(0),
  ]);
  await commit(to, Object.fromEntries(parts), { fresh: true });
}
