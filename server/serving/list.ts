/** What a list is made from, and what it is. */
import type { Static } from 'typebox';
import type Type from 'typebox';
import type { ListedItem, listOptions } from '../http/schemas.ts';
import type { StoredUser } from '../store/store.ts';

export type ListOptions = Static<Type.TObject<typeof listOptions>>;

/** What a list is made from. */
export interface Subject {
  /** undefined for an anonymous session */
  user?: string;
  columns: Record<string, string>;
  events: StoredUser['events'];
}

export interface ListAnswer {
  items: Static<typeof ListedItem>[];
  cursor: string | null;
  model: string;
}
