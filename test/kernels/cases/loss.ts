import { bceWithLogits } from '../../../engine/index.ts';
import type { Case } from '../harness.ts';

const EXTREME = [-1e4, -90, -20, 0, 20, 90, 1e4, 1e-20];

export const lossCases: Case[] = [1, 33, 1025, 9001].map((n) => ({
  op: 'bce-with-logits',
  name: `${n} elements`,
  inputs: {
    logits: { shape: [n], value: (_, normal) => 3 * normal() },
    targets: { shape: [n], grad: false, value: (i) => [0, 1, 0.25][i % 3] },
    weights: { shape: [n], grad: false, value: (i) => [1, 0, 0.5, 2][(i + 1) % 4] },
  },
  run: (t) => bceWithLogits(t.logits, t.targets, t.weights),
  tolerance: { abs: 2e-6, rel: 1e-5 },
}));
lossCases.push({
  op: 'bce-with-logits',
  name: 'extreme magnitudes',
  inputs: {
    logits: { shape: [8], value: (i) => EXTREME[i] },
    targets: { shape: [8], grad: false, value: (i) => i % 2 },
    weights: { shape: [8], grad: false, value: () => 1 },
  },
  run: (t) => bceWithLogits(t.logits, t.targets, t.weights),
  gradients: false,
});
lossCases.push({
  op: 'bce-with-logits',
  name: 'the mean, without weights',
  inputs: { logits: { shape: [5, 7] }, targets: { shape: [5, 7], grad: false, value: (i) => i % 2 } },
  run: (t) => bceWithLogits(t.logits, t.targets),
  tolerance: { abs: 2e-6, rel: 1e-5 },
});
