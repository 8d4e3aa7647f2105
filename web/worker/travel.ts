/** Import and export of models. */
import { copyModel, packModel } from '../../model/storage/pack.ts';
import { type ModelSource, openModel as openFiles } from '../../recommend/sources/sources.ts';
import { deleteModel, newModel, openModel } from './library.ts';

/** Imports a model: a folder, its files, or one packed file. @returns its folder. @throws InputError */
export async function importModel(source: ModelSource, name: string): Promise<string> {
  const from = await openFiles(source);
  const files = await newModel(name);
  try {
    await copyModel(from, files);
  } catch (error) {
    await deleteModel(files.where);
    throw error;
  }
  return files.where;
}

/** A model in one file; with the checkpoint, its training can be continued. @throws InputError */
export async function exportModel(id: string, checkpoint: boolean): Promise<Blob> {
  return new Blob(await packModel(await openModel(id), { checkpoint }), { type: 'application/octet-stream' });
}
