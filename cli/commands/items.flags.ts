import { InvalidArgumentError } from 'commander';
import { command, type FlagsOf, required, text } from '../flags/declare.ts';
import { json, vectors } from '../flags/shared.ts';

const flags = {
  model: required(text('<dir>', 'folder of the model')),
  items: required(text('<path>', 'the new items: CSV or TSV with a header, or movies.dat')),
  vectors,
  json,
};

export type ItemsFlags = FlagsOf<typeof flags>;

export default command({
  name: 'items',
  summary: 'Add new items to a trained model, without training',
  details:
    'The model must read attributes (--set items=tower, or ratings with --items): new items are recommended by these, read by the schema of its training. Items that it knows stay as they are; values that it has never seen count as unknown, and are counted.',
  example: 'items add --model my-model --items new.csv',
  args: [
    {
      name: 'add',
      help: 'what to do: add',
      parse(action) {
        if (action !== 'add') throw new InvalidArgumentError('expected add.');
        return action;
      },
    },
  ],
  flags,
  run: async (flags) => (await import('./items.ts')).runItemsAdd(flags),
});
