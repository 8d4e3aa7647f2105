import { command, type FlagsOf, on, required, withDefault } from '../flags/declare.ts';
import { data, logFlags, modelsProtocol, PROTOCOL_HELP, requestTime, runFlags, split, users } from '../flags/shared.ts';
import { integerFlag } from '../flags/values.ts';

const flags = {
  data: required(data('the log')),
  users,
  split: split('the targets: those of the test or of the validation'),
  protocol: modelsProtocol("the models' own"),
  requestTime,
  includeSeen: on('rank items that the user had before, too (default: as the models were validated)'),
  sharedItems: on(
    'of models of different catalogs: rank the items that both know, for users whose target is the same event for both',
  ),
  seed: withDefault(integerFlag('<n>', 'of the resampling', 0), 1),
  ...logFlags,
  ...runFlags,
};

export type CompareFlags = FlagsOf<typeof flags>;

export default command({
  name: 'compare',
  summary: 'Compare two recommenders on the same users, with a paired test',
  details:
    'A and B are model folders, or one of them a baseline by name: popularity, markov, windowed-markov, ease, blend. Both rank the same targets among the same candidates; models of different catalogs, filters, protocols or seen settings are refused. The difference B - A comes with a bootstrap interval and the p-value of a paired randomization test.',
  example: 'compare my-model other-model --data ratings.csv',
  args: [
    { name: 'A', help: 'model, packed or not, or baseline' },
    { name: 'B', help: 'model, packed or not, or baseline' },
  ],
  flags,
  notes: [PROTOCOL_HELP],
  run: async (flags, { args: [a, b] }) => (await import('./compare.ts')).runCompare([a, b], flags),
});
