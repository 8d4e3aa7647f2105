import { choiceFlag, command, type FlagsOf, required, text, withDefault } from '../flags/declare.ts';
import { json, model, overwrite } from '../flags/shared.ts';

const flags = {
  model,
  out: required(text('<dir>', 'folder of the exported model')),
  format: withDefault(choiceFlag('<name>', 'what to write', ['onnx']), 'onnx'),
  overwrite: overwrite('the exported model in --out'),
  json,
};

export type ExportFlags = FlagsOf<typeof flags>;

export default command({
  name: 'export',
  summary: 'Write a model for other runtimes, as ONNX',
  details:
    'Writes model.onnx, which ONNX Runtime, Triton and others serve, and items.ids.json with the IDs of its rows. From rows of items, oldest first with -1 before a shorter history, it gives the scores of the catalog and the best k items: the encoder and the item transitions, as recommend blends them, without the ranker.',
  example: 'export --model my-model --out my-model-onnx',
  flags,
  run: async (flags) => (await import('./export.ts')).runExport(flags),
});
