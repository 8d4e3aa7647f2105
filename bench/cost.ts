/** FLOP of the dispatches whose arithmetic counts, from what the engine records of them. */
import type { Batch } from '../data/batching/batch.ts';
import type { Params } from '../engine/index.ts';

/** Products of head vectors for each attended pair: Q Kᵀ and P V forward; the backward kernels compute Q Kᵀ again. */
const ATTENTION_PRODUCTS: Record<string, number> = { attention_fwd: 2, attention_bwd_dq: 3, attention_bwd_dkv: 4 };

/** Pairs (token, earlier token or itself) of a packed batch. */
export function attendedPairs({ start, tokens }: Pick<Batch, 'start' | 'tokens'>): number {
  let pairs = 0;
  for (let i = 0; i < tokens; i++) pairs += i - start[i] + 1;
  return pairs;
}

/** For `Program.profile`: matrix products and causal attention over so many pairs; other kernels are bound by memory. */
export function flopCounter(pairs: number): (kernel: string, params: Params) => number {
  return (kernel, p) => {
    if (kernel === 'matmul') return 2 * p.m * p.n * p.k * p.batch;
    return 2 * (ATTENTION_PRODUCTS[kernel] ?? 0) * pairs * p.heads * p.k || 0;
  };
}
