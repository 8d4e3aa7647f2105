/** From a user, or a history, to a list: what is known of the user, what is left out, and the model's answer. */
import type { Static } from 'typebox';
import type Type from 'typebox';
import type { Recommendation, RecommendQuery } from '../../recommend/index.ts';
import { bestOf, EXCLUDED_F32, RERANKED } from '../../recommend/reranking/post-processing.ts';
import { ownValue } from '../../data/own-value.ts';
import type { ServerConfig } from '../config.ts';
import { Problem } from '../http/problem.ts';
import type { ListedItem, listOptions } from '../http/schemas.ts';
import { optionalTime } from '../http/times.ts';
import type { StoredUser } from '../store/store.ts';
import type { Catalog } from './catalog.ts';
import { cursorAfter, listedBefore } from './cursor.ts';
import { explainList } from './explain.ts';
import type { Models, ServedModel } from './models.ts';
import { type UserState, userState } from './user-state.ts';

export type ListOptions = Static<Type.TObject<typeof listOptions>>;

/** What a list is made from. */
export interface Subject {
  /** undefined for an anonymous session */
  user?: string;
  columns: Record<string, string>;
  events: StoredUser['events'];
}

/** What lists are made from. */
interface Sources {
  models: Models;
  config: ServerConfig;
}

export interface ListAnswer {
  items: Static<typeof ListedItem>[];
  cursor: string | null;
  model: string;
}

/** The options of the request over those of its scenario. @throws Problem for an unknown scenario */
export function withScenario({ config }: Pick<Sources, 'config'>, options: ListOptions): ListOptions {
  if (options.scenario === undefined) return options;
  const scenario = config.scenarios.get(options.scenario);
  if (!scenario)
    throw new Problem(404, 'unknown-scenario', `no scenario ${options.scenario} in the config`, 'scenario');
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  return { ...scenario, ...(Object.fromEntries(given) as ListOptions) };
}

/** The model's list for a user or a session. */
export async function listFor(context: Sources, subject: Subject, options: ListOptions): Promise<ListAnswer> {
  const served = context.models.current;
  const { catalog, recommender, version } = served;
  const {
    k = 10,
    exclude = [],
    includeSeen,
    where,
    caps,
    calibrate,
    expose,
    diversity,
    explore,
    explain,
    cursor,
    now,
  } = withScenario(context, options);
  const before = listedBefore(cursor);
  const state = userState(subject.events, catalog, context.config, optionalTime(now));
  const away = new Set([...state.unwanted, ...catalog.deleted, ...catalog.rowsOfHashes(before)]);
  if (!includeSeen) for (const row of state.seen) away.add(row);
  const query: RecommendQuery = {
    ...historyOf(state, subject.columns),
    now: optionalTime(now),
    k,
    exclude: [...exclude, ...Array.from(away, (row) => catalog.items[row].id)],
    includeSeen,
    where,
    variables: new Map(subject.user === undefined ? [] : [['user', subject.user]]),
    caps,
    calibrate,
    expose,
    diversity,
    explore,
  };
  const { items } = await recommender.recommend(query);
  const answer: ListAnswer = { items: items.map(dressed), cursor: cursorAfter(before, items, k), model: version };
  if (explain) await explainList(served, query, answer.items);
  return answer;
}

/** The events as the model is asked with them. */
export function historyOf(
  { history }: Pick<UserState, 'history'>,
  columns: Record<string, string>,
): Pick<RecommendQuery, 'history' | 'times' | 'ratings' | 'context' | 'user'> {
  const names = new Set(history.flatMap(({ context }) => Object.keys(context ?? {})));
  const context = Array.from(names, (name): [string, string[]] => [
    name,
    history.map((event) => (event.context && ownValue(event.context, name)) || ''),
  ]);
  return {
    history: history.map(({ item }) => item),
    times: history.every(({ time }) => Number.isFinite(time)) ? history.map(({ time }) => time) : undefined,
    ratings: history.map(({ rating }) => rating ?? Number.NaN),
    context: Object.fromEntries(context),
    user: Object.keys(columns).length > 0 ? columns : undefined,
  };
}

/** The best by scores that are no model's: popularity, age, similarity. @param scores of the first rows; NaN: no candidate */
export function listByScores(
  context: Pick<Sources, 'config'>,
  { catalog, version }: ServedModel,
  scores: ArrayLike<number>,
  options: ListOptions,
  without: Iterable<number> = [],
): ListAnswer {
  const { k = 10, exclude = [], cursor, ...rest } = withScenario(context, options);
  const { where, caps, calibrate, expose, diversity, explore } = rest;
  const before = listedBefore(cursor);
  const { bias, rerank } = catalog.postProcessing.plan({
    where,
    variables: new Map(),
    caps,
    calibrate,
    expose,
    diversity,
    explore,
  });
  const out = new Set([...without, ...catalog.deleted, ...catalog.rowsOfHashes(before), ...rowsOf(catalog, exclude)]);
  const candidates = Float64Array.from({ length: catalog.items.length }, (_, row) =>
    row < scores.length && !Number.isNaN(scores[row]) && bias?.[row] !== EXCLUDED_F32 ? scores[row] : EXCLUDED_F32,
  );
  const best = bestOf(candidates, Uint32Array.from(out), rerank ? RERANKED : k);
  const items = (rerank ? rerank(best, k, []) : best).map(({ row, score }) =>
    dressed({ ...catalog.items[row], score }),
  );
  return { items, cursor: cursorAfter(before, items, k), model: version };
}

const rowsOf = ({ rows }: Catalog, ids: readonly string[]): number[] => ids.flatMap((id) => rows.get(id) ?? []);

const dressed = ({ id, title, score, attributes }: Pick<Recommendation, 'id' | 'title' | 'score' | 'attributes'>) => ({
  id,
  title,
  score,
  attributes,
});
