/**
 * The embedded store: one SQLite file in WAL mode, for one process. Events that wait together are saved in one transaction
 * and one fsync; deleted content is overwritten.
 */
import Database from 'libsql';
import { InputError } from '../../data/errors.ts';
import { MIGRATIONS } from './migrations.ts';
import type { Shown, Store, StoredEvent, StoredItem, StoredUser } from './store.ts';

const DIALECT = { serial: 'INTEGER PRIMARY KEY AUTOINCREMENT', integer: 'INTEGER', double: 'REAL' };

type Row = Record<string, string | number | null>;

interface Waiting {
  events: readonly StoredEvent[];
  resolve(added: boolean[]): void;
  reject(error: unknown): void;
}

export class SqliteStore implements Store {
  readonly name: string;
  private readonly db: Database.Database;
  private readonly statements = new Map<string, Database.Statement>();
  private waiting: Waiting[] = [];

  private constructor(db: Database.Database, file: string) {
    this.db = db;
    this.name = `sqlite: ${file}`;
  }

  /** Opens a file, or makes it. @throws InputError where it is none of ours, or newer than this version */
  static open(file: string): SqliteStore {
    let db: Database.Database;
    try {
      db = new Database(file);
      for (const pragma of [
        'locking_mode = EXCLUSIVE',
        'journal_mode = WAL',
        'synchronous = FULL',
        'secure_delete = ON',
        'foreign_keys = ON',
      ])
        db.pragma(pragma);
    } catch (error) {
      throw new InputError('file-access', `${file}: cannot be opened as a store (${(error as Error).message})`);
    }
    const [{ user_version: version }] = db.pragma('user_version') as [{ user_version: number }];
    if (version > MIGRATIONS.length)
      throw new InputError('unsupported', `${file}: a store of version ${version}, made by a later Attune`, {
        hint: `upgrade Attune, which reads up to ${MIGRATIONS.length}`,
      });
    for (const [i, step] of MIGRATIONS.entries()) {
      if (i < version) continue;
      db.exec(`BEGIN IMMEDIATE; ${step(DIALECT).join(';')}; PRAGMA user_version = ${i + 1}; COMMIT`);
    }
    return new SqliteStore(db, file);
  }

  private prepare(sql: string): Database.Statement {
    const known = this.statements.get(sql) ?? this.db.prepare(sql);
    this.statements.set(sql, known);
    return known;
  }

  private get(sql: string, ...values: unknown[]): Row | undefined {
    return this.prepare(sql).get(values) as Row | undefined;
  }

  private all(sql: string, ...values: unknown[]): Row[] {
    return this.prepare(sql).all(values) as Row[];
  }

  private run(sql: string, ...values: unknown[]): number {
    return this.prepare(sql).run(values).changes;
  }

  private transaction<T>(work: () => T): T {
    this.db.exec('BEGIN IMMEDIATE');
    try {
      const result = work();
      this.db.exec('COMMIT');
      return result;
    } catch (error) {
      this.db.exec('ROLLBACK');
      throw error;
    }
  }

