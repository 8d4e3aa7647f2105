import { adamwStatus, adamwStep, type Tensor } from '../../../engine/index.ts';
import { type Case, STATE } from '../harness.ts';

export const BETAS = { beta1: 0.9, beta2: 0.98 };
/** Two steps were taken before. */
export const STATUS = adamwStatus(BETAS, 2);

/** Its learning rate. */
export const RATE = STATE.slice();
new Float32Array(RATE.buffer)[2] = 0.01;

/** Tables alone move. */
const FROZEN = RATE.slice();
FROZEN[6] = 1;

/** One step, the third, from given moments. */
function step(name: string, n: number, decayEnd: number, clip: number, first?: number, state = RATE): Case {
  const flat = { shape: [n], grad: false } as const;
  return {
    op: 'adamw',
    name,
    inputs: {
      params: flat,
      grads: { ...flat, value: (i, normal) => (i === 0 && first !== undefined ? first : normal()) },
      m: flat,
      v: { ...flat, value: (_, normal) => normal() ** 2 },
      average: flat,
      loss: { shape: [1], grad: false, value: () => 1.25 },
      losses: { shape: [4], grad: false, value: () => 0 },
      status: { shape: [STATUS.length], dtype: 'u32', value: (i) => STATUS[i] },
    },
    state,
    run: ({ params, grads, m, v, average, loss, losses, status }) => {
      const [tableEnd, embeddingEnd] = [decayEnd + Math.floor(n / 4), decayEnd + Math.floor(n / 3)];
      const shard = { params, grads, m, v, average, decayEnd, tableEnd, embeddingEnd };
      adamwStep(
        { shards: [shard] },
        {
          ...BETAS,
          eps: 1e-8,
          weightDecay: 0.1,
          embeddingDecay: 0.7,
          tableRate: 3,
          averageDecay: 0.9,
          clip,
          loss,
          losses,
          status,
        },
      );
      const copies: Tensor[] = [params, grads, m, v, average, losses, status];
      return copies;
    },
    variants: { grad_norm: ['grad_norm_sg8', 'grad_norm'] },
    gradients: false,
    // The status words are bits of numbers: one unit in the last place is one, a relative 1e-9.
    tolerance: { abs: 1e-6, rel: 1e-5 },
  };
}

export const adamwCases: Case[] = [
  step('1 element', 1, 1, 1),
  step('33 elements, part of them decay', 33, 10, 0.5),
  step('4097 elements', 4097, 4096, 0),
  step('several workgroups of the norm, several rounds', 20_001, 64, 1),
  step('tables alone', 33, 10, 1, undefined, FROZEN),
  // Its norm's bits are infinity's, whatever the order of the sum.
  step('a gradient that is infinite', 40, 8, 1, Number.POSITIVE_INFINITY),
];
