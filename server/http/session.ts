/** A history in the body: item IDs, or events with their time, type, rating and context. Nothing of it is stored. */
import Type, { type Static } from 'typebox';
import type { StoredUser } from '../store/store.ts';
import { Problem } from './problem.ts';
import { Event, Id } from './schemas.ts';
import { timeOf } from './times.ts';

const { item, time, type, rating, context } = Event.properties;

export const History = Type.Array(
  Type.Union([Id, Type.Object({ item, time, type, rating, context }, { additionalProperties: false })]),
  { maxItems: 100_000, description: 'oldest first' },
);

/** @param limit of the config: events at most. @throws Problem where there are more */
export function sessionEvents(history: Static<typeof History>, limit: number): StoredUser['events'] {
  if (history.length > limit) {
    const detail = `history: expected at most ${limit} events, got ${history.length}; send the newest`;
    throw new Problem(400, 'too-large', detail, 'history');
  }
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
