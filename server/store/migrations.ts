/**
 * The schema of the stores, in steps that are never changed once released: a store of version n runs the steps after n.
 * test/fixtures/store has a file of each version.
 */

/** How the databases differ. */
export interface Dialect {
  /** An integer key that counts up. */
  serial: string;
  /** A 64-bit integer, a double. */
  integer: string;
  double: string;
  /** The larger of two values. */
  greatest: string;
  /** What a SELECT adds to hold its rows until the end of the transaction. */
  forUpdate: string;
  /** Lets one transaction at a time change items, so that their revisions are committed in order; null: it is so anyway. */
  lockItems: string | null;
  /** The texts of a JSON array, which is bound, as rows of one column. */
  texts: string;
}

/** Steps of the schema, a statement an element. */
export const MIGRATIONS: readonly ((dialect: Dialect) => string[])[] = [
  // 1: users by a number, so that a user's ID is in one row alone; events in the order of time; items; last lists; notes
  ({ serial, integer, double }) => [
    `CREATE TABLE users (uid ${serial}, id TEXT NOT NULL UNIQUE, columns TEXT NOT NULL, revision ${integer} NOT NULL)`,
    `CREATE TABLE events (seq ${serial}, uid ${integer} NOT NULL REFERENCES users (uid), item TEXT NOT NULL, type TEXT NOT NULL,
       time ${double} NOT NULL, rating ${double}, context TEXT, key TEXT UNIQUE)`,
    'CREATE INDEX events_of_user ON events (uid, time, seq)',
    'CREATE INDEX events_by_time ON events (time)',
    `CREATE TABLE items (id TEXT PRIMARY KEY, title TEXT, attributes TEXT NOT NULL, created ${double} NOT NULL,
       deleted ${integer} NOT NULL, revision ${integer} NOT NULL)`,
    'CREATE INDEX items_by_revision ON items (revision)',
    `CREATE TABLE shown (uid ${integer} PRIMARY KEY REFERENCES users (uid), time ${double} NOT NULL, model TEXT NOT NULL, items TEXT NOT NULL)`,
    'CREATE TABLE notes (name TEXT PRIMARY KEY, value TEXT NOT NULL)',
  ],
];

/**
 * Indexes of events, as the steps leave them. A store that is filled from a log has none of them until the end: rows that
 * come in another order than an index has land all over it.
 */
export const EVENT_INDEXES = { events_of_user: '(uid, time, seq)', events_by_time: '(time)' };
