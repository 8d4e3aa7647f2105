/** `attune export`: a model for other runtimes. */
import { InputError } from '../../data/errors.ts';
import { Device } from '../../engine/index.ts';
import { onnxModel } from '../../interop/onnx/export.ts';
import { SequenceModel } from '../../model/encoders/sequence-model.ts';
import { settingsOf } from '../../model/inference/ranking-model.ts';
import type { LoadedModel } from '../../model/storage/load-model.ts';
import { NodeFiles } from '../../recommend/sources/files.node.ts';
import { Output, versionOf } from '../common.ts';
import { openJudged } from '../evaluation.ts';
import { formatBytes, formatCount, printable } from '../output/ui.ts';
import type { ExportFlags } from './export.flags.ts';

const [MODEL, IDS] = ['model.onnx', 'items.ids.json'];

export async function runExport({ model, out: dir, overwrite, json }: ExportFlags): Promise<void> {
  const out = new Output(json);
  const { loaded } = await openJudged(model, out);
  const pieces = onnxModel(loaded, await itemTable(loaded), versionOf());
  const files = await NodeFiles.create(dir);
  const there = (await files.list()).filter((name) => name === MODEL || name === IDS);
  if (there.length > 0 && !overwrite) {
    throw new InputError('already-exists', `${dir}: already holds ${there.join(', ')}`, {
      hint: 'add --overwrite to replace them',
    });
  }
  await files.write(MODEL, pieces);
  await files.write(IDS, `${JSON.stringify(loaded.items.map(({ id }) => id))}\n`);
  if (loaded.ranker && loaded.ranker.stages.weight !== 0)
    out.warn('the ranker, a second stage, is not a part of the exported model: its lists are those of the first stage');
  const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
  const blended = loaded.blended !== null;
  out.object({ model, out: dir, files: [MODEL, IDS], bytes, items: loaded.items.length, blended });
  out.line(
    `${printable(dir)}/${MODEL}: ${formatBytes(bytes)}, ${formatCount(loaded.items.length)} items (rows as in ${IDS})${blended ? ', blended with the item transitions' : ''}`,
  );
}

/** E [V, D]: the stored one, or what a tower makes of the items' attributes. */
async function itemTable(loaded: LoadedModel): Promise<Float32Array> {
  const settings = settingsOf(loaded);
  if (settings.items === 'ids') return Float32Array.from(loaded.tensors.get('items.weight')?.data ?? []);
  const device = await Device.open({ backend: 'cpu' });
  const model = SequenceModel.load(device, settings, loaded.items.length, loaded.tensors, loaded.features, loaded.path);
  try {
    return await model.itemTable();
  } finally {
    model.dispose();
    device.close();
  }
}
