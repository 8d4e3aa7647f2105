import { command, type FlagsOf, on, text, withDefault } from '../flags/declare.ts';
import { decodeFlags } from '../flags/decoding.ts';
import { about, data, device, json, logFlags, model } from '../flags/shared.ts';
import { integerFlag } from '../flags/values.ts';

const flags = {
  model,
  history: text('<id,id,...>', 'item IDs, oldest first; an ID with a comma is in double quotes'),
  user: text('<id>', 'the user of --data whose history is continued'),
  data: data('the log that --user is in'),
  users: text('<path>', 'columns of the users, for --user and models that read them'),
  about,
  steps: withDefault(integerFlag('<n>', 'how many items', 1), 10),
  exclude: text('<id,id,...>', 'item IDs never to continue with'),
  includeSeen: on('items of the history may occur, too (default: they are excluded)'),
  ...logFlags,
  ...decodeFlags,
  device,
  json,
};

export type GenerateFlags = FlagsOf<typeof flags>;

export default command({
  name: 'generate',
  summary: 'Continue a history by several items, one after another',
  details:
    'Each item is predicted from the history and the items before it; none occurs twice, and none of the history. A recipe with a decoder (encoder-decoder) continues by as many items as it was trained for (10), an encoder alone by repeating itself, up to its window. The item transitions join each step where recommend blends them in, too.',
  example: 'generate --model my-model --history 1193,661,914 --steps 5 --decode beam',
  flags,
  run: async (flags) => (await import('./generate.ts')).runGenerate(flags),
});
