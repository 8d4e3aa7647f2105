import Type from 'typebox';
import { optionsOfQuery, queryOptions } from '../http/queries.ts';
import { route } from '../http/route.ts';
import { Columns, Id, List, listOptions, ref } from '../http/schemas.ts';
import { History, sessionEvents } from '../http/session.ts';
import { listFor } from '../serving/lists.ts';

const preview = Type.Optional(
  Type.Boolean({
    description: 'nobody is shown this list, so that it does not count in the online hit rate and the coverage',
  }),
);

export const recommendations = [
  route({
    method: 'GET',
    url: '/v1/users/:id/recommendations',
    role: 'read',
    operation: 'recommendForUser',
    tag: 'recommendations',
    summary: 'Recommend for a user',
    description: 'From the events in the store, the last one included. A new user gets what is popular.',
    params: Type.Object({ id: Id }),
    query: Type.Object({ ...queryOptions, preview }, { additionalProperties: false }),
    reply: ref(List),
    async handler({ params: { id }, query: { preview = false, ...query }, context }) {
      const list = await context.lists.listFor(context, id, optionsOfQuery(query));
      if (!preview) context.shown.add(id, list);
      return list;
    },
  }),
  route({
    method: 'POST',
    url: '/v1/recommendations',
    role: 'read',
    operation: 'recommendForSession',
    tag: 'recommendations',
    summary: 'Recommend for a session',
    description: 'The history is in the body, oldest first; nothing is stored.',
    body: Type.Object(
      { history: History, columns: Type.Optional(Columns), ...listOptions, preview },
      { additionalProperties: false },
    ),
    example: { history: ['book-17', { item: 'book-4', type: 'view' }], k: 5 },
    reply: ref(List),
    async handler({ body: { history, columns = {}, preview = false, ...options }, context }) {
      const events = sessionEvents(history, context.config.limits.history);
      const list = await listFor(context, { columns, events }, options);
      if (!preview) context.shown.add(undefined, list);
      return list;
    },
  }),
];
