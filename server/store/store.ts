/**
 * What the server keeps of users, events and items. One implementation in SQL (sql.ts) runs on two databases (sqlite.ts,
 * postgres.ts), and one suite tests both. IDs are the users' own strings; times are milliseconds since 1970.
 */

export interface StoredEvent {
  user: string;
  item: string;
  type: string;
  time: number;
  rating: number | null;
  context: Record<string, string> | null;
  /** The client's own id; an event whose id is there already is not added again. */
  id: string | null;
}

export interface StoredItem {
  id: string;
  title: string | null;
  attributes: Record<string, string>;
  /** When it was put first. */
  created: number;
  deleted: boolean;
}

/** What is known of a user. */
export interface StoredUser {
  columns: Record<string, string>;
  /** Grows with every event and every change of the user, also over a deletion: what was made at another one is stale. */
  revision: number;
  /** The newest events, oldest first. */
  events: Omit<StoredEvent, 'user' | 'id'>[];
}

/** The list that a user saw last. */
export interface Shown {
  time: number;
  model: string;
  items: string[];
}

export interface Store {
  /** For people: `sqlite: FILE`, `postgres: HOST/DATABASE`; never a password. */
  readonly name: string;
  /**
   * Saves events, all or none; when it resolves, they survive the process and the machine.
   * @returns which were new
   * @throws InputError for a text that no store can hold (http/text.ts), a time or a rating that is not finite
   */
  addEvents(events: readonly StoredEvent[]): Promise<boolean[]>;
  /** @param limit events at most; 0 for the revision and columns alone. null for an unknown user */
  user(id: string, limit: number): Promise<StoredUser | null>;
  /** Inserts or replaces. */
  putUsers(users: readonly { id: string; columns: Record<string, string> }[]): Promise<void>;
  /** Erases a user with all events, lists and traces in files. @returns whether there was one */
  deleteUser(id: string): Promise<boolean>;
  /** Inserts or replaces; a deleted item that is put again is there again. */
  putItems(
    items: readonly { id: string; title: string | null; attributes: Record<string, string> }[],
    now: number,
  ): Promise<void>;
  /** Marks an item as deleted, also one that only the model knows. */
  deleteItem(id: string, now: number): Promise<void>;
  /** Items put or deleted after a revision, and the revision now. */
  itemsSince(revision: number): Promise<{ revision: number; items: StoredItem[] }>;
  /** Events by item and type, later than a time and up to another one. It reads all of them: others have their turn meanwhile. */
  counts(after: number, upTo: number): Promise<{ item: string; type: string; count: number }[]>;
  /** Events later than a time, in the order of time; at most `limit`. */
  eventsAfter(time: number, limit: number): Promise<StoredEvent[]>;
  /** Remembers what a user saw last. */
  putShown(shown: readonly ({ user: string } & Shown)[]): Promise<void>;
  /** What each of these users saw last; those of whom nothing is known are left out. */
  shown(users: readonly string[]): Promise<Map<string, Shown>>;
  /** Users, items and events in all. */
  sizes(): Promise<{ users: number; items: number; events: number }>;
  /** Runs work, an import, while no other process does such work on this store: they wait for each other. */
  exclusively<T>(work: () => Promise<T>): Promise<T>;
  /** What tells the log of an import that has not ended from others; null without one. */
  importing(): Promise<string | null>;
  /** Prepares an empty store for very many events, or one whose import was interrupted for more of them. */
  startImport(log: string): Promise<void>;
  endImport(): Promise<void>;
  /** @throws where the store cannot be reached */
  ping(): Promise<void>;
  close(): Promise<void>;
}

/** The store cannot be used now: a full disk, a database that does not answer. Later it may. */
export class StoreUnavailable extends Error {
  override name = 'StoreUnavailable';
}
