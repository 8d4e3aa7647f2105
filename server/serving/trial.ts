/** What a model must pass before it takes the place of another. */
import { MISS, metricsAt } from '../../train/evaluation/metrics.ts';
import { gainOf } from '../../train/evaluation/statistics.ts';
import type { ModelConfig } from '../../model/storage/config.ts';
import type { Context } from '../context.ts';
import { Problem } from '../http/problem.ts';
import { historyOf } from './lists.ts';
import type { ServedModel } from './models.ts';
import { userState } from './user-state.ts';

/** Users that a comparison needs, and takes at most. */
export const FEWEST_USERS = 30;
const MOST_USERS = 500;
const MOST_EVENTS = 20_000;
/** Standard errors that a difference must exceed to count. */
const SIGNIFICANT = 2;
const K = 10;

/** Both models on stored events that neither was trained on. */
export interface Comparison {
  compared: boolean;
  /** Each with one event: the last, which is newer than both trainings. */
  users: number;
  /** NDCG@10; null where they were not compared. */
  current: number | null;
  candidate: number | null;
  /** Mean of candidate − current over users, and its standard error. */
  difference: number | null;
  standardError: number | null;
  /** For people. */
  note: string;
}

const refuse = (detail: string): Problem => new Problem(422, 'model-refused', detail, 'folder');

/** @throws Problem where requests that the current model reads would be read otherwise, or not at all */
export function requireSameSchema(current: ServedModel, candidate: ServedModel): void {
  const [before, after] = [
    columnsOf(current.recommender.loaded.config),
    columnsOf(candidate.recommender.loaded.config),
  ];
  for (const [name, type] of before) {
    const now = after.get(name);
    if (now === undefined)
      throw refuse(`another schema: the model that answers reads ${name}, and this one does not; force takes it`);
    if (now !== type) throw refuse(`another schema: ${name} is ${now} here, and ${type} in the model that answers`);
  }
  if (!candidate.own.some(({ id }) => current.catalog.rows.has(id)))
    throw refuse('another catalog: the model that answers knows none of its items; force takes it');
}

/** What a model reads of users, events and items, each with its type. */
function columnsOf({ schema }: ModelConfig): Map<string, string> {
  return new Map([
    ...(schema.users?.columns ?? []).map(({ name, type }): [string, string] => [`the user column ${name}`, type]),
    ...(schema.events ?? []).map(({ name, kind }): [string, string] => [`${name} of events`, kind]),
    ...(schema.items?.columns ?? []).map(({ name, type }): [string, string] => [`the item attribute ${name}`, type]),
  ]);
}

/** The weights were checked when they were read. @throws InputError where scores are not finite, Problem for an empty list */
export async function requireFiniteScores({ recommender, own }: ServedModel): Promise<void> {
  const popular = [...own].sort((a, b) => (b.count ?? 0) - (a.count ?? 0)).map(({ id }) => id);
  for (const events of [0, 1, 4, 16]) {
    const { items } = await recommender.recommend({ history: popular.slice(0, events), k: K, includeSeen: true });
    if (items.length === 0) throw refuse(`it recommends nothing after ${events} events`);
  }
}

/** NDCG@10 of both on what users did after both trainings. @throws Problem where the candidate is significantly worse */
export async function compare(
  { store, config }: Pick<Context, 'store' | 'config'>,
  current: ServedModel,
  candidate: ServedModel,
  force: boolean,
): Promise<Comparison> {
  const from = Math.max(current.trainedUpTo, candidate.trainedUpTo);
  const recent = await store.eventsAfter(from, MOST_EVENTS);
  const users = Array.from(new Set(recent.map(({ user }) => user)));
  const gains: { current: number[]; candidate: number[] } = { current: [], candidate: [] };
  for (const id of users) {
    if (gains.current.length === MOST_USERS) break;
    const stored = await store.user(id, config.limits.history);
    const events = stored?.events ?? [];
    // The last one: what comes before it is new to both models, too, and says more than nothing.
    const at = events.findLastIndex(
      ({ time, type, item }) =>
        time > from &&
        (config.events.get(type) ?? 1) > 0 &&
        (current.catalog.rows.has(item) || candidate.catalog.rows.has(item)),
    );
    const { item, time } = events[at] ?? {};
    const before = events.slice(0, Math.max(0, at));
    // What a user had before is never recommended, so that neither could name it.
    if (!stored || item === undefined || before.some((event) => event.item === item)) continue;
    for (const [name, model] of [['current', current] as const, ['candidate', candidate] as const]) {
      const { catalog, recommender } = model;
      const state = userState(before, catalog, config, time as number);
      const away = [...state.seen, ...state.unwanted, ...catalog.deleted].map((row) => catalog.items[row].id);
      const { items } = await recommender.recommend({ ...historyOf(state, stored.columns), k: K, exclude: away });
      const place = items.findIndex((listed) => listed.id === item);
      gains[name].push(metricsAt(K, [place < 0 ? MISS : place + 1], 1).NDCG);
    }
  }
  const tested = gains.current.length;
  if (tested < FEWEST_USERS) {
    const none = { current: null, candidate: null, difference: null, standardError: null };
    const note = `not compared: ${tested} users have events that are newer than both trainings, and ${FEWEST_USERS} are needed`;
    return { compared: false, users: tested, ...none, note };
  }
  const { mean, error } = gainOf(gains.current, gains.candidate);
  const [was, is] = [meanOf(gains.current), meanOf(gains.candidate)];
  const note = `NDCG@10 ${is.toFixed(4)} after ${was.toFixed(4)}, a difference of ${mean.toFixed(4)} with a standard error of ${error.toFixed(4)}, on events of ${tested} users`;
  if (mean < -SIGNIFICANT * error && !force) throw refuse(`significantly worse: ${note}; force takes it`);
  return { compared: true, users: tested, current: was, candidate: is, difference: mean, standardError: error, note };
}

/** @throws Problem where nothing tells whether the candidate is worse */
export function requireCompared({ compared, note }: Comparison): void {
  if (!compared) throw refuse(note);
}

const meanOf = (values: readonly number[]): number => values.reduce((sum, x) => sum + x, 0) / values.length;
