/** Parquet files that commands write. */
import { ByteWriter, ParquetWriter } from 'hyparquet-writer';
import type { SchemaElement } from 'hyparquet-writer';

/** Rows that are handed over at once; also the size of a row group. */
const ROWS = 20_000;

const SCHEMA: SchemaElement[] = [
  { name: 'schema', num_children: 2 },
  { name: 'id', type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'REQUIRED' },
  { name: 'vector', converted_type: 'LIST', repetition_type: 'REQUIRED', num_children: 1 },
  { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
  { name: 'element', type: 'FLOAT', repetition_type: 'REQUIRED' },
];

/**
 * Vectors: `id` (string) and `vector` (list of float32), both required, as vector databases take them. The bytes of a file
 * with a row an ID; `values` is [ids, width]. Uncompressed: random mantissas do not
 * shrink.
 */
export async function vectorsParquet(ids: readonly string[], values: Float32Array, width: number): Promise<Uint8Array> {
  const writer = new ByteWriter();
  const file = new ParquetWriter({
    writer,
    schema: SCHEMA,
    codec: 'UNCOMPRESSED',
    statistics: false,
    createdBy: 'attune',
  });
  for (let from = 0; from < ids.length; from += ROWS) {
    const some = ids.slice(from, from + ROWS);
    const vectors = some.map((_, i) => Array.from(values.subarray((from + i) * width, (from + i + 1) * width)));
    await file.write({
      columnData: [
        { name: 'id', data: some },
        { name: 'vector', data: vectors },
      ],
      rowGroupSize: ROWS,
    });
  }
  await file.finish();
  return writer.getBytes();
}

/** An item of a user's list. */
export interface ListRow {
  user: string;
  /** From 1. */
  rank: number;
  item: string;
  score: number;
}

/** Lists, a row for each item of each: `user`, `rank` (int32), `item`, `score` (float32). */
export class ListsParquet {
  private readonly writer = new ByteWriter();
  private readonly file = new ParquetWriter({
    writer: this.writer,
    schema: [
      { name: 'schema', num_children: 4 },
      { name: 'user', type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'REQUIRED' },
      { name: 'rank', type: 'INT32', repetition_type: 'REQUIRED' },
      { name: 'item', type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'REQUIRED' },
      { name: 'score', type: 'FLOAT', repetition_type: 'REQUIRED' },
    ],
    createdBy: 'attune',
  });
  private rows: ListRow[] = [];

  async add(rows: readonly ListRow[]): Promise<void> {
    for (const row of rows) this.rows.push(row);
    if (this.rows.length >= ROWS) await this.flush();
  }

  /** The bytes of the file. */
  async finish(): Promise<Uint8Array> {
    await this.flush();
    await this.file.finish();
    return this.writer.getBytes();
  }

  private async flush(): Promise<void> {
    const { rows } = this;
    this.rows = [];
    if (rows.length === 0) return;
    await this.file.write({
      columnData: [
        { name: 'user', data: rows.map(({ user }) => user) },
        { name: 'rank', data: Int32Array.from(rows, ({ rank }) => rank) },
        { name: 'item', data: rows.map(({ item }) => item) },
        { name: 'score', data: Float32Array.from(rows, ({ score }) => score) },
      ],
      rowGroupSize: rows.length,
    });
  }
}
