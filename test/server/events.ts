import type { StoredEvent } from '../../server/store/store.ts';

/** An event; what a test does not say is of no account to it. */
export const event = (user: string, item: string, more: Partial<StoredEvent> = {}): StoredEvent => ({
  user,
  item,
  type: 'view',
  time: 1000,
  rating: null,
  context: null,
  id: null,
  ...more,
});
