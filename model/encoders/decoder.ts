/** The decoder's block (Vaswani et al. 2017, §3.1, with norms before each part): causal over what is continued, then over the history. */
import type { Tensor } from '../../engine/index.ts';
import { attend } from './attend.ts';
import type { Context, Stream } from './context.ts';
import { feedForward } from './feed-forward.ts';

/** Attention of queries [L, D] of block i to the encoder's states: [L, D]. */
export type Cross = (i: number, query: Tensor) => Tensor;

/**
 * x = x + dropout(SelfAttention(LN x)); x = x + dropout(CrossAttention(LN x, history)); x = x + dropout(FF(LN x)).
 * @param next name of the norm that the next part reads
 */
export function decoderBlock(c: Context, i: number, { x, n }: Stream, next: string, cross: Cross): Stream {
  const b = `decoder.${i}`;
  const own = c.linear(attend(c, i, c.linear(n, `${b}.attention.qkv`)), `${b}.attention.out`);
  const first = c.add(x, own, `${b}.norm2`);
  const read = c.linear(cross(i, c.linear(first.n, `${b}.cross.query`)), `${b}.cross.out`);
  const second = c.add(first.x, read, `${b}.norm3`);
  return c.add(second.x, feedForward(c, i, second.n, 'decoder'), next);
}
