/**
 * The embedded database: one SQLite file in WAL mode, for one process of the server. Reads have a connection of their own,
 * so that they do not wait for the disk; writes that wait together are saved in one transaction and one fsync, which runs
 * in another thread.
 */
import { existsSync, realpathSync } from 'node:fs';
import path from 'node:path';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import Database from 'libsql';
import AsyncDatabase from 'libsql/promise';
import { InputError, option } from '../../data/errors.ts';
import { type Dialect, MIGRATIONS } from './migrations.ts';
import { scrubPage } from './scrub.ts';
import type { Bulk, Driver, Query, Row, Value } from './sql.ts';
import { StoreUnavailable } from './store.ts';

const DIALECT: Dialect = {
  serial: 'INTEGER PRIMARY KEY AUTOINCREMENT',
  integer: 'INTEGER',
  double: 'REAL',
  greatest: 'max',
  forUpdate: '',
  lockItems: null,
  texts: 'SELECT value FROM json_each(?)',
};

/** Tells a store from the SQLite files of other programs: "Attu". */
const APPLICATION = 0x41747475;
/** Milliseconds that a connection waits for another one; that an erasure waits for other programs that read the file. */
const WAIT = 100;
const READERS = 10_000;
/** Milliseconds of statements after which others have their turn. */
const TURN = 4;
/** Kilobytes of pages that each connection keeps; pages of the log after which they are moved into the file. */
const CACHE = 65_536;
const LOG = 8000;
/** Rows of values that one statement reads: more of them take longer to bind than they save. */
const ROWS = 64;
/** Pages that are scrubbed in one transaction. */
const PAGES = 256;

interface Statement {
  /** The first row, at once. */
  get(values: readonly unknown[]): Record<string, Value | Buffer> | undefined;
  /** All rows, from another thread. */
  all(values: readonly unknown[]): Promise<Row[]>;
  run(values: readonly unknown[]): { changes: number };
}

interface Job {
  work(query: Query): Promise<unknown>;
  resolve(result: never): void;
  reject(error: unknown): void;
}

export class SqliteDriver implements Driver {
  readonly name: string;
  readonly dialect = DIALECT;
  private readonly lock: Database.Database;
  private readonly reader: Database.Database;
  private readonly writer: AsyncDatabase;
  private readonly reads = new Map<string, Database.Statement>();
  private readonly writes = new Map<string, Statement>();
  private jobs: Job[] = [];
  private working: Promise<void> | null = null;
  /** The log is to be emptied before the next transaction. */
  private emptying: { resolve(done: boolean): void; reject(error: unknown): void }[] = [];
  private erasing: Promise<void> = Promise.resolve();
  private nextErasure: Promise<void> | null = null;
  private turnEnds = 0;
  private closed = false;

  private constructor(file: string, lock: Database.Database, writer: AsyncDatabase, reader: Database.Database) {
    this.name = `sqlite: ${file}`;
    this.lock = lock;
    this.writer = writer;
    this.reader = reader;
  }

  /** Opens a file, or makes it. @throws InputError where it is in use, none of ours, or made by a later version */
  static async open(file: string): Promise<SqliteDriver> {
    // Each connection would have a store of its own.
    if (file === ':memory:')
      throw new InputError('invalid-value', 'expected a file', { setting: 'store', value: file });
    const lock = lockFile(file);
    let writer: AsyncDatabase | null = null;
    let reader: Database.Database | null = null;
    try {
      writer = new AsyncDatabase(file, { timeout: WAIT });
      await migrate(writer, file);
      reader = new Database(file, { timeout: WAIT });
      reader.pragma('query_only = ON');
      reader.pragma(`cache_size = -${CACHE}`);
      const driver = new SqliteDriver(file, lock, writer, reader);
      await driver.checkpoint(); // what a process that was killed left in the log
      return driver;
    } catch (error) {
      reader?.close();
      writer?.close();
      unlock(lock);
      if (error instanceof InputError) throw error;
      throw new InputError('file-access', `${file}: cannot be opened as a store (${(error as Error).message})`);
    }
  }

  async all(sql: string, ...values: Value[]): Promise<Row[]> {
    this.requireOpen();
    const statement = this.reads.get(sql) ?? this.reader.prepare(sql);
    this.reads.set(sql, statement);
    try {
      return statement.all(values) as Row[];
    } catch (error) {
      this.reads.delete(sql); // it would repeat its error
      throw new StoreUnavailable(`${this.name}: ${(error as Error).message}`, { cause: error });
    }
  }

