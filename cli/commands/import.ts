/** `attune import`: a model of another library as a model folder. */
import { readFile } from 'node:fs/promises';
import { importSasrec, saveImported } from '../../interop/sasrec/import.ts';
import { decodeModel } from '../../model/storage/safetensors.ts';
import { NodeFiles } from '../../recommend/sources/files.node.ts';
import { lockFolder } from '../../recommend/sources/lock.node.ts';
import { commandName, Output, shellWord, versionOf } from '../common.ts';
import { fileSize, readIds } from '../input/data.ts';
import { formatCount, printable } from '../output/ui.ts';
import type { ImportFlags } from './import.flags.ts';

export async function runImport({ from, out: dir, ids: file, set, overwrite, json }: ImportFlags): Promise<void> {
  const out = new Output(json);
  await fileSize(from);
  const { tensors } = decodeModel(new Uint8Array(await readFile(from)), from);
  const model = importSasrec(tensors, from, set);
  const ids = file === undefined ? undefined : [...(await readIds(file))];
  const files = await NodeFiles.create(dir);
  const lock = await lockFolder(dir);
  try {
    await saveImported(files, model, { ids, source: from, version: versionOf(), overwrite });
  } finally {
    await lock.release();
  }
  const { library, notes, settings } = model;
  const { d, blocks, heads, window, activation } = settings;
  const items = model.tensors.get('items.weight')?.shape[0] ?? 0;
  out.line(
    `${printable(dir)}: a SASRec of ${library}, ${formatCount(items)} items, d ${d}, ${blocks} blocks, ${heads} heads, ${activation}, windows of ${window}. Next:\n  ${commandName()} recommend --model ${shellWord(dir)} --history ID,ID`,
  );
  for (const note of notes) out.note(`${library}: ${note}`);
  out.object({ model: dir, library, items, settings: { d, blocks, heads, window, activation }, notes });
}
