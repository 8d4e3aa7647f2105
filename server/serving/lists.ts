/** From a user, or a history, to a list: what is known of the user, what is left out, and the model's answer. */
import type { Recommendation, RecommendQuery } from '../../recommend/index.ts';
import type { Context } from '../context.ts';
import { Problem } from '../http/problem.ts';
import type { Static } from 'typebox';
import type Type from 'typebox';
import type { listOptions } from '../http/schemas.ts';
import type { StoredUser } from '../store/store.ts';

export type ListOptions = Static<Type.TObject<typeof listOptions>>;

/** What a list is made from. */
export interface Subject {
  /** undefined for an anonymous session */
  user?: string;
  columns: Record<string, string>;
  events: StoredUser['events'];
}

export interface ListAnswer {
  items: Recommendation[];
  cursor: string | null;
  model: string;
}

export async function listFor(
  { models, config }: Context,
  subject: Subject,
  options: ListOptions,
): Promise<ListAnswer> {
  const { version, recommender, rows } = models.current;
  const scenario = options.scenario === undefined ? {} : config.scenarios.get(options.scenario);
  if (!scenario)
    throw new Problem(404, 'unknown-scenario', `no scenario ${options.scenario} in the config`, 'scenario');
  const { k = 10, exclude = [], includeSeen, where, caps, diversity, explore } = { ...scenario, ...options };
  const weightOf = (type: string): number => config.events.get(type) ?? 1;
  const liked = subject.events.filter(({ item, type }) => weightOf(type) > 0 && rows.has(item));
  const disliked = subject.events.filter(({ type }) => weightOf(type) < 0).map(({ item }) => item);
  const query: RecommendQuery = {
    history: liked.map(({ item }) => item),
    times: liked.map(({ time }) => time),
    ratings: liked.map(({ rating }) => rating ?? Number.NaN),
    user: Object.keys(subject.columns).length > 0 ? subject.columns : undefined,
    k,
    exclude: [...exclude, ...disliked],
    includeSeen,
    where,
    caps,
    diversity,
    explore,
  };
  const { items } = await recommender.recommend(query);
  return { items, cursor: null, model: version };
}
