/** From tokens to the residual stream: embeddings, positions, the mask of the cloze task. */
import { add, dropout, embedding, embeddingSum, scale, sparseMatmul, type Tensor } from '../../engine/index.ts';
import { SIDE } from './parameters.ts';
import { isCloze } from '../recipes/recipes.ts';
import type { Context, Stream } from './context.ts';

/**
 * x = dropout(E[item] (· √D) + P[position]), with the mask's own embedding where a token is masked, and the first norm.
 * What is known of the user and of the events is added before the dropout: Σ weights · A[rows] (data/features/side-features.ts). After it
 * where norms come after: x = dropout(LN(…)), as in BERT.
 * @param table the learned positions
 */
export function input(c: Context, first: string, table = 'positions.weight'): Stream {
  const { settings, tokens, training } = c;
  const post = settings.norm === 'post';
  const masked = isCloze(settings);
  const places = settings.positions === 'learned' ? c.p(table) : c.constants.sinusoids;
  const { side } = tokens;
  const simple = places && settings.embedding === 'plain';
  let x: Tensor;
  if (simple) {
    const rate = post || masked || side ? 0 : c.dropout;
    x = embeddingSum(
      c.items,
      tokens.items,
      training?.itemGroups,
      places,
      tokens.positions,
      training?.positionGroups,
      rate,
    );
  } else {
    x = embedding(c.items, tokens.items, training?.itemGroups);
    if (settings.embedding === 'scaled') x = scale(x, Math.sqrt(settings.d));
    if (places) x = add(x, embedding(places, tokens.positions, training?.positionGroups));
  }
  if (masked) x = add(x, embedding(c.p('mask.weight'), tokens.items, training?.itemGroups, c.items.shape[0]));
  if (side) x = add(x, sparseMatmul(side, c.p(SIDE)));
  if (post) {
    x = dropout(c.norm(x, 'norm'), c.dropout);
    return { x, n: x };
  }
  if (!simple || masked || side) x = dropout(x, c.dropout);
  return { x, n: c.norm(x, first) };
}

/**
 * Sinusoidal positions 0 … T−1 (Vaswani et al. 2017, §3.5), [T, D]: sin(p · ω_c) in column 2c and cos(p · ω_c) in column
 * 2c + 1, ω_c = 10000^(−2c/D).
 */
export function sinusoids(t: number, d: number): Float32Array<ArrayBuffer> {
  const out = new Float32Array(t * d);
  for (let p = 0; p < t; p++) {
    for (let c = 0; c < d; c++) {
      const angle = p * 10000 ** ((-2 * Math.floor(c / 2)) / d);
      out[p * d + c] = c % 2 === 0 ? Math.sin(angle) : Math.cos(angle);
    }
  }
  return out;
}
