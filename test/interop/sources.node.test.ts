/** Rows that DuckDB and PostgreSQL give, beside the readers of data/: the same log for the same rows. */
import { createReadStream, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parquetWriteBuffer } from 'hyparquet-writer';
import pg from 'pg';
import { afterAll, describe, expect, it } from 'vitest';
import { openLog } from '../../cli/input/data.ts';
import { expandPaths, filesOfLog, joinQuery, pathsExist } from '../../cli/input/paths.ts';
import { missingPackage } from '../../cli/packages.ts';
import { buildProgram } from '../../cli/program.ts';
import { InputError } from '../../data/errors.ts';
import { readLog } from '../../data/formats/reader.ts';
import type { Log } from '../../data/log.ts';
import { rowSource } from '../../interop/sources/source.ts';
import { startPostgres } from '../../scripts/postgres.mjs';

const postgres = await startPostgres();
const folder = mkdtempSync(join(tmpdir(), 'attune-sources-'));
afterAll(async () => {
  await postgres?.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** Rows whose IDs no reader may touch. */
const IDS = [
  '__proto__',
  'constructor',
  '007',
  '1.0',
  '1e3',
  'true',
  'NULL',
  ' a',
  'a,b',
  'say "hi"',
  'ß',
  '2024-01-01',
];
IDS.push(
  '9007199254740993',
  '18446744073709551615',
  'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11',
  "'; DROP TABLE t; --",
  '٣',
);
const rows = IDS.flatMap((user, u) =>
  Array.from({ length: 3 }, (_, i) => ({
    user,
    item: IDS[(u * 5 + i * 7) % IDS.length],
    rating: i === 1 ? null : 3.5 + (u % 3) / 2,
    time: i === 2 ? null : 1_700_000_000 + ((u * 7919 + i * 104_729) % 5000),
    device: u % 4 === 0 ? '' : `phone ${u % 3}`,
  })),
);
const reading = { columns: {}, context: ['device'], maxBadRows: 0 };
const HEADER = ['user', 'item', 'rating', 'time', 'device'] as const;
const csvField = (value: unknown): string => {
  const text = value === null ? '' : String(value);
  return /[",\n]/.test(text) || text !== text.trim() ? `"${text.replaceAll('"', '""')}"` : text;
};
const csv = [HEADER.join(), ...rows.map((row) => HEADER.map((name) => csvField(row[name])).join())].join('\n');
// Integers beyond 2^53 are numbers there.
const jsonLines = rows.map((row) => JSON.stringify(row).replace(/"(\d{16,})"/g, '$1')).join('\n');
const column = (name: (typeof HEADER)[number], type: 'STRING' | 'DOUBLE') =>
  ({ name, data: rows.map((row) => row[name]), type, nullable: true }) as const;
const parquet = parquetWriteBuffer({
  columnData: [
    column('user', 'STRING'),
    column('item', 'STRING'),
    column('rating', 'DOUBLE'),
    { name: 'time', data: rows.map(({ time }) => time && BigInt(time)), type: 'INT64', nullable: true },
    column('device', 'STRING'),
  ],
});

/** A file in a folder of its own. */
function inFolder(name: string, data: string | Uint8Array): { dir: string; file: string } {
  const dir = mkdtempSync(join(folder, 'log-'));
  const file = join(dir, name);
  writeFileSync(file, data);
  return { dir, file };
}

/** A log without what names its source. */
const content = ({ source: _, notes: __, ...log }: Log) => log;

describe('DuckDB', () => {
  it.each([
    ['log.csv', csv],
    ['log.jsonl', jsonLines],
    ['log.parquet', new Uint8Array(parquet)],
  ])('gives the same log of a folder with %s as the readers of data/', async (name, data) => {
    const { dir, file } = inFolder(name, data);
    const own = await readLog(createReadStream(file), file, reading);
    expect(own.userIds).toEqual(IDS);
    expect(own.size).toBe(rows.length);
    expect(content(await openLog(dir, reading))).toEqual(content(own));
    expect(content(await openLog(join(dir, '**', 'l*.*'), reading))).toEqual(content(own));
  });

  it('gives the same log of a query of the same files', async () => {
    const { file } = inFolder('log.csv', csv);
    const own = content(await openLog(file, reading));
    const asText = joinQuery(`SELECT * FROM read_csv('${file}', all_varchar = true)`, undefined);
    expect(content(await openLog(asText, reading))).toEqual(own);
    const { file: binary } = inFolder('log.parquet', new Uint8Array(parquet));
    // Statements before the last prepare it; a semicolon and a comment at the end do no harm.
    const several = `SET threads = 1; CREATE TEMP TABLE t AS FROM '${binary}';\nSELECT * FROM t; -- all of it`;
    expect(content(await openLog(joinQuery(several, undefined), reading))).toEqual(own);
  });

  it('reads types as the readers do', async () => {
    const sql = `SELECT 1 AS "user", CAST('12345678901234567890' AS DECIMAL(38, 0)) AS item,
      TIMESTAMPTZ '2024-03-01 12:00:00+02' AS time, 0.1::FLOAT AS f, DATE '2024-02-29' AS d, true AS b, ['a', NULL] AS l,
      '\\xFF'::BLOB AS bytes, 'a'::BLOB AS letters, {x: 1, y: 2::BIGINT} AS s, '"q"'::JSON AS j, NULL AS n, 'nan'::DOUBLE AS nan`;
    const context = ['f', 'd', 'b', 'l', 'bytes', 'letters', 's', 'j', 'n', 'nan'];
    const log = await openLog(joinQuery(sql, undefined), { ...reading, context });
    expect([log.userIds, log.itemIds, log.time?.[0]]).toEqual([
      ['1'],
      ['12345678901234567890'],
      Date.parse('2024-03-01T10:00:00Z'),
    ]);
    expect(log.context?.map(({ values }) => values[0])).toEqual([
      String(Math.fround(0.1)),
      ...['2024-02-29T00:00:00.000Z', 'true', 'a|', '0xff', 'a', '{"x":1,"y":"2"}', 'q', '', ''],
    ]);
  });

  it('reads folders that are partitioned, and files whose columns are in another order', async () => {
    const dir = mkdtempSync(join(folder, 'parts-'));
    for (const [part, text] of [
      ['shop=a', 'user,item,time\nu,1,1\n'],
      ['shop=b', 'item,time,user\n2,2,u\n'],
      ['_temporary', 'user,item\nx,x\n'],
    ]) {
      mkdirSync(join(dir, part));
      writeFileSync(join(dir, part, 'part.csv'), text);
    }
    writeFileSync(join(dir, '_SUCCESS'), '');
    const log = await openLog(dir, { ...reading, context: ['shop'] });
    expect([log.userIds, log.itemIds, log.context?.[0].values]).toEqual([['u'], ['1', '2'], ['a', 'b']]);
    expect(filesOfLog(dir)).toHaveLength(2);
  });

  it('joins a source with files', async () => {
    const { file } = inFolder('log.csv', 'user,item,time\na,1,1\n');
    const both = `{${file},duckdb: SELECT 'b' AS "user"\\, 2 AS item\\, 5 AS time}`;
    expect(expandPaths(both)).toHaveLength(2);
    expect([filesOfLog(both), pathsExist(both)]).toEqual([[file], true]);
    expect((await openLog(both, { ...reading, context: [] })).userIds).toEqual(['a', 'b']);
  });

  it.each([
    [
      'SELECT 1 AS "user", 2 AS item FROM nowhere',
      /^duckdb: SELECT 1 AS "user", 2 AS item FROM nowhere: Catalog Error: .* not exist!$/,
    ],
    ['SELEC 1', /Parser Error: syntax error at or near "SELEC"$/],
    ['  ', /expected a query, got nothing/],
    ['CREATE TABLE t (a INTEGER)', /expected a SELECT as the last statement/],
    ['SELECT 1 AS a, 2 AS b', /no user column among a, b/],
    ['SELECT [1] AS "user", 2 AS item', /the values of user are lists or structs, not IDs/],
    ['SELECT 1 AS "user", 2 AS item WHERE false', /no rows/],
    ['SELECT 1 AS "user", NULL AS item', /:1: the item is empty/],
    ['SELECT 1 AS "user", 2 AS item, \'soon\' AS time', /:1: expected a number or a date as time, found "soon"/],
  ])('refuses %s in one line', async (sql, message) => {
    const error = await openLog(joinQuery(sql, undefined), { ...reading, context: [] }).catch((e) => e);
    expect(error).toBeInstanceOf(InputError);
    expect(error.message).toMatch(message);
    expect(error.message).not.toMatch(/\n/);
  });

  it('refuses folders without files, and with several kinds', async () => {
    const { dir } = inFolder('log.csv', csv);
    writeFileSync(join(dir, 'log.parquet'), new Uint8Array(parquet));
    await expect(openLog(dir, reading)).rejects.toThrow(/parquet and csv files; expected files of one kind/);
    const empty = mkdtempSync(join(folder, 'empty-'));
    await expect(openLog(empty, reading)).rejects.toThrow(/no file named \.parquet, \.csv or \.json/);
    await expect(openLog(join(folder, 'no/**/*.csv'), reading)).rejects.toThrow(/no such folder/);
  });

  it('stops while a query runs', async () => {
    const endless =
      'duckdb: SELECT count(*) AS "user", 1 AS item FROM range(1000000) a, range(1000000) b, range(100) c';
    const sink = { begin: () => [], row() {}, bad() {}, note() {}, end() {} };
    let ticks = 0;
    const work = rowSource(endless)?.rows(sink, () => {
      if (++ticks === 3) throw new Error('stopped');
    });
    await expect(work).rejects.toThrow('stopped');
  });

  it('is named where it is missing', () => {
    const error = Object.assign(new Error("Cannot find package '@duckdb/node-api' imported from x"), {
      code: 'ERR_MODULE_NOT_FOUND',
    });
    expect(() => missingPackage(error)).toThrow(
      /the package @duckdb\/node-api is not installed.*npm install @duckdb\/node-api@\d[\w.-]*$/,
    );
  });

  it('is there for each command that takes a log', () => {
    const commands = buildProgram().commands.filter((one) => one.options.some(({ long }) => long === '--data'));
    expect(commands.map((one) => one.name())).toContain('train');
    for (const one of commands)
      expect(
        one.options.map(({ long }) => long),
        one.name(),
      ).toContain('--query');
  });

  it('is refused beside files', () => {
    expect(() => joinQuery('SELECT 1', 'log.csv')).toThrow(/leave --data out, or give postgres:/);
    expect(joinQuery('SELECT 1', 'postgres://me@host/db')).toBe('postgres://me@host/db SELECT 1');
  });
});

describe('PostgreSQL', () => {
  it.skipIf(!postgres)('gives the same log as a file of the same rows', async () => {
    const address = (await postgres?.database()) as string;
    const client = new pg.Client({ connectionString: address });
    await client.connect();
    await client.query('CREATE TABLE log (n int, "user" text, item text, rating float8, time bigint, device text)');
    for (const [n, row] of rows.entries()) {
      await client.query('INSERT INTO log VALUES ($1, $2, $3, $4, $5, $6)', [n, ...HEADER.map((name) => row[name])]);
    }
    const select = joinQuery('SELECT "user", item, rating, time, device FROM log ORDER BY n;', address);
    const own = await openLog(inFolder('log.csv', csv).file, reading);
    expect(content(await openLog(select, reading))).toEqual(content(own));
    // Several blocks, and types of its own.
    const many = joinQuery(
      `SELECT n % 7 AS "user", 9007199254740993 + n AS item, timestamptz '2024-03-01 12:00:00+02' + n * interval '1 s' AS time,
        n % 2 = 0 AS even FROM generate_series(1, 12345) n`,
      address,
    );
    const log = await openLog(many, { ...reading, context: ['even'] });
    expect([log.size, log.itemIds[1], log.context?.[0].values]).toEqual([12345, '9007199254740995', ['false', 'true']]);
    expect(log.time?.[0]).toBe(Date.parse('2024-03-01T10:00:01Z'));
    await client.end();
  });

  it.skipIf(!postgres)('refuses in one line, and does not write', async () => {
    const address = (await postgres?.database()) as string;
    const ask = (sql: string) => openLog(joinQuery(sql, address), { ...reading, context: [] });
    await expect(ask('SELECT 1 AS "user", 2 AS item FROM nowhere')).rejects.toThrow(
      /: relation "nowhere" does not exist$/,
    );
    await expect(ask('CREATE TABLE t (a int)')).rejects.toThrow(/syntax error at or near "CREATE"/);
    await expect(ask('SELECT 1 AS "user", nextval(\'s\') AS item')).rejects.toThrow(/does not exist|read-only/);
    const gone = address.replace(/\/[^/]*$/, '/nowhere');
    await expect(openLog(joinQuery('SELECT 1', gone), reading)).rejects.toThrow(
      /cannot be reached \(database "nowhere" does not exist\)/,
    );
    const sink = { begin: () => [], row() {}, bad() {}, note() {}, end() {} };
    const slow = rowSource(joinQuery('SELECT pg_sleep(600)', address))?.rows(sink, () => {
      throw new Error('stopped');
    });
    await expect(slow).rejects.toThrow('stopped');
  });

  it('takes no password, and repeats none', () => {
    for (const address of [
      'postgres://me:hunter2@host/db',
      'postgres://host/db?password=hunter2',
      'postgres://me:hunter2@:bad:/',
    ]) {
      const message = (() => {
        try {
          rowSource(`${address} SELECT 1`);
        } catch (error) {
          return (error as Error).message;
        }
      })();
      expect(message).toMatch(/holds a password|expected postgres:/);
      expect(message).not.toMatch(/hunter2/);
    }
    expect(() => rowSource('postgres://me@host/db')).toThrow(/names no rows; add `query: SELECT/);
  });
});
