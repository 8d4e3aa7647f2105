/** LiGR (Borisyuk et al. 2025, «From features to transformers», eq. 1; eSASRec, Tikhonovich et al. 2025): gated residuals. */
import { mul, sigmoid } from '../../engine/index.ts';
import { attend } from './attend.ts';
import type { Block } from './context.ts';
import { feedForward } from './feed-forward.ts';

/** x = x + σ(x W₁) · dropout(Attention(LN x)); x = x + σ(x W₂) · dropout(FF(LN x)). */
export const ligr: Block = (c, i, { x, n }, next) => {
  const b = `blocks.${i}`;
  const a = c.linear(attend(c, i, c.linear(n, `${b}.attention.qkv`)), `${b}.attention.out`);
  const between = c.add(x, mul(sigmoid(c.linear(x, `${b}.gate1`)), a), `${b}.norm2`);
  const f = feedForward(c, i, between.n);
  return c.add(between.x, mul(sigmoid(c.linear(between.x, `${b}.gate2`)), f), next);
};
