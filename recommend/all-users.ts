/** Batch scoring: lists for all users of a log, one batch of them after another. */
import { type Dataset, datasetOf, type PreparedLog } from '../data/dataset.ts';
import { contextAt, type Log } from '../data/log.ts';
import type { Query } from '../model/inference/query.ts';
import type { Recommender } from './recommender.ts';
import type { Recommendation, RecommendQuery } from './types.ts';

/** Users that are asked for at once; the recommender makes batches of them. */
const CHUNK = 64;

export interface UserList {
  user: string;
  /** null where the model knows none of the user's items */
  items: Recommendation[] | null;
}

/**
 * Everyone in a log who has an event: nobody is filtered, unless the log was prepared with a filter of its own.
 * @param minRating that of the model's training: events below it do not count
 * @throws InputError where a prepared log has another one
 */
export function everyone(log: Log | PreparedLog, minRating: number | undefined): Dataset {
  const minInteractions = 'dataset' in log ? log.filter.minInteractions : 1;
  return datasetOf(log, { minInteractions, minRating });
}

/** First and last + 1 of the users in a partition, of `of`; every user is in one. */
export function partitionOf(users: number, partition: number, of: number): [from: number, to: number] {
  return [Math.floor((users * partition) / of), Math.floor((users * (partition + 1)) / of)];
}

/**
 * Lists of the users [from, to), in their order.
 * @param ask the query of a user: when it is asked for, how many items, which filters
 */
export async function* listsOf(
  recommender: Recommender,
  dataset: Dataset,
  [from, to]: readonly [number, number],
  ask: (user: string, query: Query & { history: string[] }) => RecommendQuery,
): AsyncGenerator<UserList[], void, undefined> {
  const known = new Set(recommender.items.map(({ id }) => id));
  for (let first = from; first < to; first += CHUNK) {
    const users = Array.from({ length: Math.min(CHUNK, to - first) }, (_, i) => first + i);
    yield await Promise.all(
      users.map(async (u): Promise<UserList> => {
        const user = dataset.userIds[u];
        const query = historyOf(dataset, u);
        if (!query.history.some((id) => known.has(id))) return { user, items: null };
        const asked = ask(user, query);
        // What `ask` leaves of a history may be nothing that the model knows.
        if (asked.history.length > 0 && !asked.history.some((id) => known.has(id))) return { user, items: null };
        return { user, items: (await recommender.recommend(asked)).items };
      }),
    );
  }
}

/** What a user of a dataset did. */
function historyOf(dataset: Dataset, u: number): Query & { history: string[] } {
  const { offsets, items, itemIds, clock, ratings, context } = dataset;
  const [from, to] = [offsets[u], offsets[u + 1]];
  const events = Array.from({ length: to - from }, (_, i) => from + i);
  return {
    history: Array.from(items.subarray(from, to), (row) => itemIds[row]),
    ...(clock && { times: Array.from(clock.subarray(from, to)) }),
    ...(ratings && { ratings: Array.from(ratings.subarray(from, to)) }),
    ...(context && {
      context: Object.fromEntries(
        context.map((column) => [column.name, events.map((i) => contextAt([column], i)[column.name] ?? '')]),
      ),
    }),
  };
}
