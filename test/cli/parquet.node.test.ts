/** Damaged Parquet files: always an answer in one line, and Ctrl-C at any time. */
import fc from 'fast-check';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { describe, expect, it } from 'vitest';
import { InputError } from '../../data/errors.ts';
import { parquetPartsInWorker, type ParquetWorker } from '../../data/formats/parquet-worker.ts';
import { openWorkplace } from './attune.ts';

const place = openWorkplace({ processes: 'one' });

// From dist/: a worker thread cannot load TypeScript.
const { openParquetWorker } = (await import(
  new URL('../../dist/cli/input/parquet-worker.js', import.meta.url).pathname
)) as {
  openParquetWorker(): ParquetWorker;
};

const ROWS = 300;
const written = (codec: 'UNCOMPRESSED' | 'SNAPPY'): Uint8Array<ArrayBuffer> =>
  new Uint8Array(
    parquetWriteBuffer({
      codec,
      columnData: [
        { name: 'user', data: Array.from({ length: ROWS }, (_, i) => BigInt(i % 13)), type: 'INT64' },
        { name: 'item', data: Array.from({ length: ROWS }, (_, i) => `i${i % 17}`), type: 'STRING' },
        {
          name: 'delta',
          data: Int32Array.from({ length: ROWS }, (_, i) => 3 * i),
          type: 'INT32',
          encoding: 'DELTA_BINARY_PACKED',
        },
        {
          name: 'rating',
          data: Array.from({ length: ROWS }, (_, i) => (i % 3 ? i / 2 : null)),
          type: 'DOUBLE',
          nullable: true,
        },
      ],
    }),
  );

/** A flipped bit in a page header that makes hyparquet misread the page's size and loop forever. */
function endless(): Uint8Array<ArrayBuffer> {
  const bytes = written('SNAPPY');
  const field = 368; // a field of 32 bits with the next ID; found by flipping bits
  expect(bytes[field]).toBe(0x15);
  bytes[field] = 0x55;
  return bytes;
}

const outcome = async (bytes: Uint8Array<ArrayBuffer>, patience: number): Promise<string> => {
  try {
    for await (const part of parquetPartsInWorker(openParquetWorker, bytes, 'f.parquet', patience))
      expect(part).toBeDefined();
    return 'read';
  } catch (error) {
    expect(error).toBeInstanceOf(InputError);
    return (error as Error).message;
  }
};

describe('damaged Parquet files', () => {
  it('are read or refused within a time limit, whatever bits are flipped', async () => {
    const files = [written('UNCOMPRESSED'), written('SNAPPY')];
    const flips = fc.array(fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.integer({ min: 0, max: 7 })), {
      minLength: 1,
      maxLength: 4,
    });
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...files), flips, async (file, chosen) => {
        const bytes = file.slice();
        for (const [where, bit] of chosen) bytes[4 + Math.floor(where * (bytes.length - 5))] ^= 1 << bit;
        await outcome(bytes, 5000);
      }),
      { numRuns: 100, seed: 11 },
    );
  });

  it('that never end are stopped', async () => {
    expect(await outcome(endless(), 3000)).toBe(
      'f.parquet: cannot be read as Parquet (no progress for 3 s: the file is damaged)',
    );
    expect(await outcome(written('SNAPPY'), 20_000)).toBe('read');
  });

  it('can be interrupted by Ctrl-C', async () => {
    place.write('endless.parquet', endless());
    // The command says when it takes Ctrl-C; soon after that it reads.
    const says = "process.on('newListener', (name) => name === 'SIGINT' && process.stderr.write('ready'));";
    const { code } = await place.run('train --data endless.parquet --out m', {
      env: { NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(says)}` },
      started: (child) => child.stderr?.once('data', () => setTimeout(() => child.kill('SIGINT'), 500)),
    });
    expect(code).toBe(130);
  });

  it('that are truncated are refused in one line', async () => {
    place.write('half.parquet', written('SNAPPY').slice(0, 400));
    expect(await place.fails('train --data half.parquet --out m')).toMatch(
      /^1 half\.parquet: cannot be read as Parquet/,
    );
  });
});
