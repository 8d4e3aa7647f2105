import { command, type FlagsOf, on, required, withDefault } from '../flags/declare.ts';
import { data, logFlags, model, modelsProtocol, PROTOCOL_HELP, runFlags, split, users } from '../flags/shared.ts';
import { integerFlag } from '../flags/values.ts';

const flags = {
  model,
  data: required(data('the log')),
  users,
  split: split('the histories: all but the last interaction (test) or all but two (valid)'),
  protocol: modelsProtocol("the model's own"),
  includeSeen: on('recommend items that the user had before, too (default: they are excluded)'),
  sample: withDefault(integerFlag('<n>', 'users to draw', 1), 50),
  seed: withDefault(integerFlag('<n>', 'of the sample', 0), 1),
  ...logFlags,
  ...runFlags,
};

export type ExplainFlags = FlagsOf<typeof flags>;

export default command({
  name: 'explain',
  summary: 'Compare two ways of explaining a model, on a sample of users',
  details:
    'For each user the best recommendation is explained twice: by occlusion (each event is left out in turn: what the score depends on, exactly) and by attention roll-out with the terms of the item transitions (one pass: where the model looked). Printed is how well they agree, with two simple baselines. attune recommend --explain explains one list.',
  example: 'explain --model my-model --data ratings.csv --sample 50',
  flags,
  notes: [PROTOCOL_HELP],
  run: async (flags) => (await import('./explain.ts')).runExplain(flags),
});
