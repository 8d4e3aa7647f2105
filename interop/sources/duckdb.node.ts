/** DuckDB in this process: rows of a query or of files, streamed to a log. Loaded only for sources that need it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
  type DuckDBConnection,
  DuckDBInstance,
  type DuckDBResult,
  DuckDBTypeId,
  StatementType,
} from '@duckdb/node-api';
import { InputError } from '../../data/errors.ts';
import type { RecordSink } from '../../data/formats/records.ts';
import { ticking } from './ticking.ts';
import { textOfJsonValue, textOfValue } from './values.ts';

export type FolderKind = 'parquet' | 'csv' | 'json';

/** Types whose values are no IDs. */
const NESTED: readonly DuckDBTypeId[] = [DuckDBTypeId.LIST, DuckDBTypeId.ARRAY, DuckDBTypeId.STRUCT, DuckDBTypeId.MAP];

const text = (value: string): string => `'${value.replaceAll("'", "''")}'`;
const name = (value: string): string => `"${value.replaceAll('"', '""')}"`;

/** How files of a kind are read. IDs of text files stay as they are written: no value is taken for a number or a date. */
const READERS: Readonly<Record<FolderKind, (files: string) => string>> = {
  parquet: (files) => `read_parquet(${files}, union_by_name = true)`,
  csv: (files) => `read_csv(${files}, all_varchar = true, union_by_name = true, null_padding = false)`,
  json: (files) => `read_json(${files}, union_by_name = true)`,
};

export class DuckDB {
  private readonly connection: DuckDBConnection;
  private readonly source: string;
  private readonly tick: (rows: number) => void;
  private rows = 0;

  private constructor(connection: DuckDBConnection, source: string, tick: (rows: number) => void) {
    this.connection = connection;
    this.source = source;
    this.tick = tick;
  }

  /**
   * Opens a database in memory, which spills to a temporary folder, for as long as `work` takes.
   * @param source its name in messages
   * @param tick called as rows arrive, and while it waits for them; it may throw to stop
   * @throws InputError for what DuckDB refuses, in one line
   */
  static async using(source: string, tick: (rows: number) => void, work: (db: DuckDB) => Promise<void>): Promise<void> {
    const spill = mkdtempSync(path.join(tmpdir(), 'attune-duckdb-'));
    const instance = await DuckDBInstance.create(':memory:', { temp_directory: spill });
    const connection = await instance.connect();
    try {
      await work(new DuckDB(connection, source, tick));
    } finally {
      connection.closeSync();
      instance.closeSync();
      rmSync(spill, { recursive: true, force: true });
    }
  }

  /** Rows of the last statement; those before it prepare it (ATTACH, SET, CREATE SECRET). */
  async query(sql: string, sink: RecordSink): Promise<void> {
    if (sql.trim() === '') throw this.refused('expected a query, got nothing');
    const statements = await this.orRefused(this.connection.extractStatements(sql));
    for (let i = 0; i < statements.count - 1; i++) {
      const statement = await this.orRefused(statements.prepare(i));
      await this.orRefused(statement.run());
    }
    const last = await this.orRefused(statements.prepare(statements.count - 1));
    if (last.statementType !== StatementType.SELECT) throw this.refused('expected a SELECT as the last statement');
    await this.stream(await this.orRefused(last.stream()), sink);
  }

  /** Rows of files, in their order; of columns that the sink does not read only the names. */
  async files(files: readonly string[], kind: FolderKind, sink: RecordSink): Promise<void> {
    const list = `[${files.map(text).join(', ')}]`;
    const from = READERS[kind](list);
    const { columns, nested } = await this.describe(from);
    this.start(columns, nested, sink);
    const read = columns.map((column, i) => (sink.reads?.(i) === false ? `''` : name(column)));
    const types = columns.map((column) => `${text(column)}: 'JSON'`).join(', ');
    const typed = kind === 'json' ? `read_json(${list}, union_by_name = true, columns = {${types}})` : from;
    await this.emit(await this.orRefused(this.connection.stream(`SELECT ${read.join(', ')} FROM ${typed}`)), sink);
  }

  private async describe(from: string): Promise<{ columns: string[]; nested: boolean[] }> {
    const result = await this.orRefused(this.connection.run(`SELECT * FROM ${from} LIMIT 0`));
    return { columns: result.columnNames(), nested: nestedOf(result) };
  }

  private async stream(result: DuckDBResult, sink: RecordSink): Promise<void> {
    this.start(result.columnNames(), nestedOf(result), sink);
    await this.emit(result, sink);
  }

  private start(header: string[], nested: readonly boolean[], sink: RecordSink): void {
    const ids = sink.begin({
      kind: 'parquet',
      delimiter: '',
      quoted: false,
      header,
      named: true,
      comment: null,
      skip: 0,
    });
    const list = ids.find((at) => nested[at]);
    if (list !== undefined) {
      throw new InputError(
        'unreadable-file',
        `${this.source}: the values of ${header[list]} are lists or structs, not IDs`,
        {
          hint: 'give one row per event (unnest the lists)',
        },
      );
    }
  }

  private async emit(result: DuckDBResult, sink: RecordSink): Promise<void> {
    const texts = Array.from({ length: result.columnCount }, (_, i) =>
      result.columnLogicalType(i).alias === 'JSON' ? textOfJsonValue : textOfValue,
    );
    const fields: string[] = new Array(texts.length).fill('');
    for (;;) {
      const chunk = await this.orRefused(result.fetchChunk());
      if (!chunk || chunk.rowCount === 0) break;
      const columns = chunk.getColumns();
      for (let row = 0; row < chunk.rowCount; row++) {
        for (let c = 0; c < fields.length; c++) fields[c] = texts[c](columns[c][row]);
        sink.row(fields, ++this.rows, false);
      }
      this.tick(this.rows);
    }
    sink.end('utf-8');
  }

  /** @throws InputError for what DuckDB refuses; what `tick` throws, as it is */
  private orRefused<T>(work: Promise<T>): Promise<T> {
    const { tick, rows, connection } = this;
    const own = work.catch((error: Error) => {
      throw this.refused(error.message.replace(/\n.*/s, ''));
    });
    return ticking(
      own,
      () => tick(rows),
      () => connection.interrupt(),
    );
  }

  private refused(problem: string): InputError {
    return new InputError('unreadable-file', `${this.source}: ${problem}`);
  }
}

const nestedOf = (result: DuckDBResult): boolean[] => result.columnTypes().map(({ typeId }) => NESTED.includes(typeId));
