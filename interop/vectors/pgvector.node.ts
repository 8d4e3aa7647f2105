/**
 * Vectors in a table of PostgreSQL with pgvector: `id text primary key, vector vector(width)`. What is written is seen all at
 * once, and readers see the old vectors until then.
 */
import pg from 'pg';
import { InputError, option } from '../../data/errors.ts';
import { aboutAddress } from '../sources/postgres.node.ts';
import { connectPostgres, problemOf } from '../sources/postgres-rows.node.ts';

/** Rows of one statement. */
const ROWS = 500;

export interface VectorTable {
  /** its name, whatever it contains */
  table: string;
  ids: readonly string[];
  /** [ids, width] */
  values: Float32Array;
  width: number;
}

export interface WriteOptions {
  /** Whether vectors that the tables hold are replaced; indexes and grants stay. */
  overwrite?: boolean;
  onRows?(rows: number): void;
}

/** The statements for a table; `insert` takes arrays of IDs and of vectors as text. */
export function vectorStatements(table: string, width: number): { create: string; clear: string; insert: string } {
  const name = pg.escapeIdentifier(table);
  return {
    create: `CREATE TABLE IF NOT EXISTS ${name} (id text PRIMARY KEY, vector vector(${width}) NOT NULL)`,
    clear: `DELETE FROM ${name}`,
    insert: `INSERT INTO ${name} (id, vector) SELECT id, vector::vector(${width}) FROM unnest($1::text[], $2::text[]) AS row (id, vector)`,
  };
}

/** Writes tables in one transaction. @throws InputError in one line, without the address's password */
export async function writeVectorTables(
  address: string,
  tables: readonly VectorTable[],
  { overwrite = false, onRows }: WriteOptions = {},
): Promise<void> {
  const { where } = aboutAddress(address);
  const client = await connectPostgres(address, where);
  try {
    await client.query('BEGIN');
    await requireExtension(client, where);
    let done = 0;
    for (const { table, ids, values, width } of tables) {
      const { create, clear, insert } = vectorStatements(table, width);
      await client.query(create);
      await requireWidth(client, table, width, where);
      if (overwrite) await client.query(clear);
      else await requireEmpty(client, table, where);
      for (let from = 0; from < ids.length; from += ROWS) {
        const some = ids.slice(from, from + ROWS);
        const vectors = some.map((_, i) => textOfVector(values.subarray((from + i) * width, (from + i + 1) * width)));
        await client.query(insert, [some, vectors]);
        onRows?.((done += some.length));
      }
    }
    await client.query('COMMIT');
  } catch (error) {
    if (error instanceof InputError) throw error;
    throw new InputError('file-access', `${where}: ${problemOf(error)}`);
  } finally {
    await client.end().catch(() => {}); // which rolls back what was not committed
  }
}

const textOfVector = (values: Float32Array): string => `[${values.join(',')}]`;

async function requireExtension(client: pg.Client, where: string): Promise<void> {
  const { rows } = await client.query("SELECT installed_version FROM pg_available_extensions WHERE name = 'vector'");
  if (rows.length === 0) {
    throw new InputError('unsupported', `${where}: the server has no pgvector`, {
      hint: 'install it there, as the package postgresql-17-pgvector',
    });
  }
  if (rows[0].installed_version === null) await client.query('CREATE EXTENSION vector');
}

/** The table may be older: pgvector keeps the width as the column's type modifier. */
async function requireWidth(client: pg.Client, table: string, width: number, where: string): Promise<void> {
  const { rows } = await client.query(
    "SELECT format_type(atttypid, atttypmod) AS type FROM pg_attribute WHERE attrelid = to_regclass($1) AND attname = 'vector'",
    [pg.escapeIdentifier(table)],
  );
  const type = rows[0]?.type as string | undefined;
  if (type === `vector(${width})`) return;
  throw new InputError(
    'mismatched-data',
    `${where}: the table ${table} has ${type ? `a column vector of type ${type}` : 'no column vector'}, expected vector(${width})`,
    { hint: 'drop it, or choose another table' },
  );
}

async function requireEmpty(client: pg.Client, table: string, where: string): Promise<void> {
  const { rows } = await client.query(`SELECT 1 FROM ${pg.escapeIdentifier(table)} LIMIT 1`);
  if (rows.length === 0) return;
  throw new InputError('already-exists', `${where}: the table ${table} holds vectors already`, {
    hint: `replace them with ${option('overwrite')}, or choose another table`,
  });
}
