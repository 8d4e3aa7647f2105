import { command, type FlagsOf, on, required, text } from '../flags/declare.ts';
import { json, overwrite } from '../flags/shared.ts';

const flags = {
  model: required(text('<dir>', 'the model')),
  out: required(text('<file.attune>', 'the file to write')),
  checkpoint: on('include the checkpoint'),
  overwrite: overwrite('the file'),
  json,
};

export type PackFlags = FlagsOf<typeof flags>;

export default command({
  name: 'pack',
  summary: 'Put a model into one file',
  details:
    'The file NAME.attune holds the model folder: it opens wherever --model does, in a web page and, since it is a ZIP file, with any unzip. The checkpoint, which only a resumed training requires, is left out by default.',
  example: 'pack --model my-model --out my-model.attune',
  flags,
  run: async (flags) => (await import('./pack.ts')).runPack(flags),
});
