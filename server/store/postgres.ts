/** PostgreSQL, which several replicas of the server share. The tables are in a schema of their own, `attune`. */
import { createHash } from 'node:crypto';
import pg from 'pg';
import { InputError } from '../../data/errors.ts';
import { type Dialect, MIGRATIONS } from './migrations.ts';
import type { Bulk, Driver, Query, Row, Value } from './sql.ts';
import { StoreUnavailable } from './store.ts';

const DIALECT: Dialect = {
  serial: 'BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY',
  integer: 'BIGINT',
  double: 'DOUBLE PRECISION',
  greatest: 'greatest',
  forUpdate: 'FOR UPDATE',
  lockItems: 'LOCK TABLE items IN EXCLUSIVE MODE',
  texts: 'SELECT json_array_elements_text(?::json)',
};

/** Key of the advisory lock under which one replica at a time migrates: "Attu". */
const MIGRATING = 0x41747475;
/** Key of the advisory lock of what one replica at a time does: "Attx". */
const ALONE = 0x41747478;
/** Connections of one replica. */
const CONNECTIONS = 10;
/** Times that a transaction is run before its error counts. */
const TRIES = 10;

/** Another transaction came in between: a deadlock, or the row that a foreign key named is gone. */
const AGAIN = new Set(['40P01', '40001', '23503']);
/** Errors of the connection or of the server as a whole, not of a statement. */
const UNAVAILABLE = /^(08|53|57P|58)/;

export class PostgresDriver implements Driver {
  readonly name: string;
  readonly dialect = DIALECT;
  readonly erase = null;
  private readonly pool: pg.Pool;

  private constructor(pool: pg.Pool, name: string) {
    this.pool = pool;
    this.name = name;
  }

  /** Connects, and brings the schema up to date. @throws InputError where that cannot be done; it holds no password */
  static async open(address: string): Promise<PostgresDriver> {
    const name = nameOf(address);
    const pool = new pg.Pool({
      connectionString: address,
      max: CONNECTIONS,
      connectionTimeoutMillis: 5000,
      keepAlive: true,
      application_name: 'attune',
      types: { getTypeParser: parserOf as never },
      async onConnect(client) {
        client.on('error', () => {});
        await client.query('SET search_path TO attune');
      },
    });
    // A connection that breaks, idle or not, is replaced: the query that runs or the next one reports what is wrong.
    pool.on('error', () => {});
    try {
      await migrate(pool, name);
    } catch (error) {
      await pool.end();
      if (error instanceof InputError) throw error;
      throw new InputError('file-access', `${name}: cannot be used as a store (${messageOf(error)})`);
    }
    return new PostgresDriver(pool, name);
  }

  all(sql: string, ...values: Value[]): Promise<Row[]> {
    return this.guarded(async () => (await this.pool.query(prepared(sql, values))).rows);
  }

  transaction<T>(work: (query: Query) => Promise<T>): Promise<T> {
    return this.guarded(async () => {
      for (let tries = 1; ; tries++) {
        const client = await this.pool.connect();
        let broken: Error | undefined;
        try {
          await client.query('BEGIN');
          const result = await work(queryOf(client));
          await client.query('COMMIT');
          return result;
        } catch (error) {
          await client.query('ROLLBACK').catch((failed) => (broken = failed));
          if (tries === TRIES || !AGAIN.has((error as pg.DatabaseError).code ?? '')) throw error;
        } finally {
          client.release(broken);
        }
      }
    });
  }

  async exclusively<T>(work: () => Promise<T>): Promise<T> {
    const client = await this.guarded(() => this.pool.connect());
    try {
      await this.guarded(() => client.query('SELECT pg_advisory_lock($1)', [ALONE]));
      return await work();
    } finally {
      client.release(true); // the lock ends with the connection
    }
  }

