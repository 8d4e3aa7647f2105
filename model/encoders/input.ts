/** From tokens to the residual stream: embeddings, positions, the mask of the cloze task. */
import { add, dropout, embedding, embeddingSum, scale, sparseMatmul, type Tensor } from '../../engine/index.ts';
import { Embedding, type Norm, type ParameterBuilder, type Stream } from '../nn/index.ts';
import { isCloze } from '../recipes/derived.ts';
import type { Settings } from '../recipes/settings.ts';
import type { Context } from './context.ts';

/**
 * x = dropout(E[item] (· √D) + P[position]), with the mask's own embedding where a token is masked, and the first norm.
 * Side features are added before the dropout: Σ weights · A[rows] (data/features/side-features.ts). With norm=post it is
 * x = dropout(LN(…)), as in BERT.
 */
export class Input {
  private readonly positions: Embedding | null;
  private readonly mask: Embedding | null;

  /** @param length positions of the longest sequence */
  constructor(p: ParameterBuilder, s: Settings, length: number) {
    this.positions = s.positions === 'learned' ? new Embedding(p.at('positions', 'window or d'), length, s.d) : null;
    this.mask = isCloze(s) ? new Embedding(p.at('mask'), 1, s.d, { decay: false }) : null;
  }

  /** @param norm the norm that the first block reads; with norm=post that of the input @param sideTable A [rows, D] */
  forward(c: Context, norm: Norm, sideTable: Tensor | null): Stream {
    const { settings, tokens, training } = c;
    const post = settings.norm === 'post';
    const { mask } = this;
    const positions = this.positions?.tensor ?? c.constants.sinusoids;
    const side = tokens.side && sideTable ? sparseMatmul(tokens.side, sideTable) : null;
    const fused = positions && settings.embedding === 'plain';
    let x: Tensor;
    if (fused) {
      const rate = post || mask || side ? 0 : c.dropout;
      x = embeddingSum(
        c.items,
        tokens.items,
        training?.itemGroups,
        positions,
        tokens.positions,
        training?.positionGroups,
        rate,
      );
    } else {
      x = embedding(c.items, tokens.items, training?.itemGroups);
      if (settings.embedding === 'scaled') x = scale(x, Math.sqrt(settings.d));
      if (positions) x = add(x, embedding(positions, tokens.positions, training?.positionGroups));
    }
    if (mask) x = add(x, mask.forward(tokens.items, training?.itemGroups, c.items.shape[0]));
    if (side) x = add(x, side);
    if (post) {
      x = dropout(norm.forward(x), c.dropout);
      return { x, n: x };
    }
    if (!fused || mask || side) x = dropout(x, c.dropout);
    return { x, n: norm.forward(x) };
  }
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
