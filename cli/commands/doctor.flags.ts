import { command, type FlagsOf } from '../flags/declare.ts';
import { json } from '../flags/shared.ts';

const flags = { json };

export type DoctorFlags = FlagsOf<typeof flags>;

export default command({
  name: 'doctor',
  summary: 'Say what this machine computes with, and what is missing',
  details:
    'Prints the adapter, its features and limits, the kernel variants that run on it, and for what is missing the command that fixes it.',
  example: 'doctor',
  flags,
  run: async (flags) => (await import('./doctor.ts')).runDoctor(flags),
});