  async transaction<T>(work: (query: Query) => Promise<T>): Promise<T> {
    this.requireOpen();
    return new Promise<T>((resolve, reject) => {
      this.jobs.push({ work, resolve, reject } as Job);
      this.working ??= this.work();
    });
  }

  /** Runs what waits until nothing waits any more: the connection does one thing at a time. */
  private async work(): Promise<void> {
    await nextTurn();
    while (this.jobs.length > 0 || this.emptying.length > 0) {
      if (this.jobs.length > 0) await this.runJobs(this.jobs.splice(0));
      if (this.emptying.length > 0) await this.emptyLog(this.emptying.splice(0));
    }
    this.working = null;
  }

  /** One transaction. A job that fails is undone by itself. */
  private async runJobs(jobs: readonly Job[]): Promise<void> {
    const done: (() => void)[] = [];
    try {
      await this.writer.exec('BEGIN IMMEDIATE');
      for (const { work, resolve, reject } of jobs) {
        await this.run('SAVEPOINT job');
        try {
          const result = await work(this.query);
          done.push(() => resolve(result as never));
        } catch (error) {
          this.writes.clear(); // a statement that failed repeats its error
          await this.run('ROLLBACK TO job');
          reject(error);
        }
        await this.run('RELEASE job');
      }
      await this.writer.exec('COMMIT');
      for (const resolve of done) resolve();
    } catch (error) {
      this.writes.clear();
      if (inTransaction(this.writer)) await this.writer.exec('ROLLBACK');
      const problem = new StoreUnavailable(`${this.name}: ${(error as Error).message}`, { cause: error });
      for (const { reject } of jobs) reject(problem);
    }
  }

  /** Moves the log into the file; answers whether no other program that reads the file was in the way. */
  private async emptyLog(waiting: typeof this.emptying): Promise<void> {
    try {
      const [{ busy }] = (await this.writer.pragma('wal_checkpoint(TRUNCATE)', {})) as [{ busy: number }];
      for (const { resolve } of waiting) resolve(busy === 0);
    } catch (error) {
      for (const { reject } of waiting) reject(error);
    }
  }

  private readonly query: Query = {
    all: async (sql, ...values) => {
      const found = (await this.prepare(sql)).get(values);
      return found ? [found as Row] : [];
    },
    run: (sql, ...values) => this.run(sql, values),
    each: (bulk, rows) => this.each(bulk, rows),
  };

  private async run(sql: string, values: readonly Value[] = []): Promise<number> {
    const { changes } = (await this.prepare(sql)).run(values);
    await this.turn();
    return changes;
  }

  /** Many rows of values a run: what a call costs is more than what a row does. */
  private async each({ columns, sql }: Bulk, rows: readonly (readonly Value[])[]): Promise<Row[]> {
    const found: Row[] = [];
    for (let from = 0; from < rows.length; ) {
      const count = rows.length - from < ROWS ? 1 : ROWS;
      const statement = await this.prepare(sql(inputOf(Object.keys(columns), count)));
      const values = rows.slice(from, from + count).flat();
      const given = count === 1 ? [statement.get(values) as Row | undefined] : await statement.all(values);
      for (const row of given) if (row) found.push(row);
      from += count;
      await this.turn();
    }
    return found;
  }

  /** Lets requests and timers have their turn between many statements. */
  private async turn(): Promise<void> {
    if (performance.now() < this.turnEnds) return;
    await nextTurn();
    this.turnEnds = performance.now() + TURN;
  }

  private async prepare(sql: string): Promise<Statement> {
    const known = this.writes.get(sql) ?? ((await this.writer.prepare(sql)) as Statement);
    this.writes.set(sql, known);
    return known;
  }

  /** No other process has the file. */
  exclusively<T>(work: () => Promise<T>): Promise<T> {
    return work();
  }

  /** Those who ask before it starts share an erasure. */
  readonly erase = (): Promise<void> => {
    this.nextErasure ??= this.erasing = this.erasing
      .catch(() => {})
      .then(() => {
        this.nextErasure = null;
        return this.scrub();
      });
    return this.nextErasure;
  };

  /** Overwrites what deleted rows left in unused bytes of pages, and empties the log. */
  private async scrub(): Promise<void> {
    const [{ page_count: pages }] = this.reader.pragma('page_count') as [{ page_count: number }];
    for (let first = 1; first <= pages; first += PAGES) {
      await this.transaction(async () => {
        const read = await this.prepare('SELECT data FROM sqlite_dbpage WHERE pgno = ?');
        const write = await this.prepare('UPDATE sqlite_dbpage SET data = ? WHERE pgno = ?');
        const pageAt = (number: number) => read.get([number])?.data as Buffer | undefined;
        const reserved = pageAt(1)?.[20] ?? 0;
        for (let number = first; number < first + PAGES && number <= pages; number++) {
          const page = pageAt(number);
          if (page && scrubPage(page, number, reserved)) write.run([page, number]);
          await this.turn();
        }
      });
    }
    await this.checkpoint();
  }

