/** The feed-forward part of a block: down(activation(up(n))), or down(silu(gate(n)) · up(n)) with swiglu. */
import { swiglu, type Tensor } from '../../engine/index.ts';
import type { Context } from './context.ts';

/** [L, D] → [L, D]; gate and up are one matrix product. */
export function feedForward(c: Context, i: number, n: Tensor): Tensor {
  const { activation } = c.settings;
  const [up, down] = [`blocks.${i}.ffn.up`, `blocks.${i}.ffn.down`];
  if (activation === 'swiglu') return c.linear(swiglu(c.linear(n, up)), down);
  return c.linear(c.linear(n, up, activation), down);
}
