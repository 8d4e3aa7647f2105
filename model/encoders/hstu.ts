/** HSTU (Zhai et al. 2024, «Actions speak louder than words», eq. 1 to 3): pointwise attention, gated, no feed-forward. */
import { dropout, mul } from '../../engine/index.ts';
import { attend } from './attend.ts';
import type { Block } from './context.ts';

/**
 * U, Q, K, V = silu(LN x · W); A = Σ_j silu(q·k_j + bias) v_j / T; x = x + dropout(U · LN(A)) W₂. T is the window, as the
 * authors' code divides by the padded length.
 */
export const hstu: Block = (c, i, { x, n }, next) => {
  const b = `blocks.${i}`;
  const qkv = c.linear(n, `${b}.attention.qkv`, 'silu');
  const u = c.linear(n, `${b}.gate`, 'silu');
  const a = c.norm(attend(c, i, qkv, c.settings.window), `${b}.norm2`);
  const out = c.linear(dropout(mul(u, a), c.dropout), `${b}.attention.out`);
  return c.add(x, out, next, 0);
};
