import Type from 'typebox';
import { optionsOfQuery, queryOptions } from '../http/queries.ts';
import { route } from '../http/route.ts';
import { List, ref } from '../http/schemas.ts';
import { optionalTime } from '../http/times.ts';
import { listByScores } from '../serving/lists.ts';

const { explain, includeSeen, ...options } = queryOptions;

export const popular = route({
  method: 'GET',
  url: '/v1/popular',
  role: 'read',
  operation: 'listPopular',
  tag: 'recommendations',
  summary: 'Popular items',
  description:
    'By the events of the last days, each with the weight of its type; among equals by the events of the training. Where there are very many, they are counted anew every few minutes.',
  query: Type.Object(
    { ...options, days: Type.Optional(Type.Integer({ minimum: 1, maximum: 3650, description: '30 by default' })) },
    { additionalProperties: false },
  ),
  reply: ref(List),
  async handler({ query: { days = 30, ...query }, context }) {
    const served = context.models.current;
    const scores = await context.popularity.scores(served.catalog, days, optionalTime(query.now));
    return listByScores(context, served, scores, optionsOfQuery(query));
  },
});
