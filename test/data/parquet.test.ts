/** Logs and catalogs in Parquet, as the usual writers write them. */
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { describe, expect, it } from 'vitest';
import { readItems } from '../../data/formats/catalog.ts';
import { InputError } from '../../data/errors.ts';
import { readLog } from '../../data/formats/reader.ts';
import { pairs } from './bytes.ts';

async function* inPieces(bytes: Uint8Array, size = 100): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

type Options = Parameters<typeof parquetWriteBuffer>[0];

const DAY = Date.UTC(2024, 1, 29);
const TABLE: Options['columnData'] = [
  { name: 'user_id', data: [7n, 7n, 8n], type: 'INT64' },
  { name: 'item', data: ['x', 'ÿ', 'x'], type: 'STRING' },
  { name: 'rating', data: [4.5, null, 1], type: 'DOUBLE', nullable: true },
  { name: 'when', data: [new Date(DAY), new Date(DAY + 1), new Date(DAY + 2)], type: 'TIMESTAMP' },
];

const written = (options: Partial<Options> = {}): Uint8Array =>
  new Uint8Array(parquetWriteBuffer({ columnData: TABLE, ...options }));

/** A frame of Zstandard with one block that is stored as it is (RFC 8878, section 3.1.1). */
function zstdStored(bytes: Uint8Array): Uint8Array {
  const frame = new Uint8Array(12 + bytes.length);
  const view = new DataView(frame.buffer);
  view.setUint32(0, 0xfd2fb528, true);
  frame[4] = 0b1010_0000; // the size of the content takes four bytes; a single segment
  view.setUint32(5, bytes.length, true);
  const header = 1 | (bytes.length << 3); // the last block, stored
  frame.set([header & 255, (header >> 8) & 255, header >> 16], 9);
  frame.set(bytes, 12);
  return frame;
}

/** A block of LZ4 that holds literals alone. */
function lz4Stored(bytes: Uint8Array): Uint8Array {
  if (bytes.length < 15) return Uint8Array.from([bytes.length << 4, ...bytes]);
  const more = bytes.length - 15;
  return Uint8Array.from([0xf0, ...new Array<number>(Math.floor(more / 255)).fill(255), more % 255, ...bytes]);
}

