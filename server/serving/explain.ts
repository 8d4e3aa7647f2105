/** Which stage put each item into a list, and which events it is due to. */
import type { Static } from 'typebox';
import type { RecommendQuery } from '../../recommend/index.ts';
import type { Explanation, ListedItem } from '../http/schemas.ts';
import type { ServedModel } from './models.ts';

/** Events that an explanation names at most. */
const EVENTS = 3;

/**
 * Asks again without what re-ranks and without what leaves items out: an item that only the former lists is due to
 * exploration or re-ranking, one that only the latter lists to a filter; of the others the strongest component is named.
 */
export async function explainList(
  { recommender }: Pick<ServedModel, 'recommender'>,
  query: RecommendQuery,
  items: Static<typeof ListedItem>[],
): Promise<void> {
  if (items.length === 0) return;
  const { explore, diversity, caps, calibrate, expose, where, exclude, ...plain } = query;
  const idsOf = async (asked: RecommendQuery): Promise<Set<string>> =>
    new Set((await recommender.recommend(asked)).items.map(({ id }) => id));
  const ranked = await idsOf({ ...plain, where, exclude });
  const open = where !== undefined || exclude ? await idsOf(plain) : ranked;
  const { items: reasons } =
    query.history.length > 0
      ? await recommender.recommend({
          ...plain,
          k: 128,
          allow: items.map(({ id }) => id),
          includeSeen: true,
          explain: 'rollout',
        })
      : { items: [] };
  const byId = new Map(reasons.map(({ id, explanation }) => [id, explanation]));
  for (const item of items) {
    const reason = byId.get(item.id);
    const lift = reason?.lift ?? { transformer: 0, memory: 0 };
    const component = !reason ? 'prior' : lift.memory > lift.transformer ? 'transitions' : 'transformer';
    const stage: Static<typeof Explanation>['stage'] = !ranked.has(item.id)
      ? explore
        ? 'exploration'
        : 'filter'
      : !open.has(item.id)
        ? 'filter'
        : component;
    item.explanation = {
      stage,
      component,
      transformer: lift.transformer,
      transitions: lift.memory,
      events: (reason?.events ?? []).slice(0, EVENTS).map(({ id, title, share }) => ({ id, title, share })),
      sentence:
        reason?.sentence ?? 'Nothing is known of the user yet: it is popular, or users with the same columns like it.',
    };
  }
}
