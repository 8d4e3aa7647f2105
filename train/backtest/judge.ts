/** How a model answers the questions of a period. */
import { toSeconds } from '../../data/formats/times.ts';
import type { Log } from '../../data/log.ts';
import type { Dataset } from '../../data/dataset.ts';
import { emptyBounds } from '../../data/splits/bounds.ts';
import { LEAVE_ONE_OUT } from '../../data/splits/protocol.ts';
import { Split } from '../../data/splits/split.ts';
import { take } from '../../data/spans.ts';
import type { Device } from '../../engine/index.ts';
import { RankingModel } from '../../model/inference/ranking-model.ts';
import { rankAmong } from '../../model/inference/ranks.ts';
import type { Files } from '../../model/storage/files.ts';
import { loadModel } from '../../model/storage/load-model.ts';
import { evaluate } from '../evaluation/evaluate.ts';
import { metricsAt } from '../evaluation/metrics.ts';
import { storedSideFeatures, type UserFeatures } from '../side-features.ts';
import type { Question } from './periods.ts';

/** Of each question, in order. */
export interface Answers {
  'NDCG@10': Float64Array;
  'HR@10': Float64Array;
  /** Questions whose target the model does not know: they count 0. */
  unknown: number;
}

export interface JudgeOptions {
  log: Log;
  users?: UserFeatures | null;
  includeSeen?: boolean;
  /** Which of a user's events the model may read, by row; all by default. */
  reads?(row: number): boolean;
}

/**
 * NDCG@10 and HR@10 of each question: the rank of its target in the model's whole catalog. A target that the model does
 * not know is a miss; a user of whose history it knows nothing gets what is popular in its training.
 */
export async function judge(
  device: Device,
  files: Files,
  questions: readonly Question[],
  { log, users = null, includeSeen, reads = () => true }: JudgeOptions,
): Promise<Answers> {
  const loaded = await loadModel(files);
  const ids = loaded.items.map(({ id }) => id);
  const rows = new Map(ids.map((id, row) => [id, row]));
  const itemRow = Int32Array.from(log.itemIds, (id) => rows.get(id) ?? -1);
  const rowOf = (row: number): number => itemRow[log.item[row]];
  const answers: Answers = {
    'NDCG@10': new Float64Array(questions.length),
    'HR@10': new Float64Array(questions.length),
    unknown: 0,
  };
  const answer = (i: number, rank: number): void => {
    const { NDCG, HR } = metricsAt(10, [rank], 1);
    answers['NDCG@10'][i] = NDCG;
    answers['HR@10'][i] = HR;
  };
  const counts = Float64Array.from(loaded.items, ({ count = 0 }) => count);
  /** Questions that the model ranks, each with its events: the known ones of the history, and the target. */
  const asked: { i: number; events: number[] }[] = [];
  for (const [i, { target, history }] of questions.entries()) {
    if (rowOf(target) < 0) {
      answers.unknown++;
      continue;
    }
    const events = Array.from(history).filter((row) => reads(row) && rowOf(row) >= 0);
    if (events.length === 0) answer(i, rankAmong(counts, counts[rowOf(target)]));
    else asked.push({ i, events: events.concat([target]) });
  }
  if (asked.length === 0) return answers;
  const plain = splitOf(datasetOf(log, asked, questions, rowOf, ids));
  const split = storedSideFeatures(loaded.config.schema, plain, users, log.source, { notes: [], warnings: [] });
  const model = await RankingModel.load(device, loaded);
  try {
    const { encoder, blend, second } = model;
    const { perUser } = await evaluate(encoder, split, {
      split: 'test',
      includeSeen,
      blend,
      second,
      components: false,
    });
    perUser.users.forEach((u, n) => {
      for (const name of ['NDCG@10', 'HR@10'] as const) answers[name][asked[u].i] = perUser[name][n];
    });
  } finally {
    model.dispose();
  }
  return answers;
}

/** Each question as a user of a dataset. */
function datasetOf(
  log: Log,
  asked: readonly { i: number; events: readonly number[] }[],
  questions: readonly Question[],
  rowOf: (row: number) => number,
  itemIds: string[],
): Dataset {
  const offsets = new Uint32Array(asked.length + 1);
  for (const [n, { events }] of asked.entries()) offsets[n + 1] = offsets[n] + events.length;
  const rows = new Uint32Array(offsets[asked.length]);
  for (const [n, { events }] of asked.entries()) rows.set(events, offsets[n]);
  const { rating, time, timeUnit, context } = log;
  const clock = time && take(time, rows);
  return {
    userIds: asked.map(({ i }) => log.userIds[questions[i].user]),
    itemIds,
    offsets,
    items: rows.map(rowOf),
    ratings: rating && take(rating, rows),
    times: clock && toSeconds(clock, offsets, timeUnit),
    clock,
    ...(timeUnit && { timeUnit }),
    ...(context && { context: context.map((column) => ({ ...column, rows: take(column.rows, rows) })) }),
    report: {
      rows: rows.length,
      removedByRating: 0,
      removedInteractions: 0,
      removedUsers: 0,
      removedItems: 0,
      users: asked.length,
      items: itemIds.length,
      interactions: rows.length,
      notes: [],
      lines: [],
    },
  };
}

/** The last event of each history is its target; nothing is validated on. */
function splitOf(dataset: Dataset): Split {
  const bounds = emptyBounds(dataset.offsets.length - 1);
  bounds.train.forEach((_, u) => {
    const length = dataset.offsets[u + 1] - dataset.offsets[u];
    for (const part of ['train', 'validFrom', 'validTo', 'testFrom'] as const) bounds[part][u] = length - 1;
    bounds.testTo[u] = length;
  });
  return new Split(dataset, LEAVE_ONE_OUT, bounds);
}