const LISTS: Options['schema'] = [
  { name: 'schema', num_children: 2 },
  { name: 'user_id', type: 'INT64', repetition_type: 'REQUIRED' },
  { name: 'item', converted_type: 'LIST', repetition_type: 'REQUIRED', num_children: 1 },
  { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
  { name: 'element', type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'REQUIRED' },
];

const read = (bytes: Uint8Array, options: Parameters<typeof readLog>[2] = {}) =>
  readLog(inPieces(bytes), 'log.parquet', { columns: { time: 'when' }, ...options });

describe('Parquet', () => {
  it.each([
    ['snappy', {}],
    ['uncompressed', { codec: 'UNCOMPRESSED' as const }],
    ['zstd', { codec: 'ZSTD' as const, compressors: { ZSTD: zstdStored } }],
    ['gzip', { codec: 'GZIP' as const, compressors: { GZIP: (bytes: Uint8Array) => new Uint8Array(gzipSync(bytes)) } }],
    [
      'brotli',
      {
        codec: 'BROTLI' as const,
        compressors: { BROTLI: (bytes: Uint8Array) => new Uint8Array(brotliCompressSync(bytes)) },
      },
    ],
    ['lz4', { codec: 'LZ4_RAW' as const, compressors: { LZ4_RAW: lz4Stored } }],
    ['a row group a row', { rowGroupSize: 1 }],
  ])('%s: numbers, dates and missing values as in CSV', async (_, options) => {
    const log = await read(written(options));
    expect(pairs(log)).toEqual([
      ['7', 'x'],
      ['7', 'ÿ'],
      ['8', 'x'],
    ]);
    expect(log.rating).toEqual(Float64Array.of(4.5, Number.NaN, 1));
    expect(log.time).toEqual(Float64Array.of(DAY, DAY + 1, DAY + 2));
  });

  it('keeps the order of rows over the small first part, and reports progress', async () => {
    const n = 3000;
    const items = Array.from({ length: n }, (_, i) => `i${i % 1700}`);
    const bytes = written({
      columnData: [
        { name: 'user', data: items.map((_, i) => i % 13), type: 'INT32' },
        { name: 'item', data: items, type: 'STRING' },
      ],
      rowGroupSize: [2000, 1000],
    });
    const seen: number[] = [];
    const log = await read(bytes, { columns: {}, onProgress: (done) => seen.push(done) });
    expect(pairs(log)).toEqual(items.map((item, i) => [String(i % 13), item]));
    expect(seen.map((done) => Math.round((done * n) / bytes.length))).toEqual([1024, 2000, 3000]);
  });

  it('reads UUIDs, and keeps bytes apart that are not UTF-8', async () => {
    const uuid = 'c0ffee00-1234-4abc-8def-0123456789ab';
    const raw = Uint8Array.from(uuid.replaceAll('-', '').match(/../g) as string[], (hex) => Number.parseInt(hex, 16));
    for (const logical_type of [{ type: 'UUID' as const }, undefined]) {
      const schema: Options['schema'] = [
        { name: 'schema', num_children: 2 },
        { name: 'user', type: 'FIXED_LEN_BYTE_ARRAY', type_length: 16, logical_type, repetition_type: 'REQUIRED' },
        { name: 'item', type: 'BYTE_ARRAY', repetition_type: 'REQUIRED' },
      ];
      const columnData: Options['columnData'] = [
        { name: 'user', data: [raw, raw, raw] },
        { name: 'item', data: [Uint8Array.of(0xff, 1), Uint8Array.of(0xfe, 1), new TextEncoder().encode('é')] },
      ];
      const log = await read(written({ columnData, schema }), { columns: {} });
      expect(pairs(log)).toEqual([
        [uuid, '0xff01'],
        [uuid, '0xfe01'],
        [uuid, 'é'],
      ]);
      expect(log.notes.join()).toContain('read as hexadecimal numbers');
    }
  });

  it('gives items their attributes', async () => {
    const columnData: Options['columnData'] = [
      { name: 'item', data: ['x'], type: 'STRING' },
      { name: 'title', data: ['The x'], type: 'STRING' },
      { name: 'price', data: [2.5], type: 'DOUBLE' },
    ];
    expect(await readItems(inPieces(written({ columnData })), 'items.parquet')).toEqual(
      new Map([['x', { title: 'The x', attributes: { price: '2.5' } }]]),
    );
  });

  it.each([
    ['a damaged footer', () => written().fill(0xff, -120, -8), /^log.parquet: cannot be read as Parquet \(/],
    ['a beginning alone', () => written().slice(0, 40), /^log.parquet: cannot be read as Parquet \(/],
    [
      'a compression that is not read',
      () => written({ codec: 'LZO', compressors: { LZO: (bytes: Uint8Array) => bytes } }),
      /^log.parquet: is compressed with lzo; write it with snappy, zstd, gzip, brotli, lz4, lz4_raw or uncompressed$/,
    ],
    [
      'lists as item IDs',
      () =>
        written({
          columnData: [
            { name: 'user_id', data: [7n, 7n, 8n] },
            { name: 'item', data: [['x'], ['y', 'z'], []] },
          ],
          schema: LISTS,
        }),
      /^log.parquet: the values of item are lists, maps or structs, not IDs; write one row per event/,
    ],
    [
      'no user',
      () => written({ columnData: TABLE.slice(1) }),
      /^log.parquet: no user column among item, rating, when; name it with `columns\.user: NAME`$/,
    ],
    [
      'a rating that is none',
      () => written({ columnData: [...TABLE.slice(0, 2), { name: 'rating', data: ['1', 'two', '3'] }] }),
      /^log.parquet:2: expected a number as rating, found "two"/,
    ],
  ])('says what is wrong with %s', async (_, bytes, message) => {
    const failure = read(bytes(), { columns: {} });
    await expect(failure).rejects.toThrow(InputError);
    await expect(failure).rejects.toThrow(message);
  });
});
