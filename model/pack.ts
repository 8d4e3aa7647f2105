/** A model folder into one file and back (the format: archive.ts). */
import { InputError } from '../data/errors.ts';
import { archivePieces } from './archive.ts';
import type { Files } from './files.ts';
import { clearFolder, FOLDER_FILES, loadConfig } from './folder.ts';
import { TRAINING } from './training-record.ts';

const [CONFIG] = FOLDER_FILES;
const CHECKPOINT = 'checkpoint.safetensors';
const MODEL = 'model.safetensors';

export interface PackOptions {
  /**
   * Take the checkpoint, too, so that a training can go on from the packed model. It is three to four times as large as
   * the weights, and left out by default, but where there are no other weights yet.
   */
  checkpoint?: boolean;
}

/**
 * The packed model in pieces, to be written one after the other (a Blob takes them as they are).
 * @throws InputError when the folder is no model or has no weights yet
 */
export async function packModel(files: Files, options: PackOptions = {}): Promise<Uint8Array<ArrayBuffer>[]> {
  await loadConfig(files); // says what is wrong with a folder that is no model
  const there = await files.list();
  const names = FOLDER_FILES.filter((name) => there.includes(name));
  if (!names.includes(MODEL) && !names.includes(CHECKPOINT)) {
    throw new InputError(
      `${files.where}: holds no weights yet (training stopped before its first step); train it again`,
    );
  }
  // What the model was trained on stays at home, as hashes, too.
  const travels = names.filter((name) => name !== TRAINING);
  const taken = travels.filter((name) => name !== CHECKPOINT || options.checkpoint || !names.includes(MODEL));
  const contents: { name: string; bytes: Uint8Array }[] = [];
  for (const name of taken) contents.push({ name, bytes: (await files.read(name)) ?? new Uint8Array(0) });
  return archivePieces(contents) as Uint8Array<ArrayBuffer>[]; // never on shared memory
}

/**
 * Copies a model, packed or not, into a folder. config.json goes last: a kill leaves a folder that is known to be ours.
 * @throws InputError when a model stands there and `overwrite` is not set, or files that Attune did not write
 */
export async function copyModel(from: Files, to: Files, options: { overwrite?: boolean } = {}): Promise<void> {
  await loadConfig(from);
  await clearFolder(to, options);
  const names = (await from.list()).filter((name) => FOLDER_FILES.includes(name) && name !== CONFIG);
  for (const name of [...names, CONFIG]) {
    const bytes = await from.read(name);
    if (bytes) await to.write(name, bytes);
  }
}
