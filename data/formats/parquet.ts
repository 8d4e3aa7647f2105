/** Rows of a Parquet file as text, to be read like any other log. Loaded only for Parquet files. */
import { decompress } from 'fzstd';
import { type Compressors, type FileMetaData, parquetMetadata, parquetRead, parquetSchema } from 'hyparquet';
import { InputError } from '../errors.ts';
import type { RecordSink } from './records.ts';
import { hexOf, utf8Text } from './text.ts';

const CODECS = ['UNCOMPRESSED', 'SNAPPY', 'ZSTD', 'GZIP', 'BROTLI', 'LZ4', 'LZ4_RAW'];
/** Rows that are read first, so that a preview need not wait for a whole row group. */
const FIRST_ROWS = 1024;
/** Characters of a block of rows, about. */
const BLOCK = 1 << 22;

/** The parts of a file, in order: its columns, then its rows block by block. */
export type ParquetPart =
  | { kind: 'columns'; names: string[]; nested: boolean[] }
  | {
      kind: 'rows';
      /** all values of the rows, end to end; `lengths` has the length of each, row after row */
      text: string;
      lengths: Uint32Array;
      /** share of the file's rows that were read, 0 to 1 */
      share: number;
    }
  | { kind: 'end'; binary: number };

/**
 * Reads a Parquet file: numbers, dates (ISO 8601) and booleans as text, null as an empty field, lists joined by `|`, bytes
 * that are not text in hexadecimal, fixed-length values of 16 bytes as a UUID.
 *
 * @param bytes the whole file
 * @throws InputError for a damaged file, or an unsupported compression. With a damaged file this may never
 * end: hyparquet trusts the lengths that it finds (see parquet-worker.ts)
 */
export async function* parquetParts(bytes: Uint8Array<ArrayBuffer>, source: string): AsyncGenerator<ParquetPart> {
  let binary = 0;
  const parsers = {
    stringFromBytes: (value: Uint8Array | undefined) => {
      if (!value) return undefined;
      const text = utf8Text(value);
      if (text === null) binary++;
      return text ?? hexOf(value);
    },
  };
  const metadata = await orDamaged(source, async () => parquetMetadata(bytes));
  const codecs = metadata.row_groups.flatMap(({ columns }) => columns.map(({ meta_data }) => meta_data?.codec));
  const codec = codecs.find((one) => one && !CODECS.includes(one));
  if (codec) {
    throw new InputError('unreadable-file', `${source}: is compressed with ${codec.toLowerCase()}`, {
      hint: `write it with ${CODECS.slice(1).join(', ').toLowerCase()} or uncompressed`,
    });
  }
  const compressors = await compressorsFor(codecs);
  const columns = await orDamaged(source, async () => parquetSchema(metadata).children);
  yield {
    kind: 'columns',
    names: columns.map(({ element }) => element.name),
    nested: columns.map(({ children, element }) => children.length > 0 || element.repetition_type === 'REPEATED'),
  };
  const total = Math.max(1, Number(metadata.num_rows));
  for (const [rowStart, rowEnd] of partsOf(metadata)) {
    const rows = await orDamaged(source, async () => {
      let found: unknown[][] = [];
      const onComplete = (complete: unknown) => {
        found = complete as unknown[][];
      };
      await parquetRead({ file: bytes.buffer, metadata, rowStart, rowEnd, compressors, parsers, onComplete });
      if (found.length !== rowEnd - rowStart)
        throw new Error(`expected ${rowEnd - rowStart} rows, got ${found.length}`);
      return found;
    });
    for (let from = 0; from < rows.length; ) {
      const block = await orDamaged(source, async () => packed(rows, from, columns.length));
      from += block.lengths.length / columns.length;
      yield { kind: 'rows', ...block, share: (rowStart + from) / total };
    }
  }
  yield { kind: 'end', binary };
}

/** Passes the parts of a Parquet file to a sink. @throws InputError for IDs that are lists */
export async function emitParts(
  parts: AsyncIterable<ParquetPart>,
  source: string,
  sink: RecordSink,
  onRows?: (share: number) => void,
): Promise<void> {
  let width = 0;
  let line = 1;
  for await (const part of parts) {
    if (part.kind === 'columns') {
      const { names, nested } = part;
      width = names.length;
      const about = { kind: 'parquet', delimiter: '', quoted: false, header: names, named: true } as const;
      const ids = sink.begin({ ...about, comment: null, skip: 0 });
      const list = ids.find((at) => nested[at]);
      if (list !== undefined) {
        throw new InputError(
          'unreadable-file',
          `${source}: the values of ${names[list]} are lists, maps or structs, not IDs`,
          { hint: 'write one row per event (explode the lists)' },
        );
      }
    } else if (part.kind === 'rows') {
      const { text, lengths } = part;
      const fields: string[] = new Array(width);
      let at = 0;
      for (let i = 0; i < lengths.length; i += width) {
        for (let c = 0; c < width; c++) fields[c] = text.slice(at, (at += lengths[i + c] as number));
        sink.row(fields, line++, false);
      }
      onRows?.(part.share);
    } else if (part.binary > 0) {
      sink.note(`${source}: values that are not UTF-8 are read as hexadecimal numbers (0x...)`);
    }
  }
  sink.end('utf-8');
}

/** Row groups; the first one is preceded by a small part of its own. */
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

async function compressorsFor(codecs: readonly (string | undefined)[]): Promise<Compressors> {
  const own: Compressors = { ZSTD: (packed, length) => decompress(packed, new Uint8Array(length)) };
  if (!codecs.some((codec) => codec && CODECS.indexOf(codec) > 2)) return own;
  const { compressors } = await import('hyparquet-compressors'); // few files need it
  // hyparquet's own decoder of Snappy requires no WebAssembly.
  const others = Object.entries(compressors).filter(([codec]) => codec !== 'SNAPPY');
  return { ...Object.fromEntries(others), ...own };
}

async function orDamaged<T>(source: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const { message } = error as Error;
    throw new InputError('unreadable-file', `${source}: cannot be read as Parquet (${message.replace(/\n.*/s, '')})`);
  }
}

/** As many rows from `from` on as fit a block; at least one. */
function packed(rows: readonly unknown[][], from: number, width: number): { text: string; lengths: Uint32Array } {
  const values: string[] = [];
  let size = 0;
  for (let r = from; r < rows.length && size < BLOCK; r++) {
    for (let c = 0; c < width; c++) {
      const value = textOf(rows[r]?.[c]);
      values.push(value);
      size += value.length + 1;
    }
  }
  return { text: values.join(''), lengths: Uint32Array.from(values, (value) => value.length) };
}

function textOf(value: unknown): string {
  if (value === null || value === undefined || Number.isNaN(value)) return '';
  if (typeof value === 'string') return value;
  if (value instanceof Date) return value.toISOString();
  if (value instanceof Uint8Array) return value.length === 16 ? uuidOf(value) : hexOf(value);
  if (Array.isArray(value) || ArrayBuffer.isView(value))
    return Array.from(value as ArrayLike<unknown>, textOf).join('|');
  return typeof value === 'object' ? JSON.stringify(value, plain) : String(value);
}

const uuidOf = (bytes: Uint8Array): string => hexOf(bytes).replace(/^0x(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');

/** JSON has no 64-bit integers. */
const plain = (_key: string, value: unknown): unknown => (typeof value === 'bigint' ? String(value) : value);