  private async guarded<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      const { code } = error as pg.DatabaseError;
      if (error instanceof pg.DatabaseError ? !UNAVAILABLE.test(code ?? '') : error instanceof InputError) throw error;
      throw new StoreUnavailable(`${this.name}: ${messageOf(error)}`, { cause: error });
    }
  }

  async close(): Promise<void> {
    await this.pool.end();
  }
}

/** Host and database of an address, for people. @throws InputError that does not repeat the address, whose password is a secret */
function nameOf(address: string): string {
  let url: URL;
  try {
    url = new URL(address);
  } catch {
    throw new InputError('invalid-value', 'expected postgres://USER@HOST:PORT/DATABASE', { setting: 'store' });
  }
  return `postgres: ${url.searchParams.get('host') ?? url.host}${decodeURIComponent(url.pathname)}`;
}

/** What an error says; of several addresses that were tried, the first. */
function messageOf(error: unknown): string {
  const { message, code, errors } = error as Error & { code?: string; errors?: Error[] };
  return message || errors?.[0]?.message || code || 'no answer';
}

/** 64-bit integers as numbers: counts and serial numbers stay below 2^53. */
const INT8 = 20;
const parserOf = (type: number, format?: 'text' | 'binary') =>
  type === INT8 ? Number : pg.types.getTypeParser(type, format as 'text');

const texts = new Map<string, { name: string; text: string }>();

/** A statement under a name, by which each connection prepares it once; `?` as `$1`, `$2`. */
function prepared(sql: string, values: readonly unknown[]): pg.QueryConfig {
  let known = texts.get(sql);
  if (!known) {
    let n = 0;
    const text = sql.replace(/\?/g, () => `$${++n}`);
    known = { name: createHash('sha256').update(text).digest('hex').slice(0, 32), text };
    texts.set(sql, known);
  }
  return { ...known, values: values as unknown[] };
}

const queryOf = (client: pg.PoolClient): Query => ({
  all: async (sql, ...values) => (await client.query(prepared(sql, values))).rows,
  run: async (sql, ...values) => (await client.query(prepared(sql, values))).rowCount ?? 0,
  each: async ({ columns, sql }: Bulk, rows) => {
    if (rows.length === 0) return [];
    const names = Object.keys(columns);
    const arrays = Object.values(columns).map((type) => `?::${type}[]`);
    const input = `unnest(${arrays.join(', ')}) WITH ORDINALITY AS input (${names.join(', ')}, n)`;
    const values = names.map((_, i) => rows.map((row) => row[i]));
    return (await client.query(prepared(sql(input), values))).rows;
  },
});

/** One replica at a time brings the schema up to date. */
async function migrate(pool: pg.Pool, name: string): Promise<void> {
  const client = await pool.connect();
  let broken: Error | undefined;
  try {
    await client.query('BEGIN');
    await client.query('SELECT pg_advisory_xact_lock($1)', [MIGRATING]);
    const { rows: encodings } = await client.query('SHOW server_encoding');
    if (encodings[0].server_encoding !== 'UTF8')
      throw new InputError('unsupported', `${name}: expected a database in UTF8, got ${encodings[0].server_encoding}`);
    const { rows: schemas } = await client.query(`SELECT 1 FROM pg_namespace WHERE nspname = 'attune'`);
    if (schemas.length === 0) await client.query('CREATE SCHEMA attune');
    await client.query('CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)');
    const { rows } = await client.query('SELECT version FROM schema_version');
    const version: number = rows[0]?.version ?? 0;
    if (version > MIGRATIONS.length)
      throw new InputError('unsupported', `${name}: a store of version ${version}, made by a later Attune`, {
        hint: `upgrade Attune, which reads up to ${MIGRATIONS.length}`,
      });
    for (const step of MIGRATIONS.slice(version)) for (const sql of step(DIALECT)) await client.query(sql);
    if (version < MIGRATIONS.length) {
      await client.query('DELETE FROM schema_version');
      await client.query('INSERT INTO schema_version VALUES ($1)', [MIGRATIONS.length]);
    }
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK').catch((failed) => (broken = failed));
    throw error;
  } finally {
    client.release(broken);
  }
}
