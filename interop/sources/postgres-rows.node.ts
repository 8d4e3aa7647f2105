/** Rows of PostgreSQL. Loaded only where an address is named. */
import pg from 'pg';
import { InputError } from '../../data/errors.ts';
import type { RecordSink } from '../../data/formats/records.ts';
import { ticking } from './ticking.ts';

/** Rows that are fetched at once. */
const ROWS = 5000;
const BOOLEAN = 16;
const CURSOR = 'attune_log';

export interface PostgresQuery {
  address: string;
  /** the address in messages */
  where: string;
  sql: string;
  /** of the source, in messages */
  name: string;
}

/** A connection; what is wrong with it is one line, without a password. @throws InputError */
export async function connectPostgres(address: string, where: string): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString: address,
    connectionTimeoutMillis: 10_000,
    keepAlive: true,
    application_name: 'attune',
    types: { getTypeParser: parserOf as never },
  });
  client.on('error', () => {}); // the query that runs reports it
  try {
    await client.connect();
  } catch (error) {
    throw new InputError('file-access', `${where}: cannot be reached (${problemOf(error)})`);
  }
  return client;
}

/** What an error says; of several addresses that were tried, the first. */
export function problemOf(error: unknown): string {
  const { message, code, errors } = error as Error & { code?: string; errors?: Error[] };
  return (message || errors?.[0]?.message || code || 'no answer').replace(/\n.*/s, '');
}

/** Gives the rows of a query to a sink, a block at a time. @throws InputError for what the database refuses */
export async function readPostgres(
  { address, where, sql, name }: PostgresQuery,
  sink: RecordSink,
  tick: (rows: number) => void,
): Promise<void> {
  const client = await connectPostgres(address, where);
  let rows = 0;
  const run = <T>(work: Promise<T>): Promise<T> => {
    const own = work.catch((error) => {
      throw new InputError('unreadable-file', `${name}: ${problemOf(error)}`);
    });
    return ticking(
      own,
      () => tick(rows),
      () => void client.end(),
    );
  };
  try {
    await run(client.query("BEGIN READ ONLY; SET LOCAL TIME ZONE 'UTC'; SET LOCAL datestyle TO ISO"));
    await run(client.query(`DECLARE ${CURSOR} NO SCROLL CURSOR FOR ${sql.replace(/;\s*$/, '')}\n`));
    const fetch = { text: `FETCH ${ROWS} FROM ${CURSOR}`, rowMode: 'array' as const };
    for (let started = false; ; started = true) {
      const found = await run(client.query<(string | null)[]>(fetch));
      if (!started) {
        const header = found.fields.map((field) => field.name);
        sink.begin({ kind: 'table', delimiter: '', quoted: false, header, named: true, comment: null, skip: 0 });
      }
      for (const row of found.rows)
        sink.row(
          row.map((value) => value ?? ''),
          ++rows,
          false,
        );
      tick(rows);
      if (found.rows.length < ROWS) break;
    }
    sink.end('utf-8');
  } finally {
    await client.end().catch(() => {});
  }
}

/** Values as the database writes them: 64-bit integers are not rounded, times are not those of this machine. */
const parserOf = (type: number) =>
  type === BOOLEAN ? (value: string) => (value === 't' ? 'true' : 'false') : (value: string) => value;
