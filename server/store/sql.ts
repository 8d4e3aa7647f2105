/** The store in SQL, on a database that a driver opens. What both databases understand is written here once. */
import { InputError } from '../../data/errors.ts';
import { textFault } from '../http/text.ts';
import { type Dialect, EVENT_INDEXES } from './migrations.ts';
import type { Shown, Store, StoredEvent, StoredItem, StoredUser } from './store.ts';

export type Value = string | number | null;
export type Row = Record<string, Value>;

/** A statement over many rows of values, which it reads from a table: `SELECT input.id FROM ${input}`; `input.n` orders them. */
export interface Bulk {
  columns: Readonly<Record<string, 'text' | 'bigint' | 'double precision'>>;
  sql(input: string): string;
}

/** Statements have `?` for values. */
export interface Query {
  all(sql: string, ...values: Value[]): Promise<Row[]>;
  /** @returns rows changed */
  run(sql: string, ...values: Value[]): Promise<number>;
  /** @returns the rows that the statement gives, in any order */
  each(bulk: Bulk, rows: readonly (readonly Value[])[]): Promise<Row[]>;
}

export interface Driver {
  readonly name: string;
  readonly dialect: Dialect;
  /** A query outside of transactions. */
  all(sql: string, ...values: Value[]): Promise<Row[]>;
  /** All of the work or nothing of it, on the disk when it resolves. The work may be run again from its start. */
  transaction<T>(work: (query: Query) => Promise<T>): Promise<T>;
  /** Runs work while no other process does such work on this store: they wait for each other. */
  exclusively<T>(work: () => Promise<T>): Promise<T>;
  /** Removes what deleted rows left in files; null where the database has its own ways. */
  erase: (() => Promise<void>) | null;
  close(): Promise<void>;
}

/** The note that deleted rows have left traces that are still to be erased. */
const ERASE = 'erase';
/** The note of an import that has not ended, with what tells its log from others. */
const IMPORT = 'import';
/** Most events of a transaction that joins several requests. */
const JOINED = 10_000;
/** Events that are counted at once. */
const COUNTED = 2000;

const FIND_KEYS: Bulk = {
  columns: { key: 'text' },
  sql: (input) => `SELECT events.key FROM ${input} JOIN events ON events.key = input.key`,
};
const TOUCH_USERS = (greatest: string): Bulk => ({
  columns: { id: 'text', columns: 'text', revision: 'bigint' },
  sql: (input) => `INSERT INTO users (id, columns, revision)
    SELECT input.id, coalesce(input.columns, '{}'), input.revision FROM ${input} WHERE TRUE ORDER BY input.n
    ON CONFLICT (id) DO UPDATE SET revision = ${greatest}(users.revision + 1, excluded.revision) RETURNING uid, id`,
});
const PUT_USERS = (greatest: string): Bulk => ({
  columns: { id: 'text', columns: 'text', revision: 'bigint' },
  sql: (input) => `INSERT INTO users (id, columns, revision)
    SELECT input.id, input.columns, input.revision FROM ${input} WHERE TRUE ORDER BY input.n
    ON CONFLICT (id) DO UPDATE SET columns = excluded.columns, revision = ${greatest}(users.revision + 1, excluded.revision)`,
});
const ADD_EVENTS: Bulk = {
  columns: {
    uid: 'bigint',
    item: 'text',
    type: 'text',
    time: 'double precision',
    rating: 'double precision',
    context: 'text',
    key: 'text',
  },
  sql: (input) => `INSERT INTO events (uid, item, type, time, rating, context, key)
    SELECT input.uid, input.item, input.type, input.time, input.rating, input.context, input.key
    FROM ${input} WHERE TRUE ORDER BY input.n ON CONFLICT (key) DO NOTHING RETURNING key`,
};
const PUT_ITEMS: Bulk = {
  columns: {
    id: 'text',
    title: 'text',
    attributes: 'text',
    created: 'double precision',
    deleted: 'bigint',
    revision: 'bigint',
  },
  sql: (input) => `INSERT INTO items (id, title, attributes, created, deleted, revision)
    SELECT input.id, input.title, input.attributes, input.created, input.deleted, input.revision
    FROM ${input} WHERE TRUE ORDER BY input.n
    ON CONFLICT (id) DO UPDATE SET title = excluded.title, attributes = excluded.attributes, deleted = excluded.deleted,
      revision = excluded.revision`,
};
const PUT_SHOWN: Bulk = {
  columns: { id: 'text', time: 'double precision', model: 'text', items: 'text' },
  // A user who was never stored, or is deleted meanwhile, has no row to join.
  sql: (input) => `INSERT INTO shown (uid, time, model, items)
    SELECT users.uid, input.time, input.model, input.items FROM ${input} JOIN users ON users.id = input.id
    WHERE TRUE ORDER BY input.n
    ON CONFLICT (uid) DO UPDATE SET time = excluded.time, model = excluded.model, items = excluded.items`,
};

