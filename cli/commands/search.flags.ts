import { parseRange, type Range } from '../../train/search/search.ts';
import { command, type FlagsOf, on, parsed, required, text, withDefault } from '../flags/declare.ts';
import {
  data,
  device,
  filterFlags,
  json,
  leaveOneOutFlag,
  logFlags,
  PROTOCOL_HELP,
  progress,
  queue,
  set,
} from '../flags/shared.ts';
import { duration, integerFlag, numberFlag } from '../flags/values.ts';

const flags = {
  data: required(data('the log')),
  out: required(text('<dir>', 'folder of the search')),
  budget: required(duration('<time>', 'how long in all, over all its parts, as 2h, 90m or 300s')),
  items: text('<path>', 'titles and attributes of the items'),
  recipe: withDefault(text('<name>', 'what to train'), 'sasrec'),
  protocol: leaveOneOutFlag,
  trials: withDefault(integerFlag('<n>', 'trials that a round of halving starts with', 1), 9),
  epochs: withDefault(integerFlag('<n>', 'epochs that each of them trains for at first', 1), 2),
  ...filterFlags,
  minRating: numberFlag('<r>', 'count only rows with at least this rating (default: every row counts)'),
  ...logFlags,
  set: set('fix a setting of the recipe'),
  range: withDefault(
    parsed<ReadonlyMap<string, Range>>(
      '<key=range>',
      'search a setting over low..high or value,value,...; may be repeated',
      (given, previous) => new Map([...(previous ?? []), parseRange(given)]),
    ),
    new Map(),
    'those of the recipe',
  ),
  seed: withDefault(integerFlag('<n>', 'one seed, one search', 0), 1),
  queue: queue('share the trials among workers'),
  device,
  includeSeen: on('validation ranks items that the user had before, too'),
  progress,
  json,
};

export type SearchFlags = FlagsOf<typeof flags>;

export default command({
  name: 'search',
  summary: 'Try settings of a recipe, and say which are best',
  details:
    'Random search with successive halving: many trials train for a few epochs, the best third continues for three times as long, and so on; then others start. Each trial is a model folder in --out. The same command continues where it was stopped; a larger --budget continues a search that has ended. Settings given by --set stay fixed. With --queue every trial of a round is trained at once, by as many workers as there are.',
  example: 'search --data ratings.csv --out my-search --budget 2h',
  flags,
  notes: [PROTOCOL_HELP],
  run: async (flags) => (await import('./search.ts')).runSearch(flags),
});
