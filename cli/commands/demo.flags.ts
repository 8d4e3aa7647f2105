import { command, type FlagsOf, withDefault } from '../flags/declare.ts';
import { runFlags } from '../flags/shared.ts';
import { integerFlag, numberFlag } from '../flags/values.ts';

const flags = {
  minutes: withDefault(numberFlag('<m>', 'time to train', { above: 0 }), 2.1),
  seed: withDefault(integerFlag('<n>', 'another seed, another shop', 0), 1),
  ...runFlags,
};

export type DemoFlags = FlagsOf<typeof flags>;

export default command({
  name: 'demo',
  summary: 'Train on the built-in demo shop and recommend for three of its shoppers',
  details: 'The model is saved in ./attune-demo, replacing that of an earlier demo.',
  example: 'demo --minutes 1',
  flags,
  run: async (flags) => (await import('./demo.ts')).runDemo(flags),
});
