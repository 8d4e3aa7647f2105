import { attention, gelu } from '../../../engine/index.ts';
import type { Case } from '../harness.ts';

/** The kernels that attention and crossAttention share. */
export const ATTENTION_VARIANTS = {
  attention_fwd: ['attention_fwd_tile', 'attention_fwd_sg8', 'attention_fwd_sg4'],
  attention_bwd_dq: ['attention_bwd_dq_tile', 'attention_bwd_dq_sg8', 'attention_bwd_dq_panel', 'attention_bwd_dq_sg4'],
  attention_bwd_dkv: [
    'attention_bwd_dkv_tile',
    'attention_bwd_dkv_sg8',
    'attention_bwd_dkv_panel',
    'attention_bwd_dkv_sg4',
  ],
};

interface Spec {
  name: string;
  /** Tokens of the sequences, one after another, and of the unused tail. */
  lengths: number[];
  tail?: number;
  heads: number;
  k: number;
  causal: boolean;
  dropout?: number;
  /** Multiplies the normal numbers of qkv. */
  size?: number;
  /** The input is not a leaf, so that the first gradient overwrites; it is used twice, so that the second adds. */
  twice?: boolean;
  tolerance?: { abs: number; rel: number };
}

/** Where the sequence of each token starts and ends: sequences of these lengths, then tokens of none. */
export function spansOf(lengths: readonly number[], tail = 0): { start: number[]; end: number[] } {
  const start: number[] = [];
  const end: number[] = [];
  for (const n of lengths) {
    const at = start.length;
    for (let i = 0; i < n; i++) {
      start.push(at);
      end.push(at + n);
    }
  }
  for (let i = 0; i < tail; i++) {
    start.push(0);
    end.push(0);
  }
  return { start, end };
}

export function attentionCase({
  name,
  lengths,
  tail = 0,
  heads,
  k,
  causal,
  dropout,
  size = 1,
  twice,
  tolerance,
}: Spec): Case {
  const { start, end } = spansOf(lengths, tail);
  const l = start.length;
  return {
    op: 'attention',
    name: `${name}, H${heads} K${k}${causal ? ', causal' : ''}`,
    inputs: {
      qkv: { shape: [l, 3 * heads * k], value: (_, normal) => size * normal() },
      start: { shape: [l], dtype: 'u32', value: (i) => start[i] },
      end: { shape: [l], dtype: 'u32', value: (i) => end[i] },
    },
    run: ({ qkv, start, end }) => {
      if (!twice) return attention(qkv, { start, end }, { heads, causal, dropout });
      const x = gelu(qkv);
      return [
        attention(x, { start, end }, { heads, causal, dropout }),
        attention(x, { start, end }, { heads, causal: !causal, dropout }),
      ];
    },
    tolerance: tolerance ?? { abs: 1e-5, rel: 1e-4 },
    variants: ATTENTION_VARIANTS,
  };
}

const specs: Spec[] = [];
for (const causal of [true, false]) {
  specs.push(
    { name: 'one token', lengths: [1], heads: 1, k: 32, causal },
    { name: '33 tokens', lengths: [33], heads: 2, k: 32, causal },
    { name: '33 tokens', lengths: [33], heads: 1, k: 64, causal },
    { name: '20 tokens of a small width', lengths: [20], heads: 2, k: 4, causal },
    { name: 'sequences and a tail', lengths: [5, 1, 40, 17], tail: 9, heads: 2, k: 16, causal },
    { name: 'sequences and a tail', lengths: [5, 1, 40, 17], tail: 9, heads: 1, k: 64, causal },
    { name: 'sequences and a tail of whole tiles', lengths: [31, 2], tail: 90, heads: 2, k: 32, causal },
    { name: 'dropout 0.3', lengths: [7, 30], tail: 3, heads: 2, k: 32, causal, dropout: 0.3 },
    { name: 'dropout 0.3', lengths: [1, 2, 33], tail: 3, heads: 1, k: 64, causal, dropout: 0.3 },
    { name: 'dropout 0.3 of a small width', lengths: [7, 19], heads: 1, k: 12, causal, dropout: 0.3 },
    { name: 'used twice, not a leaf', lengths: [3, 9], tail: 2, heads: 1, k: 32, causal, twice: true },
    { name: 'only a tail', lengths: [], tail: 35, heads: 1, k: 32, causal },
    { name: 'no token', lengths: [], heads: 1, k: 32, causal },
    // Scores of ± 1e4: a difference of one rounding of the score (1e-3) shows in the weights.
    {
      name: 'scores of 1e4',
      lengths: [40, 7],
      tail: 3,
      heads: 1,
      k: 64,
      causal,
      size: 35,
      tolerance: { abs: 0.1, rel: 1e-2 },
    },
  );
}
for (const n of [7, 8, 9, 15, 16, 17, 31, 32, 63, 64, 65])
  specs.push({ name: `${n} tokens`, lengths: [n], heads: 1, k: 32, causal: true });
specs.push({ name: 'wide heads', lengths: [9, 26], tail: 3, heads: 1, k: 128, causal: true });
specs.push({ name: 'longer than a few tiles', lengths: [70, 200, 30], tail: 20, heads: 1, k: 32, causal: true });
specs.push({ name: 'longer than a few tiles', lengths: [150], tail: 20, heads: 1, k: 64, causal: false });

export const attentionCases: Case[] = specs.map(attentionCase);

const off = attentionCase({
  name: 'dropout 0.3, switched off by the state',
  lengths: [20],
  heads: 1,
  k: 32,
  causal: true,
  dropout: 0.3,
});
attentionCases.push({ ...off, state: new Uint32Array(16) });