  addEvents(events: readonly StoredEvent[]): Promise<boolean[]> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ events, resolve, reject });
      if (this.waiting.length === 1) setImmediate(() => this.flush());
    });
  }

  /** Saves what waits in one transaction. */
  private flush(): void {
    const waiting = this.waiting;
    this.waiting = [];
    if (waiting.length === 0) return;
    try {
      const added = this.transaction(() => waiting.map(({ events }) => events.map((event) => this.insert(event))));
      waiting.forEach(({ resolve }, i) => resolve(added[i]));
    } catch (error) {
      for (const { reject } of waiting) reject(error);
    }
  }

  private insert({ user, item, type, time, rating, context, id }: StoredEvent): boolean {
    if (id !== null && this.get('SELECT 1 FROM events WHERE key = ?', id)) return false;
    const uid = this.uidOf(user);
    this.run(
      'INSERT INTO events (uid, item, type, time, rating, context, key) VALUES (?, ?, ?, ?, ?, ?, ?)',
      uid,
      item,
      type,
      time,
      rating,
      context && JSON.stringify(context),
      id,
    );
    this.run('UPDATE users SET revision = revision + 1 WHERE uid = ?', uid);
    return true;
  }

  private uidOf(user: string): number {
    const found = this.get('SELECT uid FROM users WHERE id = ?', user);
    if (found) return found.uid as number;
    return this.get('INSERT INTO users (id, columns, revision) VALUES (?, ?, 0) RETURNING uid', user, '{}')
      ?.uid as number;
  }

  async user(id: string, limit: number): Promise<StoredUser | null> {
    const found = this.get('SELECT uid, columns, revision FROM users WHERE id = ?', id);
    if (!found) return null;
    const events =
      limit === 0
        ? []
        : this.all(
            'SELECT item, type, time, rating, context FROM events WHERE uid = ? ORDER BY time DESC, seq DESC LIMIT ?',
            found.uid,
            limit,
          );
    return {
      columns: JSON.parse(found.columns as string),
      revision: found.revision as number,
      events: events.reverse().map(({ item, type, time, rating, context }) => ({
        item: item as string,
        type: type as string,
        time: time as number,
        rating: rating as number | null,
        context: context === null ? null : JSON.parse(context as string),
      })),
    };
  }

  async putUsers(users: readonly { id: string; columns: Record<string, string> }[]): Promise<void> {
    this.transaction(() => {
      for (const { id, columns } of users) {
        this.run(
          'INSERT INTO users (id, columns, revision) VALUES (?, ?, 0) ON CONFLICT (id) DO UPDATE SET columns = excluded.columns, revision = revision + 1',
          id,
          JSON.stringify(columns),
        );
      }
    });
  }

  async deleteUser(id: string): Promise<boolean> {
    const found = this.get('SELECT uid FROM users WHERE id = ?', id);
    if (!found) return false;
    this.transaction(() => {
      for (const table of ['events', 'shown', 'users']) this.run(`DELETE FROM ${table} WHERE uid = ?`, found.uid);
    });
    // What was overwritten is still in the log of writes.
    this.db.pragma('wal_checkpoint(TRUNCATE)');
    return true;
  }

  async putItems(
    items: readonly { id: string; title: string | null; attributes: Record<string, string> }[],
    now: number,
  ): Promise<void> {
    this.transaction(() => {
      const revision = this.revision() + 1;
      for (const { id, title, attributes } of items) {
        this.run(
          `INSERT INTO items (id, title, attributes, created, deleted, revision) VALUES (?, ?, ?, ?, 0, ?)
             ON CONFLICT (id) DO UPDATE SET title = excluded.title, attributes = excluded.attributes, deleted = 0, revision = excluded.revision`,
          id,
          title,
          JSON.stringify(attributes),
          now,
          revision,
        );
      }
    });
  }

  async deleteItem(id: string, now: number): Promise<void> {
    this.transaction(() =>
      this.run(
        `INSERT INTO items (id, title, attributes, created, deleted, revision) VALUES (?, NULL, '{}', ?, 1, ?)
           ON CONFLICT (id) DO UPDATE SET title = NULL, attributes = '{}', deleted = 1, revision = excluded.revision`,
        id,
        now,
        this.revision() + 1,
      ),
    );
  }

  private revision(): number {
    return (this.get('SELECT max(revision) AS n FROM items')?.n as number | null) ?? 0;
  }

  async itemsSince(revision: number): Promise<{ revision: number; items: StoredItem[] }> {
    const rows = this.all(
      'SELECT id, title, attributes, created, deleted, revision FROM items WHERE revision > ? ORDER BY revision, id',
      revision,
    );
    const items = rows.map(
      ({ id, title, attributes, created, deleted }): StoredItem => ({
        id: id as string,
        title: title as string | null,
        attributes: JSON.parse(attributes as string),
        created: created as number,
        deleted: deleted === 1,
      }),
    );
    return { revision: rows.length > 0 ? (rows[rows.length - 1].revision as number) : revision, items };
  }

  async counts(since: number): Promise<{ item: string; type: string; count: number }[]> {
    return this.all(
      'SELECT item, type, count(*) AS count FROM events WHERE time >= ? GROUP BY item, type',
      since,
    ) as never;
  }

  async eventsAfter(time: number, limit: number): Promise<StoredEvent[]> {
    const rows = this.all(
      `SELECT id AS user, item, type, time, rating, context, key FROM events JOIN users USING (uid)
         WHERE time > ? ORDER BY time, seq LIMIT ?`,
      time,
      limit,
    );
    return rows.map(
      ({ user, item, type, time, rating, context, key }): StoredEvent => ({
        user: user as string,
        item: item as string,
        type: type as string,
        time: time as number,
        rating: rating as number | null,
        context: context === null ? null : JSON.parse(context as string),
        id: key as string | null,
      }),
    );
  }

  async putShown(shown: readonly ({ user: string } & Shown)[]): Promise<void> {
    this.transaction(() => {
      for (const { user, time, model, items } of shown) {
        const found = this.get('SELECT uid FROM users WHERE id = ?', user);
        if (!found) continue; // never stored, or deleted meanwhile
        this.run(
          `INSERT INTO shown (uid, time, model, items) VALUES (?, ?, ?, ?)
             ON CONFLICT (uid) DO UPDATE SET time = excluded.time, model = excluded.model, items = excluded.items`,
          found.uid,
          time,
          model,
          JSON.stringify(items),
        );
      }
    });
  }

  async shown(user: string): Promise<Shown | null> {
    const row = this.get('SELECT time, model, items FROM shown JOIN users USING (uid) WHERE id = ?', user);
    return row
      ? { time: row.time as number, model: row.model as string, items: JSON.parse(row.items as string) }
      : null;
  }

  async sizes(): Promise<{ users: number; items: number; events: number }> {
    const count = (table: string): number => this.get(`SELECT count(*) AS n FROM ${table}`)?.n as number;
    return { users: count('users'), items: count('items'), events: count('events') };
  }

  async ping(): Promise<void> {
    this.get('SELECT 1');
  }

  async close(): Promise<void> {
    this.flush();
    this.db.pragma('wal_checkpoint(TRUNCATE)');
    this.db.close();
  }
}
