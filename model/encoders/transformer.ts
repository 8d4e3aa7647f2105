/** Transformer blocks, by where their norms are. */
import { concat, dropout } from '../../engine/index.ts';
import { attend } from './attend.ts';
import type { Block } from './context.ts';
import { feedForward } from './feed-forward.ts';

/** x = x + dropout(Attention(LN x)); x = x + dropout(FF(LN x)). */
export const preNorm: Block = (c, i, { x, n }, next) => {
  const b = `blocks.${i}`;
  const a = c.linear(attend(c, i, c.linear(n, `${b}.attention.qkv`)), `${b}.attention.out`);
  const between = c.add(x, a, `${b}.norm2`);
  return c.add(between.x, feedForward(c, i, between.n), next);
};

/** x = LN(x + dropout(Attention(x))); x = LN(x + dropout(FF(x))) (Vaswani et al. 2017; BERT4Rec, eq. 6). */
export const postNorm: Block = (c, i, { x }) => {
  const b = `blocks.${i}`;
  const a = c.linear(attend(c, i, c.linear(x, `${b}.attention.qkv`)), `${b}.attention.out`);
  const { n } = c.add(x, a, `${b}.norm1`);
  const out = c.add(n, feedForward(c, i, n), `${b}.norm2`);
  return { x: out.n, n: out.n };
};

/**
 * SASRec as its authors' code has it: queries are normalised, keys and values are not, and residuals start from the norms:
 * y = LN x + Attention(q: LN x, k and v: x); x = LN y + dropout(FF(LN y)), dropout inside of FF, too. No output matrix.
 */
export const queryNorm: Block = (c, i, { x, n }, next) => {
  const b = `blocks.${i}`;
  const qkv = concat([c.linear(n, `${b}.attention.query`), c.linear(x, `${b}.attention.keyvalue`)], -1);
  const between = c.add(n, attend(c, i, qkv), `${b}.norm2`, 0);
  const { activation } = c.settings;
  const up = c.linear(between.n, `${b}.ffn.up`, activation === 'swiglu' ? 'none' : activation);
  return c.add(between.n, c.linear(dropout(up, c.dropout), `${b}.ffn.down`), next);
};
