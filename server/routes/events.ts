import Type from 'typebox';
import { route } from '../http/route.ts';
import { Event, ref } from '../http/schemas.ts';
import { timeOf } from '../http/times.ts';

export const events = route({
  method: 'POST',
  url: '/v1/events',
  role: 'write',
  operation: 'addEvents',
  tag: 'events',
  summary: 'Add events',
  description:
    'One event or an array of them, saved all or none; answered after the store has them, so that none that was acknowledged is lost. The next list of the user reflects them.',
  body: Type.Union([ref(Event), Type.Array(ref(Event), { minItems: 1, maxItems: 10_000 })]),
  example: [{ user: 'ada', item: 'book-17', type: 'purchase', time: '2026-03-14T15:09:26Z', id: 'order-1-17' }],
  reply: Type.Object({
    added: Type.Integer({ description: 'events that the store did not have' }),
    duplicates: Type.Integer({ description: 'whose id was there already' }),
  }),
  status: 201,
  async handler({ body, context: { store, metrics, shown } }) {
    const now = Date.now();
    const given = Array.isArray(body) ? body : [body];
    const events = given.map(({ user, item, time, type, rating, context, id }, i) => ({
      user,
      item,
      type: type ?? 'interaction',
      time: time === undefined ? now : timeOf(time, Array.isArray(body) ? `/${i}/time` : '/time'),
      rating: rating ?? null,
      context: context ?? null,
      id: id ?? null,
    }));
    const added = await store.addEvents(events);
    const count = added.filter(Boolean).length;
    metrics.eventsAdded(count);
    shown.judge(events.filter((_event, i) => added[i]));
    return { added: count, duplicates: given.length - count };
  },
});
