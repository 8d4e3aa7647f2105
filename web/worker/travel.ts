/** Import and export of models. */
import { copyModel, packModel } from '../../model/storage/pack.ts';
import { type ModelSource, openModel } from '../../recommend/sources/sources.ts';
import { modelFiles, newModel, removeModel, writing } from './library.ts';

/** Imports a model: a folder, its files, or one packed file. @returns its folder. @throws InputError */
export async function importFrom(source: ModelSource, name: string): Promise<string> {
  const from = await openModel(source);
  const files = await newModel(name);
  return writing(files.where, async () => {
    try {
      await copyModel(from, files);
    } catch (error) {
      await removeModel(files.where);
      throw error;
    }
    return files.where;
  });
}

/** A model in one file; with the checkpoint, its training can be continued. @throws InputError */
export async function packed(id: string, checkpoint: boolean): Promise<Blob> {
  return new Blob(await packModel(await modelFiles(id), { checkpoint }), { type: 'application/octet-stream' });
}
