/** The feed-forward part of a block: down(activation(up(n))), or down(silu(gate(n)) · up(n)) with swiglu. */
import { swiglu, type Tensor } from '../../engine/index.ts';
import type { Context } from './context.ts';

/** [L, D] → [L, D]; gate and up are one matrix product. @param stack `blocks`, or `decoder` */
export function feedForward(c: Context, i: number, n: Tensor, stack = 'blocks'): Tensor {
  const { activation } = c.settings;
  const [up, down] = [`${stack}.${i}.ffn.up`, `${stack}.${i}.ffn.down`];
  if (activation === 'swiglu') return c.linear(swiglu(c.linear(n, up)), down);
  return c.linear(c.linear(n, up, activation), down);
}
