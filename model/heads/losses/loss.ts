/** What a loss is, and what losses over sampled negatives have in common. */
import {
  embedding,
  type RowGroups,
  sampledLoss,
  type SampledLossOptions,
  type Table,
  type Tensor,
} from '../../../engine/index.ts';
import type { Kind } from '../../recipes/setting.ts';
import type { Settings } from '../../recipes/settings.ts';
import type { Head } from '../head.ts';

/** The negatives of a batch on the device: G lists of N, one for each group of L / G consecutive positions. */
export interface NegativeTokens {
  /** u32 [G, N] item rows */
  ids: Tensor;
  /** The ids grouped by row (engine/rows.ts), and the batch's targets. */
  groups: RowGroups;
  targetGroups: RowGroups;
  /** f32 [G, N] log(N · probability of being drawn), where the loss reads it. */
  logq: Tensor | null;
}

export interface LossBatch {
  /** Hidden states [L, D], and the item table E [V, D], or (a loss over samples) its rows that the batch reads. */
  states: Tensor;
  table: Table;
  /** V */
  items: number;
  head: Head;
  /** u32 [L] */
  targets: Tensor;
  /** f32 [L] */
  weights: Tensor;
  /** For a loss over samples. */
  negatives?: NegativeTokens;
}

/** A kind of loss: `loss=NAME` of the settings. */
export interface LossKind extends Kind<Settings> {
  /** Whether the target is compared with sampled negatives. */
  sampled: boolean;
  /** Whether it corrects for how likely each negative was drawn. */
  corrects?(s: Settings): boolean;
  /** Σ weights · loss of each position, a scalar. */
  forward(batch: LossBatch, s: Settings): Tensor;
}

/** The sum of a sampled loss's kind (engine/ops/sampled-loss.ts) over the targets' and the negatives' scores. */
export function overSamples(batch: LossBatch, kind: SampledLossOptions['kind'], beta?: number): Tensor {
  const { states, table, head, targets, weights, negatives } = batch;
  if (!negatives) throw new Error(`loss ${kind}: expected a batch with negatives`);
  const { ids, groups, targetGroups, logq } = negatives;
  const [l, d] = states.shape;
  const [lists, n] = ids.shape;
  const compare = head.compare(states);
  const pos = compare(embedding(table, targets, targetGroups), l).reshape([l]);
  const neg = compare(embedding(table, ids, groups).reshape([lists * n, d]), lists);
  return sampledLoss(pos, neg, targets, ids, weights, { kind, logq, beta });
}
