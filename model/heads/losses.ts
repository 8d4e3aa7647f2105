/** Losses as recipes name them, over hidden states and the item table; and how a state compares with an item. */
import {
  crossEntropy,
  embedding,
  matmul,
  normalize,
  normalizeTable,
  rowDot,
  type RowGroups,
  sampledLoss,
  scale,
  type Table,
  type Tensor,
} from '../../engine/index.ts';
import type { MixtureHead } from './mixture-of-logits.ts';
import { temperatureOf, type TrainingSettings } from '../recipes/training-settings.ts';

/** What the negatives of a batch are on the device: G lists of N, one for each group of L / G consecutive positions. */
export interface NegativeTokens {
  /** u32 [G, N] item rows */
  ids: Tensor;
  /** The ids grouped by row (engine/rows.ts), and the batch's targets. */
  groups: RowGroups;
  targetGroups: RowGroups;
  /** f32 [G, N] log(N · probability of being drawn), where the loss wants it. */
  logq: Tensor | null;
}

/** States [R, D] as they are compared with items: at length one for the cosine, over the temperature. */
export function comparedStates(states: Tensor, s: TrainingSettings): Tensor {
  const t = temperatureOf(s);
  const x = s.similarity === 'cosine' ? normalize(states) : states;
  return t === 1 ? x : scale(x, 1 / t);
}

/** The item table as states are compared with it. */
export function comparedTable(table: Table, s: TrainingSettings): Table {
  return s.similarity === 'cosine' ? normalizeTable(table) : table;
}

/**
 * Σ weights · loss of each position, a scalar.
 * @param states [L, D] hidden states @param targets u32 [L] @param weights f32 [L]
 * @param mixture compares them in place of the similarity, where the settings have head=mol
 */
export function itemLoss(
  states: Tensor,
  table: Table,
  { targets, weights, negatives }: { targets: Tensor; weights: Tensor; negatives?: NegativeTokens },
  s: TrainingSettings,
  mixture: MixtureHead | null = null,
): Tensor {
  if (s.loss === 'softmax') {
    const h = comparedStates(states, s);
    return crossEntropy(h, comparedTable(table, s), targets, weights, { labelSmoothing: s.labelSmoothing });
  }
  if (!negatives) throw new Error(`loss ${s.loss}: the batch came without negatives`);
  const { ids, groups, targetGroups, logq } = negatives;
  const [l, d] = states.shape;
  const [lists, n] = ids.shape;
  const compare = mixture?.compare(states) ?? product(comparedStates(states, s), s);
  const pos = compare(embedding(table, targets, targetGroups), l).reshape([l]);
  const neg = compare(embedding(table, ids, groups).reshape([lists * n, d]), lists);
  const kind = s.loss === 'sampled-softmax' ? 'softmax' : s.loss === 'bpr' ? 'bpr' : 'bce';
  return sampledLoss(pos, neg, targets, ids, weights, { kind, logq, beta: calibratedBeta(s, n, table.shape[0]) });
}

/** How states h [L, D] score lists of items [G · N, D] by their product, each list for L / G of them: [L, N]. */
function product(h: Tensor, s: TrainingSettings): (e: Tensor, lists: number) => Tensor {
  const [l, d] = h.shape;
  return (e, lists) => {
    const x = s.similarity === 'cosine' ? normalize(e) : e;
    const n = x.shape[0] / lists;
    if (lists === l && n === 1) return rowDot(h, x).reshape([l, 1]);
    return matmul(h.reshape([lists, l / lists, d]), x.reshape([lists, n, d]), { transB: true }).reshape([l, n]);
  };
}

/** β = α (t (1 − 1/α) + 1/α) with the sampling rate α = N / (V − 1) (Petrov & Macdonald 2023, eq. 14); 1 but for gbce. */
export function calibratedBeta({ loss, calibration }: TrainingSettings, negatives: number, items: number): number {
  if (loss !== 'gbce') return 1;
  const alpha = Math.min(1, negatives / Math.max(1, items - 1));
  return calibration * (alpha - 1) + 1;
}
