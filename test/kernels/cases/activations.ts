import { fill } from '../../../engine/index.ts';
import type { Case } from '../harness.ts';

export const activationCases: Case[] = [];
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
