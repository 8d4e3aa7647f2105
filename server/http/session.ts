/** A history in the body: item IDs, or events with their time, type, rating and context. Nothing of it is stored. */
import Type, { type Static } from 'typebox';
import type { StoredUser } from '../store/store.ts';
import { Event, Id } from './schemas.ts';
import { timeOf } from './times.ts';

const { item, time, type, rating, context } = Event.properties;

export const History = Type.Array(
  Type.Union([Id, Type.Object({ item, time, type, rating, context }, { additionalProperties: false })]),
  { maxItems: 100_000, description: 'oldest first' },
);

export function sessionEvents(history: Static<typeof History>): StoredUser['events'] {
  return history.map((given, i) => {
    const event = typeof given === 'string' ? { item: given } : given;
    return {
      item: event.item,
      type: event.type ?? 'interaction',
      time: event.time === undefined ? Number.NaN : timeOf(event.time, `/history/${i}/time`),
      rating: event.rating ?? null,
      context: event.context ?? null,
    };
  });
}
