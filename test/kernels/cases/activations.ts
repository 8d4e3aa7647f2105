import { fill, gelu } from '../../../engine/index.ts';
import type { Case } from '../harness.ts';

export const activationCases: Case[] = [1, 33, 1023, 1025].map((n) => ({
  op: 'gelu',
  name: `${n} elements`,
  inputs: { x: { shape: [n] } },
  run: ({ x }) => gelu(x),
  tolerance: { abs: 2e-6, rel: 1e-5 },
}));
activationCases.push({
  op: 'gelu',
  name: 'extreme magnitudes',
  inputs: { x: { shape: [8], value: (i) => [-1e4, -50, -10, 0, 10, 50, 1e4, 1e-20][i] } },
  run: ({ x }) => gelu(x),
  gradients: false,
});

for (const n of [1, 33, 1025]) {
  activationCases.push({
    op: 'fill',
    name: `${n} elements`,
    inputs: {},
    run: (_, device) => {
      const x = device.empty([n], 'f32', 'x');
      fill(x, -1.5);
      return x;
    },
    gradients: false,
  });
}
activationCases.push({
  op: 'fill',
  name: '33 integers by 0',
  inputs: { old: { shape: [33], dtype: 'u32', value: (i) => i + 1 } },
  run: ({ old }) => {
    fill(old, 0);
    return old;
  },
  gradients: false,
});
