/** Every flag of an op crossed with every other: a seeded sample in `npm test`, all of them in `npm run test:full`. */
import { matmul, type MatmulOptions, rotary, rotaryAngles } from '../../../engine/index.ts';
import { attentionCase } from './attention.ts';
import { crossCase } from './cross-attention.ts';
import { crossEntropyCase, inShards } from './cross-entropy.ts';
import { relativeCase } from './encoder.ts';
import { addLayernormCase } from './norm.ts';
import { sampledCase } from './sampled.ts';
import type { Case } from '../harness.ts';

/** Every choice of one value for each name. */
function crossed<T extends Record<string, readonly unknown[]>>(choices: T): { [K in keyof T]: T[K][number] }[] {
  let all: Record<string, unknown>[] = [{}];
  for (const [name, values] of Object.entries(choices))
    all = all.flatMap((chosen) => values.map((value) => ({ ...chosen, [name]: value })));
  return all as { [K in keyof T]: T[K][number] }[];
}

const nameOf = (flags: Record<string, unknown>): string =>
  Object.entries(flags)
    .filter(([, value]) => value !== false && value !== undefined && value !== 0)
    .map(([name, value]) => (value === true ? name : `${name} ${value}`))
    .join(', ');

const on = [false, true] as const;

const matmuls: Case[] = crossed({
  size: ['8×12×20', '7×5×9'],
  lead: ['none', 'shared', 'batch'],
  transA: on,
  transB: on,
  bias: on,
  activation: ['none', 'relu', 'gelu', 'silu'],
  residual: on,
  dropout: [0, 0.25],
  precision: ['f32', 'mixed'],
} as const)
  // A shared b with transA has no gradient, which has a test of its own.
  .filter(({ lead, transA }) => !(lead === 'shared' && transA))
  .map(({ size, lead, transA, transB, bias, activation, residual, dropout, precision }): Case => {
    const [m, k, n] = size.split('×').map(Number);
    const head = lead === 'none' ? [] : [2];
    const headB = lead === 'batch' ? [2] : [];
    const options: MatmulOptions = { transA, transB, activation, ...(dropout > 0 && { dropout }) };
    return {
      op: 'matmul',
      name: `flags of ${nameOf({ size, lead, transA, transB, bias, activation, residual, dropout, precision })}`,
      inputs: {
        a: { shape: [...head, ...(transA ? [k, m] : [m, k])] },
        b: { shape: [...headB, ...(transB ? [n, k] : [k, n])] },
        ...(bias && { bias: { shape: [n] } }),
        ...(residual && { residual: { shape: [...head, m, n] } }),
      },
      run: (t) => matmul(t.a, t.b, { ...options, bias: t.bias, residual: t.residual }),
      // ReLU's slope jumps at 0: a value near it may fall on either side in f32.
      tolerance: precision === 'mixed' ? { abs: 3e-2, rel: 2e-2 } : { abs: 3e-5, rel: 1e-5 },
      ...(precision === 'mixed' && { precision }),
    };
  });

const attentions: Case[] = [
  ...crossed({ k: [4, 32, 64], heads: [1, 2], causal: on, dropout: [0, 0.3], tail: [0, 3] } as const).map(
    ({ k, heads, causal, dropout, tail }) =>
      attentionCase({
        name: `flags, dropout ${dropout}, tail ${tail}`,
        lengths: [3, 1, 6],
        tail,
        heads,
        k,
        causal,
        dropout,
      }),
  ),
  ...crossed({ k: [4, 32], heads: [1, 2], dropout: [0, 0.3], tail: [0, 2], only: [undefined, 'q', 'kv'] } as const).map(
    ({ k, heads, dropout, tail, only }) =>
      crossCase({
        name: `flags, dropout ${dropout}, tail ${tail}, gradient of ${only ?? 'both'}`,
        queries: [3, 0, 4],
        keys: [5, 2, 1],
        tail: [tail, tail],
        heads,
        k,
        dropout,
        only,
      }),
  ),
  ...crossed({
    pointwise: [undefined, 20],
    causal: on,
    position: on,
    time: on,
    dropout: [0, 0.3],
    heads: [1, 2],
  } as const).map((flags) =>
    relativeCase({ name: `flags, dropout ${flags.dropout}`, lengths: [4, 1, 7], tail: 2, k: 8, ...flags }),
  ),
  ...crossed({ parts: ['qkv', 'q', 'kv'], heads: [1, 3], k: [4, 8] } as const).map(
    ({ parts, heads, k }): Case => ({
      op: 'rotary',
      name: `flags of ${nameOf({ parts, heads, k })}`,
      inputs: {
        x: { shape: [5, parts.length * heads * k] },
        positions: { shape: [5], dtype: 'u32', value: (i) => i * 3 },
        angles: { shape: [20, k], grad: false, value: (i) => rotaryAngles(20, k)[i] },
      },
      run: ({ x, positions, angles }) => rotary(x, positions, angles, heads, parts),
    }),
  ),
];

const losses: Case[] = [
  ...crossed({
    v: [7, 150],
    labelSmoothing: [0, 0.2],
    blocks: ['one', 'rows', 'rows and columns'],
    shards: on,
  } as const)
    .filter(({ v, shards, blocks }) => v > 64 || !(shards || blocks === 'rows and columns'))
    .map(({ v, labelSmoothing, blocks, shards }) => {
      const options = {
        labelSmoothing,
        ...(blocks === 'rows' && { blockElements: 64 * 152 }),
        ...(blocks === 'rows and columns' && { blockElements: 64 * 1024, oneBlockWidth: 64 }),
      };
      const name = `flags of ${nameOf({ blocks, labelSmoothing })}`;
      const c = crossEntropyCase(name, [70, 4, v], options);
      return shards ? inShards(64, c, options) : c;
    }),
  ...crossed({
    kind: ['softmax', 'bce', 'bpr'],
    corrected: on,
    beta: [1, 0.4],
    n: [3, 8],
    group: [1, 3],
  } as const).map(({ kind, corrected, beta, n, group }) =>
    sampledCase(`flags of ${nameOf({ kind, corrected, beta })}`, [6, n, group], { kind, corrected, beta }),
  ),
  ...crossed({ d: [5, 8], dropout: [0, 0.4], parts: ['both', 'sum', 'norm'] } as const).map(({ d, dropout, parts }) =>
    addLayernormCase(`flags of ${nameOf({ d, dropout, parts })}`, 6, d, dropout, parts),
  ),
];

export const productCases: Case[] = [...matmuls, ...attentions, ...losses].map((c) => ({
  ...c,
  variants: undefined,
  sampled: true,
}));
