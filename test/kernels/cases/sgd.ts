import { adamwStatus, sgdStep, type Tensor } from '../../../engine/index.ts';
import type { Case } from '../harness.ts';
import { RATE } from './adamw.ts';

const STATUS = adamwStatus({ beta1: 0, beta2: 0 }, 2);

/** One step from a given momentum. */
function step(name: string, n: number, momentum: number, nesterov: boolean, clip: number): Case {
  const flat = { shape: [n], grad: false } as const;
  return {
    op: 'sgd',
    name,
    inputs: {
      params: flat,
      grads: flat,
      m: flat,
      average: flat,
      loss: { shape: [1], grad: false, value: () => 1.25 },
      losses: { shape: [4], grad: false, value: () => 0 },
      status: { shape: [STATUS.length], dtype: 'u32', value: (i) => STATUS[i] },
    },
    state: RATE,
    run: ({ params, grads, m, average, loss, losses, status }) => {
      const shard = { params, grads, m, average, decayEnd: Math.floor(n / 2) };
      const rest = { weightDecay: 0.1, averageDecay: 0.9, clip, loss, losses, status };
      sgdStep({ shards: [shard] }, { momentum, nesterov, ...rest });
      const copies: Tensor[] = [params, grads, m, average, losses, status];
      return copies;
    },
    gradients: false,
    tolerance: { abs: 1e-6, rel: 1e-5 },
  };
}

export const sgdCases: Case[] = [
  step('1 element, plain', 1, 0, false, 0),
  step('33 elements, momentum, clipped', 33, 0.9, false, 0.5),
  step('4097 elements, Nesterov', 4097, 0.9, true, 0),
];