interface Waiting {
  events: readonly StoredEvent[];
  resolve(added: boolean[]): void;
  reject(error: unknown): void;
}

/** @throws InputError for a text that a database would change or refuse */
function requireStorable(texts: readonly (string | null)[]): void {
  for (const text of texts) {
    const fault = text === null ? null : textFault(text);
    if (fault) throw new InputError('invalid-data', `${JSON.stringify(text)} has ${fault} in it`);
  }
}

/** The last of each ID, ordered by ID: transactions that hold several rows must take them in one order. */
function lastById<T extends { id: string }>(given: readonly T[]): T[] {
  const last = new Map(given.map((own) => [own.id, own]));
  return [...last.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
}

const contextOf = (text: Value): Record<string, string> | null => (text === null ? null : JSON.parse(text as string));

export class SqlStore implements Store {
  private readonly driver: Driver;
  private waiting: Waiting[] = [];
  private saving: Promise<void> | null = null;

  private constructor(driver: Driver) {
    this.driver = driver;
  }

  /** Takes a driver whose schema is up to date, and erases what a process that was killed had left to erase. */
  static async open(driver: Driver): Promise<SqlStore> {
    const store = new SqlStore(driver);
    if (await store.note(ERASE)) await store.erase();
    return store;
  }

  get name(): string {
    return this.driver.name;
  }

  async addEvents(events: readonly StoredEvent[]): Promise<boolean[]> {
    for (const { user, item, type, time, rating, context, id } of events) {
      requireStorable([user, item, type, id]);
      if (context) requireStorable(Object.entries(context).flat());
      if (!Number.isFinite(time) || !(rating === null || Number.isFinite(rating)))
        throw new InputError('invalid-data', `expected a finite time and rating, got ${time} and ${rating}`);
    }
    return new Promise((resolve, reject) => {
      this.waiting.push({ events, resolve, reject });
      this.saving ??= this.saveWaiting();
    });
  }

  /** Saves what waits, several requests in one transaction, until nothing waits any more. */
  private async saveWaiting(): Promise<void> {
    // What arrives in the same turn waits together.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.waiting.length > 0) {
      let size = 0;
      const next = this.waiting.findIndex(({ events }, i) => (size += events.length) > JOINED && i > 0);
      await this.save(this.waiting.splice(0, next < 0 ? this.waiting.length : next));
    }
    this.saving = null;
  }

  private async save(requests: readonly Waiting[]): Promise<void> {
    try {
      const added = await this.insert(requests.flatMap(({ events }) => events));
      let from = 0;
      for (const { events, resolve } of requests) resolve(added.slice(from, (from += events.length)));
    } catch (error) {
      // One request's fault is not the others'.
      if (requests.length === 1) requests[0].reject(error);
      else for (const request of requests) await this.save([request]);
    }
  }

  private insert(events: readonly StoredEvent[]): Promise<boolean[]> {
    const { greatest } = this.driver.dialect;
    const now = Date.now();
    return this.driver.transaction(async (query) => {
      const keys = events.flatMap(({ id }) => (id === null ? [] : [[id]]));
      const known = new Set(keys.length === 0 ? [] : (await query.each(FIND_KEYS, keys)).map(({ key }) => key));
      // Of several with one id in this request, the first.
      const isNew = events.map(({ id }) => id === null || (!known.has(id) && known.add(id).has(id)));
      const fresh = events.filter((_, i) => isNew[i]);
      const users = [...new Set(fresh.map(({ user }) => user))].sort();
      const rows = await query.each(
        TOUCH_USERS(greatest),
        users.map((id) => [id, null, now]),
      );
      const uids = new Map(rows.map(({ id, uid }) => [id, uid]));
      const inserted = await query.each(
        ADD_EVENTS,
        fresh.map(({ user, item, type, time, rating, context, id }) => [
          uids.get(user) as number,
          item,
          type,
          time,
          rating,
          context && JSON.stringify(context),
          id,
        ]),
      );
      // Another process may have added the same ids since they were looked for.
      const there = new Set(inserted.map(({ key }) => key));
      return events.map(({ id }, i) => isNew[i] && (id === null || there.has(id)));
    });
  }

  async user(id: string, limit: number): Promise<StoredUser | null> {
    const [found] = await this.driver.all('SELECT uid, columns, revision FROM users WHERE id = ?', id);
    if (!found) return null;
    const events =
      limit === 0
        ? []
        : await this.driver.all(
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
        context: contextOf(context),
      })),
    };
  }

  async putUsers(users: readonly { id: string; columns: Record<string, string> }[]): Promise<void> {
    requireStorable(users.flatMap(({ id, columns }) => [id, ...Object.entries(columns).flat()]));
    const now = Date.now();
    const rows = lastById(users).map(({ id, columns }) => [id, JSON.stringify(columns), now]);
    await this.driver.transaction((query) => query.each(PUT_USERS(this.driver.dialect.greatest), rows));
  }

  async deleteUser(id: string): Promise<boolean> {
    const { erase, dialect } = this.driver;
    const found = await this.driver.transaction(async (query) => {
      const [row] = await query.all(`SELECT uid FROM users WHERE id = ? ${dialect.forUpdate}`, id);
      if (!row) return false;
      const { uid } = row;
      // In parts, between which others have their turn.
      const part = 'DELETE FROM events WHERE seq IN (SELECT seq FROM events WHERE uid = ? LIMIT 500)';
      while ((await query.run(part, uid)) > 0);
      for (const table of ['shown', 'users']) await query.run(`DELETE FROM ${table} WHERE uid = ?`, uid);
      if (erase) await writeNote(query, ERASE, 'after a user was deleted');
      return true;
    });
    if (found && erase) await this.erase();
    return found;
  }

  private async erase(): Promise<void> {
    await this.driver.erase?.();
    await this.driver.transaction((query) => writeNote(query, ERASE, null));
  }

  async putItems(
    items: readonly { id: string; title: string | null; attributes: Record<string, string> }[],
    now: number,
  ): Promise<void> {
    requireStorable(items.flatMap(({ id, title, attributes }) => [id, title, ...Object.entries(attributes).flat()]));
    await this.writeItems(lastById(items).map((item) => ({ ...item, deleted: false, created: now })));
  }

  deleteItem(id: string, now: number): Promise<void> {
    return this.writeItems([{ id, title: null, attributes: {}, deleted: true, created: now }]);
  }

  private async writeItems(items: readonly StoredItem[]): Promise<void> {
    await this.driver.transaction(async (query) => {
      const { lockItems } = this.driver.dialect;
      if (lockItems !== null) await query.run(lockItems);
      const [{ last }] = await query.all('SELECT max(revision) AS last FROM items');
      const revision = ((last as number | null) ?? 0) + 1;
      await query.each(
        PUT_ITEMS,
        items.map(({ id, title, attributes, created, deleted }) => [
          id,
          title,
          JSON.stringify(attributes),
          created,
          Number(deleted),
          revision,
        ]),
      );
    });
  }

  async itemsSince(revision: number): Promise<{ revision: number; items: StoredItem[] }> {
    const rows = await this.driver.all(
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

  async counts(after: number, upTo: number): Promise<{ item: string; type: string; count: number }[]> {
    const sums = new Map<string, { item: string; type: string; count: number }>();
    for (let from = after; from < upTo; ) {
      const [last] = await this.driver.all(
        'SELECT time FROM events WHERE time > ? AND time <= ? ORDER BY time LIMIT 1 OFFSET ?',
        from,
        upTo,
        COUNTED - 1,
      );
      const to = last ? (last.time as number) : upTo;
      const rows = await this.driver.all(
        'SELECT item, type, count(*) AS count FROM events WHERE time > ? AND time <= ? GROUP BY item, type',
        from,
        to,
      );
      for (const row of rows) {
        const [item, type, count] = [row.item as string, row.type as string, row.count as number];
        const key = `${type}\0${item}`;
        const sum = sums.get(key);
        if (sum) sum.count += count;
        else sums.set(key, { item, type, count });
      }
      from = to;
      await new Promise((resolve) => setImmediate(resolve)); // others have their turn
    }
    return [...sums.values()];
  }

  async eventsAfter(time: number, limit: number): Promise<StoredEvent[]> {
    const rows = await this.driver.all(
      `SELECT users.id, item, type, time, rating, context, key FROM events JOIN users ON users.uid = events.uid
         WHERE time > ? ORDER BY time, seq LIMIT ?`,
      time,
      limit,
    );
    return rows.map(
      ({ id, item, type, time, rating, context, key }): StoredEvent => ({
        user: id as string,
        item: item as string,
        type: type as string,
        time: time as number,
        rating: rating as number | null,
        context: contextOf(context),
        id: key as string | null,
      }),
    );
  }

  async putShown(shown: readonly ({ user: string } & Shown)[]): Promise<void> {
    const rows = lastById(shown.map(({ user, ...rest }) => ({ id: user, ...rest }))).map(
      ({ id, time, model, items }) => [id, time, model, JSON.stringify(items)],
    );
    await this.driver.transaction((query) => query.each(PUT_SHOWN, rows));
  }

  async shown(users: readonly string[]): Promise<Map<string, Shown>> {
    const rows = await this.driver.all(
      `SELECT id, time, model, items FROM shown JOIN users ON users.uid = shown.uid
         WHERE id IN (${this.driver.dialect.texts})`,
      JSON.stringify(users),
    );
    return new Map(
      rows.map(({ id, time, model, items }) => [
        id as string,
        { time: time as number, model: model as string, items: JSON.parse(items as string) },
      ]),
    );
  }

  async sizes(): Promise<{ users: number; items: number; events: number }> {
    const [{ users, items, events }] = await this.driver.all(
      'SELECT (SELECT count(*) FROM users) AS users, (SELECT count(*) FROM items) AS items, (SELECT count(*) FROM events) AS events',
    );
    return { users: users as number, items: items as number, events: events as number };
  }

  exclusively<T>(work: () => Promise<T>): Promise<T> {
    return this.driver.exclusively(work);
  }

  importing(): Promise<string | null> {
    return this.note(IMPORT);
  }

  async startImport(log: string): Promise<void> {
    await this.driver.transaction(async (query) => {
      await writeNote(query, IMPORT, log);
      for (const name of Object.keys(EVENT_INDEXES)) await query.run(`DROP INDEX IF EXISTS ${name}`);
    });
  }

  async endImport(): Promise<void> {
    await this.driver.transaction(async (query) => {
      for (const [name, columns] of Object.entries(EVENT_INDEXES))
        await query.run(`CREATE INDEX IF NOT EXISTS ${name} ON events ${columns}`);
      await writeNote(query, IMPORT, null);
    });
  }

  /** What the store keeps for itself; null where there is nothing under this name. */
  private async note(name: string): Promise<string | null> {
    const [row] = await this.driver.all('SELECT value FROM notes WHERE name = ?', name);
    return (row?.value as string | undefined) ?? null;
  }

  async ping(): Promise<void> {
    await this.driver.all('SELECT 1');
  }

  async close(): Promise<void> {
    await this.saving;
    await this.driver.close();
  }
}

async function writeNote(query: Query, name: string, value: string | null): Promise<void> {
  if (value === null) await query.run('DELETE FROM notes WHERE name = ?', name);
  else
    await query.run(
      'INSERT INTO notes (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value',
      name,
      value,
    );
}
