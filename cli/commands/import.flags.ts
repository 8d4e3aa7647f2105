import { command, type FlagsOf, required, text } from '../flags/declare.ts';
import { json, overwrite, set } from '../flags/shared.ts';

const flags = {
  from: required(text('<file.safetensors>', 'the parameters of the model')),
  out: required(text('<dir>', 'folder of the model')),
  ids: text('<file>', 'IDs of the items, one on each line, from row 1 on (default: the numbers of the rows)'),
  set: set('what the file does not say: heads (RecBole 2, SASRec.pytorch 1) and activation (gelu, relu)'),
  overwrite: overwrite('the model in --out'),
  json,
};

export type ImportFlags = FlagsOf<typeof flags>;

export default command({
  name: 'import',
  summary: 'Make a model of a SASRec that another library has trained',
  details:
    'Reads the parameters of SASRec by the names that RecBole or SASRec.pytorch (pmixer) give them, from a safetensors file, and writes a model folder that gives the same scores. Row 0 of the items is padding there and no item.',
  example: 'import --from sasrec.safetensors --ids items.txt --out my-model',
  flags,
  run: async (flags) => (await import('./import.ts')).runImport(flags),
});
