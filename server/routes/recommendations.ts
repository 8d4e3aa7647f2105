import Type from 'typebox';
import { route } from '../http/route.ts';
import { Columns, Event, Id, List, listOptions, ref } from '../http/schemas.ts';
import { timeOf } from '../http/times.ts';
import { type ListOptions, listFor } from '../serving/lists.ts';

const { exclude, caps, explore, ...plain } = listOptions;

/** A session's event, which nobody's store holds. */
const SessionEvent = Type.Union([
  Id,
  Type.Object(
    {
      item: Id,
      time: Event.properties.time,
      type: Event.properties.type,
      rating: Event.properties.rating,
      context: Event.properties.context,
    },
    { additionalProperties: false },
  ),
]);

export const recommendations = [
  route({
    method: 'GET',
    url: '/v1/users/:id/recommendations',
    role: 'read',
    operation: 'recommendForUser',
    tag: 'recommendations',
    summary: 'Recommend for a user',
    description: "The list reflects the user's last stored event. A user who is not known gets a cold start's list.",
    problems: { 404: 'the config has no such scenario' },
    params: Type.Object({ id: Id }),
    query: Type.Object(
      { ...plain, exclude: Type.Optional(Type.Union([Id, Type.Array(Id, { maxItems: 1000 })])) },
      { additionalProperties: false },
    ),
    reply: ref(List),
    async handler({ params: { id }, query, context }) {
      const user = await context.store.user(id, context.config.limits.history);
      const subject = { user: id, columns: user?.columns ?? {}, events: user?.events ?? [] };
      const left = typeof query.exclude === 'string' ? [query.exclude] : query.exclude;
      return listFor(context, subject, { ...query, exclude: left } as ListOptions);
    },
  }),
  route({
    method: 'POST',
    url: '/v1/recommendations',
    role: 'read',
    operation: 'recommendForSession',
    tag: 'recommendations',
    summary: 'Recommend for a session',
    problems: { 404: 'the config has no such scenario' },
    description: 'The history is in the body, oldest first; nothing is stored.',
    body: Type.Object(
      { history: Type.Array(SessionEvent, { maxItems: 100_000 }), columns: Type.Optional(Columns), ...listOptions },
      { additionalProperties: false },
    ),
    example: { history: ['book-17', { item: 'book-4', type: 'view' }], k: 5 },
    reply: ref(List),
    async handler({ body: { history, columns = {}, ...options }, context }) {
      const events = history.map((given, i) => {
        const event = typeof given === 'string' ? { item: given } : given;
        return {
          item: event.item,
          type: event.type ?? 'interaction',
          time: event.time === undefined ? Number.NaN : timeOf(event.time, `/history/${i}/time`),
          rating: event.rating ?? null,
          context: event.context ?? null,
        };
      });
      return listFor(context, { columns, events }, options);
    },
  }),
];
