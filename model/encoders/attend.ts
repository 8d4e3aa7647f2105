/** Attention of a block as its settings have it: rotary positions, a learned bias, softmax or pointwise. */
import { attention, relativeAttention, rotary, type Tensor } from '../../engine/index.ts';
import { readsTimes } from '../recipes/recipes.ts';
import type { Context } from './context.ts';

/**
 * From qkv [L, 3D] to [L, D].
 * @param pointwise silu in place of softmax, divided by this number (HSTU)
 */
export function attend(c: Context, i: number, qkv: Tensor, pointwise?: number): Tensor {
  const { tokens, settings, constants, causal, dropout } = c;
  const { heads, bias } = settings;
  const turned = constants.angles ? rotary(qkv, tokens.positions, constants.angles, heads) : qkv;
  c.watch?.(i, turned);
  if (c.cache) return c.cache.attend(i, turned);
  if (bias === 'none' && pointwise === undefined) return attention(turned, tokens, { heads, causal, dropout });
  const table = bias === 'none' ? null : c.p(`blocks.${i}.attention.bias`);
  return relativeAttention(turned, tokens, table, {
    heads,
    causal,
    dropout: pointwise === undefined ? dropout : 0,
    pointwise,
    position: bias === 'relative' || bias === 'both',
    times: readsTimes(settings) ? (tokens.times ?? tokens.positions) : null,
  });
}
