import { command, type FlagsOf } from '../flags/declare.ts';
import { json } from '../flags/shared.ts';

const flags = { json };

export type TuneFlags = FlagsOf<typeof flags>;

export default command({
  name: 'tune',
  summary: 'Find the fastest kernels for this adapter, once',
  details:
    'Times the variants and tile sizes of kernels at the shapes of a training step and stores the fastest in the cache folder ($XDG_CACHE_HOME or ~/.cache). Later commands use them; with ATTUNE_TUNE=off in the environment they do not.',
  example: 'tune',
  flags,
  run: async (flags) => (await import('./tune.ts')).runTune(flags),
});
