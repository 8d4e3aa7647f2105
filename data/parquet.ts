/** Rows of a Parquet file, as text, so that they go the way of every other log. Loaded when a file is one. */
import { decompress } from 'fzstd';
import { type FileMetaData, parquetMetadata, parquetRead, parquetSchema } from 'hyparquet';
import { InputError } from './errors.ts';
import type { RecordSink } from './records.ts';

const CODECS = ['UNCOMPRESSED', 'SNAPPY', 'ZSTD'];
/** Rows that are read first, so that a preview need not wait for a whole row group. */
const FIRST_ROWS = 1024;

/**
 * Hands over a Parquet file's rows: numbers, dates (ISO 8601) and booleans as text, null as an empty field, lists with `|`
 * between their values. Rows count from 1.
 *
 * @param bytes the whole file
 * @param onRows called with the share of the rows that were handed over
 * @throws InputError for a damaged file, or a compression that is not read
 */
export async function readParquet(
  bytes: Uint8Array<ArrayBuffer>,
  source: string,
  sink: RecordSink,
  onRows?: (share: number) => void,
): Promise<void> {
  const metadata = await orDamaged(source, async () => parquetMetadata(bytes));
  const codec = metadata.row_groups
    .flatMap(({ columns }) => columns.map(({ meta_data }) => meta_data?.codec ?? 'UNCOMPRESSED'))
    .find((one) => !CODECS.includes(one));
  if (codec) {
    throw new InputError(
      `${source}: is compressed with ${codec.toLowerCase()}; write it with snappy, zstd or uncompressed`,
    );
  }
  const header = parquetSchema(metadata).children.map(({ element }) => element.name);
  sink.begin({ kind: 'parquet', delimiter: '', quoted: false, header, named: true, comment: null, skip: 0 });
  const total = Number(metadata.num_rows);
  let line = 1;
  for (const [rowStart, rowEnd] of partsOf(metadata)) {
    const rows = await orDamaged(source, () => rowsOf(bytes, metadata, rowStart, rowEnd));
    for (const row of rows) sink.row(row.map(textOf), line++, false);
    onRows?.(rowEnd / total);
  }
}

/** Row groups, the first one after a small beginning. */
function partsOf({ row_groups }: FileMetaData): [from: number, to: number][] {
  let end = 0;
  return row_groups.flatMap(({ num_rows }, i): [number, number][] => {
    const from = end;
    end += Number(num_rows);
    return i === 0 && end > FIRST_ROWS
      ? [
          [0, FIRST_ROWS],
          [FIRST_ROWS, end],
        ]
      : [[from, end]];
  });
}

async function rowsOf(
  bytes: Uint8Array<ArrayBuffer>,
  metadata: FileMetaData,
  rowStart: number,
  rowEnd: number,
): Promise<unknown[][]> {
  let found: unknown[][] = [];
  await parquetRead({
    ...{ file: bytes.buffer, metadata, rowStart, rowEnd },
    compressors: { ZSTD: (packed, length) => decompress(packed, new Uint8Array(length)) },
    onComplete: (rows) => {
      found = rows as unknown[][];
    },
  });
  return found;
}

async function orDamaged<T>(source: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const { message } = error as Error;
    throw new InputError(`${source}: cannot be read as Parquet (${message.split('\n')[0]})`);
  }
}

function textOf(value: unknown): string {
  if (value === null || value === undefined || Number.isNaN(value)) return '';
  if (typeof value === 'string') return value;
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value) || ArrayBuffer.isView(value))
    return Array.from(value as ArrayLike<unknown>, textOf).join('|');
  return typeof value === 'object' ? JSON.stringify(value, plain) : String(value);
}

/** JSON has no integers of 64 bits. */
const plain = (_key: string, value: unknown): unknown => (typeof value === 'bigint' ? String(value) : value);
