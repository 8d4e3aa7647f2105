import { dropout } from '../../engine/index.ts';
import type { Case } from './harness.ts';

export const elementwiseCases: Case[] = [1, 33, 1023, 1025].map((n) => ({
  op: 'dropout',
  name: `${n} elements`,
  inputs: { x: { shape: [n] } },
  run: ({ x }) => dropout(x, 0.25),
  tolerance: { abs: 1e-7, rel: 1e-6 },
}));
