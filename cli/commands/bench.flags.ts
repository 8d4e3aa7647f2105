import { command, type FlagsOf, on, text } from '../flags/declare.ts';
import { device, json } from '../flags/shared.ts';

const flags = {
  case: text('<name>', 'only the cases with this in their name (default: all)'),
  recipe: text('<name>', 'with step and compile: the recipe whose training step it is (default: sasrec)'),
  profile: on('with step: GPU time by kernel and its share of the roofline, where there are timestamps'),
  device,
  json,
};

export type BenchFlags = FlagsOf<typeof flags>;

export default command({
  name: 'bench',
  summary: 'Measure this machine',
  details:
    'Case step: tokens per second and the cost of a dispatch in a training step on the demo shop. Case compile, which runs alone: the kernels of a first training step on an empty cache of shaders (that of Mesa; other drivers keep theirs). Case generate: the cost of an item of a continuation, the first and the tenth. The others: one kernel each, against the CPU reference in the same run, and as a share of the roofline: the time that its arithmetic or its memory traffic takes at the rates of a multiply-add and a copy kernel, measured before and after.',
  example: 'bench --case step --profile',
  flags,
  run: async (flags) => (await import('./bench.ts')).runBench(flags),
});