  /** @throws StoreUnavailable while another program reads the file */
  private async checkpoint(): Promise<void> {
    for (const until = performance.now() + READERS; ; await sleep(WAIT)) {
      const emptied = await new Promise<boolean>((resolve, reject) => {
        this.emptying.push({ resolve, reject });
        this.working ??= this.work();
      });
      if (emptied) return;
      if (performance.now() > until)
        throw new StoreUnavailable(`${this.name}: another program reads the file, whose log cannot be emptied`);
    }
  }

  /** A connection that is closed ends the process when it is used. */
  private requireOpen(): void {
    if (this.closed) throw new StoreUnavailable(`${this.name}: is closed`);
  }

  async close(): Promise<void> {
    if (this.closed) return;
    await this.erasing.catch(() => {}); // the next start does it again
    while (this.working) await this.working;
    this.closed = true;
    await this.writer.pragma('wal_checkpoint(TRUNCATE)', {});
    this.reader.close();
    this.writer.close();
    unlock(this.lock);
  }
}

/** A table of so many rows, whose values are bound, a row after the other. */
function inputOf(columns: readonly string[], rows: number): string {
  const names = columns.map((name, i) => `column${i + 1} AS ${name}`);
  const values = Array.from({ length: rows }, (_, n) => `(${'?, '.repeat(columns.length)}${n})`);
  return `(SELECT ${names.join(', ')}, column${columns.length + 1} AS n FROM (VALUES ${values.join(', ')})) AS input`;
}

const inTransaction = (db: AsyncDatabase): boolean => (db as unknown as { inTransaction: boolean }).inTransaction;

/**
 * A lock that ends with the process, however it ends: a file beside the store on which SQLite holds its exclusive lock. The
 * store itself stays readable for others, such as a backup.
 */
function lockFile(file: string): Database.Database {
  let lock: Database.Database | null = null;
  try {
    lock = new Database(`${target(file)}-lock`);
    lock.pragma('journal_mode = MEMORY');
    lock.exec('BEGIN EXCLUSIVE');
    return lock;
  } catch (error) {
    lock?.close();
    const { code, message } = error as { code?: string; message: string };
    if (code === 'SQLITE_BUSY')
      throw new InputError('locked', `${file}: in use by another process`, {
        hint: `stop that one, name another ${option('store')}, or let several processes share PostgreSQL`,
      });
    const reason = existsSync(path.dirname(file)) ? message : 'no such folder';
    throw new InputError('file-access', `${file}: cannot be opened as a store (${reason})`);
  }
}

/** Ends the transaction itself: closing waits until statements are collected. */
function unlock(lock: Database.Database): void {
  lock.exec('ROLLBACK');
  lock.close();
}

/** The file that a path leads to, so that two paths to one file have one lock. */
function target(file: string): string {
  try {
    return realpathSync(file);
  } catch {
    return file; // not there yet
  }
}

async function migrate(writer: AsyncDatabase, file: string): Promise<void> {
  const pragma = async (text: string): Promise<number> => {
    const [row] = (await writer.pragma(text, {})) as Record<string, number>[];
    return row && Object.values(row)[0];
  };
  const version = await pragma('user_version');
  const foreign = (await pragma('application_id')) !== APPLICATION && (version > 0 || (await pragma('page_count')) > 0);
  if (foreign) throw new InputError('invalid-data', `${file}: a SQLite file of another program, not a store`);
  if (version > MIGRATIONS.length)
    throw new InputError('unsupported', `${file}: a store of version ${version}, made by a later Attune`, {
      hint: `upgrade Attune, which reads up to ${MIGRATIONS.length}`,
    });
  for (const text of ['journal_mode = WAL', 'synchronous = FULL', 'secure_delete = ON', 'foreign_keys = ON'])
    await pragma(text);
  await pragma(`cache_size = -${CACHE}`);
  await pragma(`wal_autocheckpoint = ${LOG}`);
  for (const [i, step] of MIGRATIONS.entries()) {
    if (i < version) continue;
    const steps = [...step(DIALECT), `PRAGMA application_id = ${APPLICATION}`, `PRAGMA user_version = ${i + 1}`];
    await writer.exec(`BEGIN IMMEDIATE; ${steps.join('; ')}; COMMIT`);
  }
}
