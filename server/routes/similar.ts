import Type from 'typebox';
import { Problem } from '../http/problem.ts';
import { optionsOfQuery, queryOptions } from '../http/queries.ts';
import { route } from '../http/route.ts';
import { Id, List, ref } from '../http/schemas.ts';
import { listByScores } from '../serving/lists.ts';

const { explain, includeSeen, now, ...options } = queryOptions;

export const similar = route({
  method: 'GET',
  url: '/v1/items/:id/similar',
  role: 'read',
  operation: 'listSimilar',
  tag: 'recommendations',
  summary: 'Items like an item',
  description: "By the cosine of the model's item vectors.",
  params: Type.Object({ id: Id }),
  query: Type.Object(options, { additionalProperties: false }),
  reply: ref(List),
  async handler({ params: { id }, query, context }) {
    const served = context.models.current;
    const row = served.catalog.rows.get(id);
    if (row === undefined) throw new Problem(404, 'unknown-id', 'no such item', 'id');
    if (!served.catalog.neighbors.has(row))
      throw new Problem(
        422,
        'unsupported',
        'the model has no vector of this item: it was put after the training',
        'id',
      );
    return listByScores(context, served, served.catalog.neighbors.cosines(row), optionsOfQuery(query), [row]);
  },
});
