/** Self-attention as the settings have it: rotary positions, a learned bias, softmax or pointwise. */
import { attention, biasWidth, relativeAttention, rotary, type Shape, type Tensor } from '../../../engine/index.ts';
import type { Parameter } from '../../nn/index.ts';
import { readsTimes } from '../../recipes/derived.ts';
import type { Settings } from '../../recipes/settings.ts';
import type { Context } from '../context.ts';

const byPosition = ({ bias }: Settings): boolean => bias === 'relative' || bias === 'both';

/** Shape of the bias table, a column for each bucket of distances; null where there is none. */
export function biasShape(s: Settings): Shape | null {
  if (s.bias === 'none') return null;
  return [s.heads, biasWidth({ causal: s.direction === 'causal', position: byPosition(s), time: readsTimes(s) })];
}

/**
 * From qkv [L, 3D] of block i to [L, D].
 * @param pointwise silu in place of softmax, divided by this number (HSTU)
 */
export function selfAttend(c: Context, i: number, qkv: Tensor, bias: Parameter | null, pointwise?: number): Tensor {
  const { tokens, settings, constants, causal, dropout } = c;
  const { heads } = settings;
  const rotated = constants.angles ? rotary(qkv, tokens.positions, constants.angles, heads) : qkv;
  c.watch?.(i, rotated);
  if (c.cache) return c.cache.attend(i, rotated);
  if (!bias && pointwise === undefined) return attention(rotated, tokens, { heads, causal, dropout });
  return relativeAttention(rotated, tokens, bias?.tensor ?? null, {
    heads,
    causal,
    dropout: pointwise === undefined ? dropout : 0,
    pointwise,
    position: byPosition(settings),
    times: readsTimes(settings) ? (tokens.times ?? tokens.positions) : null,
    queryTimes: tokens.queryTimes,
  });
}
