/** Vectors in PostgreSQL: the statements everywhere, a real pgvector where the server has one. */
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { afterAll, describe, expect, it } from 'vitest';
import { vectorStatements, writeVectorTables } from '../../interop/vectors/pgvector.node.ts';
import { startPostgres } from '../../scripts/postgres.mjs';
import { openWorkplace, SHARED } from '../cli/attune.ts';
import { build } from '../e2e/paths.ts';

const model = fileURLToPath(new URL('../fixtures/models/sequence', import.meta.url));
const postgres = await startPostgres();
const address = (await postgres?.database()) ?? '';
const client = postgres ? new pg.Client({ connectionString: address }) : null;
await client?.connect();
const found = await client?.query("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'");
const there = (found?.rowCount ?? 0) > 0;
if (client && !there) process.stderr.write('attune: what needs pgvector is skipped: this PostgreSQL has none\n');
afterAll(async () => {
  await client?.end();
  await postgres?.stop();
});

const HOSTILE = 'a"; DROP TABLE b; --';

describe('vectors in PostgreSQL', () => {
  it('are written by statements that quote names, and take values as parameters', () => {
    const name = '"a""; DROP TABLE b; --"';
    expect(vectorStatements(HOSTILE, 3)).toEqual({
      create: `CREATE TABLE IF NOT EXISTS ${name} (id text PRIMARY KEY, vector vector(3) NOT NULL)`,
      clear: `DELETE FROM ${name}`,
      insert: `INSERT INTO ${name} (id, vector) SELECT id, vector::vector(3) FROM unnest($1::text[], $2::text[]) AS row (id, vector)`,
    });
  });

  it.skipIf(!client || there)('name the extension where the server lacks it', async () => {
    await expect(writeVectorTables(address, [])).rejects.toThrow(/the server has no pgvector; install it there/);
  });

  const rows = (ids: string[], values: number[], table = HOSTILE) => ({
    ...{ table, ids, values: Float32Array.from(values), width: values.length / ids.length },
  });
  const read = async (table = HOSTILE) =>
    (
      await client?.query(`SELECT id, vector::text FROM ${pg.escapeIdentifier(table)} ORDER BY vector <#> '[1,0]', id`)
    )?.rows.map(({ id, vector }) => [id, JSON.parse(vector).map(Math.fround)]);

  it.skipIf(!there)('are all written, or none', async () => {
    const ids = ['__proto__', "'; --", ...Array.from({ length: 1200 }, (_, i) => `i${i}`)];
    const values = ids.flatMap((_, i) => [-1 - i, 0.1 + i / 7]);
    let written = 0;
    await writeVectorTables(address, [rows(ids, values)], { onRows: (n) => (written = n) });
    expect(written).toBe(ids.length);
    const exact = Array.from(Float32Array.from(values));
    expect(await read()).toEqual(ids.map((id, i) => [id, exact.slice(2 * i, 2 * i + 2)]));
    await expect(writeVectorTables(address, [rows(['x'], [1, 2])])).rejects.toThrow(
      /holds vectors already; replace them/,
    );
    const wider = writeVectorTables(address, [rows(['x'], [1, 2, 3])], { overwrite: true });
    await expect(wider).rejects.toThrow(/a column vector of type vector\(2\), expected vector\(3\); drop it/);
    // The second table cannot be written, so the first one keeps what it had.
    const twice = writeVectorTables(address, [rows(['x'], [1, 2]), rows(['y', 'y'], [1, 2, 3, 4], 'other')], {
      overwrite: true,
    });
    await expect(twice).rejects.toThrow(/duplicate key value/);
    expect(await read()).toHaveLength(ids.length);
    await writeVectorTables(address, [rows(['x'], [1, 2])], { overwrite: true });
    expect(await read()).toEqual([['x', [1, 2]]]);
  });

  it('are written by the command, whose errors hold no password', async () => {
    build();
    const place = openWorkplace(SHARED);
    const secret = address.replace('attune@', 'attune:hunter2@') || 'postgres://attune:hunter2@127.0.0.1:1/x';
    const run = (to: string, ...more: string[]) =>
      place.run(['vectors', '--model', model, '--to', to, '--json', ...more]);
    const gone = await run('postgres://attune:hunter2@127.0.0.1:1/x');
    expect([gone.code, gone.stderr]).toEqual([1, expect.stringMatching(/cannot be reached \(connect ECONNREFUSED/)]);
    expect((await run('mysql://a:hunter2@b/c')).stderr).toMatch(/expected postgres:/);
    expect((await place.run(['vectors', '--model', model])).stderr).toMatch(/--out DIR or --to ADDRESS is missing/);
    if (!there) return;
    const { code, stdout, stderr } = await run(secret, '--table', 'Shop', '--out', 'both');
    expect(code, stderr).toBe(0);
    const { items, to } = JSON.parse(stdout);
    expect(items).toMatchObject({ table: 'Shop_items', files: ['items.npy', 'items.parquet', 'items.ids.json'] });
    const ids: string[] = JSON.parse(place.read('both/items.ids.json'));
    const stored = (await client?.query('SELECT id, vector::text FROM "Shop_items"'))?.rows ?? [];
    expect(stored.map(({ id }) => id).sort()).toEqual([...ids].sort());
    expect(JSON.parse(stored[0].vector)).toHaveLength(items.width);
    const again = await run(secret, '--table', 'Shop');
    expect([again.code, again.stderr]).toEqual([
      1,
      expect.stringMatching(/Shop_items holds vectors already.*--overwrite/),
    ]);
    for (const text of [gone.stderr, stderr, stdout, again.stderr, String(to)]) expect(text).not.toMatch(/hunter2/);
  });
});
