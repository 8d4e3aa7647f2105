import Type from 'typebox';
import { optionsOfQuery, queryOptions } from '../http/queries.ts';
import { route } from '../http/route.ts';
import { List, ref } from '../http/schemas.ts';
import { listByScores } from '../serving/lists.ts';

const { explain, includeSeen, now, ...options } = queryOptions;

export const latest = route({
  method: 'GET',
  url: '/v1/latest',
  role: 'read',
  operation: 'listLatest',
  tag: 'recommendations',
  summary: 'The newest items',
  description: 'Items that were put, newest first; the score is the time of the first put, in milliseconds since 1970.',
  query: Type.Object(options, { additionalProperties: false }),
  reply: ref(List),
  async handler({ query, context }) {
    const served = context.models.current;
    const { items, created } = served.catalog;
    const scores = Float64Array.from(items, (_item, row) => created.get(row) ?? Number.NaN);
    return listByScores(context, served, scores, optionsOfQuery(query));
  },
});
