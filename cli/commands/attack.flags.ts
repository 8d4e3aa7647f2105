import { FILLERS, PROFILE_KINDS } from '../../train/attack/profiles.ts';
import { choiceFlag, command, type FlagsOf, on, required, text, withDefault } from '../flags/declare.ts';
import {
  data,
  device,
  filterFlags,
  json,
  leaveOneOutFlag,
  logFlags,
  overwrite,
  progress,
  set,
} from '../flags/shared.ts';
import { integerFlag, numberFlag } from '../flags/values.ts';

const flags = {
  data: required(data('the log')),
  item: required(text('<id>', 'the item that the injected profiles push')),
  kind: withDefault(choiceFlag('<name>', 'what else is in the profiles (see below)', PROFILE_KINDS), 'average'),
  size: withDefault(
    numberFlag('<share>', 'injected profiles for each user of the log, one at least', { above: 0, max: 1 }),
    0.01,
  ),
  segment: text('<file>', 'IDs of the fillers of the kind segment, one on each line (default: near the item)'),
  guard: on('train on the attacked log with the guard, too (as --set guard=on)'),
  control: on('train on the clean log with the next seed, too: what chance alone changes'),
  out: text('<file>', 'write the log with the injected profiles, as CSV'),
  overwrite: overwrite('the file in --out'),
  items: text('<path>', 'titles and attributes of the items'),
  recipe: text('<name>', 'what to train (default: chosen by the size of the log)'),
  protocol: leaveOneOutFlag,
  epochs: integerFlag('<n>', 'of each training, at most', 1),
  maxMinutes: numberFlag(
    '<m>',
    'time in total, divided among the trainings (default: --epochs, or validation, ends them)',
    {
      above: 0,
    },
  ),
  ...filterFlags,
  minRating: numberFlag('<r>', 'count only rows with at least this rating (default: every row counts)'),
  ...logFlags,
  set: set('change a setting of the recipe'),
  seed: withDefault(integerFlag('<n>', 'of the profiles and of all trainings', 0), 1),
  includeSeen: on('lists hold items that the user had before, too'),
  device,
  progress,
  json,
};

export type AttackFlags = FlagsOf<typeof flags>;

export default command({
  name: 'attack',
  summary: 'Try out an attack: inject profiles that push an item, and see what becomes of the lists of honest users',
  details:
    'A model is trained on the log, and another one, with the same settings, on the log with injected profiles. For the transformer, the item transitions and their blend apart: how many users who lack the item now have it in their list of ten, its mean rank, what is left of the lists, and NDCG@10 of the honest users. Nothing is kept but what --out names.',
  example: 'attack --data ratings.csv --item 17 --kind bandwagon --guard --epochs 10',
  flags,
  notes: [
    `Kinds of profiles, each with the item once:\n${Object.entries(FILLERS)
      .map(([name, { help }]) => `  ${name.padEnd(12)}${help}`)
      .join('\n')}`,
  ],
  run: async (flags) => (await import('./attack.ts')).runAttack(flags),
});
