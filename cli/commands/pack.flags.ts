import { choiceFlag, command, type FlagsOf, on, required, text } from '../flags/declare.ts';
import { TABLE_FORMATS, type TableFormat } from '../../engine/packed.ts';
import { data, device, json, logFlags, overwrite, progress, split, users } from '../flags/shared.ts';

const flags = {
  model: required(text('<dir>', 'the model')),
  out: required(text('<file.attune>', 'the file to write')),
  checkpoint: on('include the checkpoint'),
  weights: choiceFlag<TableFormat>(
    '<format>',
    'for a smaller download: the item table in this format, all other weights in f16',
    Object.keys(TABLE_FORMATS) as TableFormat[],
  ),
  data: data(
    'with --weights: the log that the loss is measured on (default: that of the training, where it can be read)',
  ),
  users,
  split: split(
    "with --weights: the targets that the loss is measured on, each user's last interaction or the one before it",
  ),
  ...logFlags,
  overwrite: overwrite('the file'),
  device,
  progress,
  json,
};

export type PackFlags = FlagsOf<typeof flags>;

export default command({
  name: 'pack',
  summary: 'Put a model into one file',
  details:
    'The file NAME.attune holds the model folder: it opens wherever --model does, in a web page and, since it is a ZIP file, with any unzip. The checkpoint, which only a resumed training requires, is left out by default. --weights says what it saves and costs: bytes before and after, and the change of NDCG@10 on the same users (at most 5,000 of them) with its standard error.',
  example: 'pack --model my-model --out my-model.attune --weights int8',
  flags,
  run: async (flags) => (await import('./pack.ts')).runPack(flags),
});
