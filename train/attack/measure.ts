/** What the users of a log are recommended by a model that was trained, by each of its components apart. */
import type { Split } from '../../data/splits/split.ts';
import type { Device } from '../../engine/index.ts';
import { RankingModel } from '../../model/inference/ranking-model.ts';
import { splitQuery } from '../../model/inference/query.ts';
import type { ScorerOptions, ScoreQuery } from '../../model/inference/scored.ts';
import { Scorer } from '../../model/inference/scorer.ts';
import type { Files } from '../../model/storage/files.ts';
import { loadModel } from '../../model/storage/load-model.ts';
import { DECIDES } from '../evaluation/blend-trials.ts';
import { evaluate } from '../evaluation/evaluate.ts';

export const COMPONENTS = ['transformer', 'transitions', 'blend'] as const;
/** `transitions`: they decide, and the transformer orders what they do not tell apart. */
export type Component = (typeof COMPONENTS)[number];

/** Depth of the lists. */
export const DEPTH = 10;

/** What a component recommends, by user in the order asked for. */
export interface Exposure {
  /** IDs of the best `DEPTH` items, best first. */
  lists: string[][];
  'NDCG@10': Float64Array;
  'HR@10': Float64Array;
  /** Rank of the pushed item, 1 for the best; NaN for users who have it, the size of the catalog where the model lacks it. */
  ranks: Float64Array;
}

export interface MeasureOptions {
  /** IDs of users with a test target. */
  users: readonly string[];
  /** ID of the pushed item. */
  item: string;
  includeSeen: boolean;
  signal?: AbortSignal;
}

/** Without item transitions the transformer is the only component. */
export type Exposures = { transformer: Exposure } & Partial<Record<Component, Exposure>>;

/** Test lists under the split's protocol, seen items excluded unless asked for. */
export async function measure(device: Device, files: Files, split: Split, options: MeasureOptions): Promise<Exposures> {
  const model = await RankingModel.load(device, await loadModel(files), 'none');
  try {
    const { encoder, blend } = model;
    const decides = blend && { ...blend, weights: { memory: DECIDES, epsilon: blend.weights.epsilon } };
    const by = (one: ScorerOptions['blend']) => exposure(encoder, one, split, options);
    const transformer = await by(null);
    return blend ? { transformer, transitions: await by(decides), blend: await by(blend) } : { transformer };
  } finally {
    model.dispose();
  }
}

async function exposure(
  encoder: RankingModel['encoder'],
  blend: ScorerOptions['blend'],
  split: Split,
  { users: ids, item, includeSeen, signal }: MeasureOptions,
): Promise<Exposure> {
  const { itemIds, userIds } = split.dataset;
  const rows = new Map(userIds.map((id, u) => [id, u]));
  const users = Uint32Array.from(ids, (id) => rows.get(id) as number);
  const onProgress = () => signal?.throwIfAborted();
  const lists: string[][] = [];
  const { perUser } = await evaluate(encoder, split, {
    split: 'test',
    includeSeen,
    users,
    blend,
    components: false,
    onProgress,
    onUser: (_user, _targets, _ranks, { items }) =>
      lists.push(Array.from(items.subarray(0, DEPTH), (row) => itemIds[row])),
  });
  const target = itemIds.indexOf(item);
  const ranks = new Float64Array(users.length).fill(Number.NaN);
  const asked = Array.from(users.keys()).filter((i) => target >= 0 && without(split, users[i], target));
  if (target < 0) ranks.fill(split.items);
  const scorer = new Scorer(encoder, { k: 1, blend });
  try {
    const queries = asked.map((i): ScoreQuery => {
      const query = splitQuery(split, users[i], 'test', encoder.settings.window);
      return { ...query, target, exclude: includeSeen ? undefined : query.history };
    });
    const scored = await scorer.score(queries, onProgress);
    scored.forEach(({ rank }, n) => {
      ranks[asked[n]] = rank;
    });
  } finally {
    scorer.dispose();
  }
  return { lists, 'NDCG@10': perUser['NDCG@10'], 'HR@10': perUser['HR@10'], ranks };
}

/** Whether a user has the item nowhere, not even as what is predicted. */
function without(split: Split, u: number, item: number): boolean {
  const [from, to] = split.range(u);
  return !split.dataset.items.subarray(from, to).includes(item);
}
