import { command, type FlagsOf, required, text } from '../flags/declare.ts';
import { json, overwrite } from '../flags/shared.ts';

const flags = {
  model: required(text('<file.attune>', 'the packed model')),
  out: required(text('<dir>', 'the folder to write')),
  overwrite: overwrite('the model in that folder'),
  json,
};

export type UnpackFlags = FlagsOf<typeof flags>;

export default command({
  name: 'unpack',
  summary: 'Turn a packed model into a folder',
  details: 'The inverse of attune pack.',
  example: 'unpack --model my-model.attune --out my-model',
  flags,
  run: async (flags) => (await import('./pack.ts')).runUnpack(flags),
});
