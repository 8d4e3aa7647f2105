/** A prepared dataset is what `prepare` makes in memory, whatever the log. */
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { ValueColumn, ColumnValues } from '../../data/column.ts';
import { type Dataset, type PrepareOptions, prepare } from '../../data/dataset.ts';
import { readLog, readStoredLog, type ReadOptions } from '../../data/formats/reader.ts';
import { seeded } from '../../data/random.ts';
import { openDatasetFolder } from '../../interop/dataset/open.node.ts';
import { DatasetFolder, type Sizes, writeDataset } from '../../interop/dataset/prepare.node.ts';

const root = mkdtempSync(join(tmpdir(), 'attune-dataset-'));
afterAll(() => rmSync(root, { recursive: true }));
let count = 0;

async function* bytesOf(text: string | Uint8Array) {
  yield typeof text === 'string' ? new TextEncoder().encode(text) : text;
}

const pause = async () => {};
const about = { columns: {}, sources: [] };

/** Prepares a log in files and opens it. */
async function onDisk(text: string | Uint8Array, filter: PrepareOptions, options: ReadOptions = {}, sizes?: Sizes) {
  const dir = join(root, `${count++}`);
  const folder = DatasetFolder.create(dir, false);
  const log = await readStoredLog([{ name: 'log', chunks: bytesOf(text) }], 'log', options, folder.store);
  await writeDataset(folder, log, filter, about, pause, sizes);
  return { dir, prepared: await openDatasetFolder(dir, { context: options.context }) };
}

const list = (column: ValueColumn<ColumnValues> | null) => column && Array.from(column);

function expectSame(actual: Dataset, expected: Dataset): void {
  expect(actual.userIds).toEqual(expected.userIds);
  expect(actual.itemIds).toEqual(expected.itemIds);
  expect(Array.from(actual.offsets)).toEqual(Array.from(expected.offsets));
  for (const name of ['items', 'ratings', 'times', 'clock'] as const) {
    expect(list(actual[name]), name).toEqual(list(expected[name]));
  }
  expect(actual.timeUnit).toBe(expected.timeUnit);
  const values = ({ context = [] }: Dataset) =>
    context.map(({ name, values, rows }) => [name, Array.from(rows, (row) => values[row])]);
  expect(values(actual)).toEqual(values(expected));
  expect(actual.report).toEqual(expected.report);
}

/** Users with many events and few, IDs of all kinds, ties and gaps in time, fractions of ratings. */
function hostileLog(rows: number, seed: number): string {
  const random = seeded(seed, 7);
  const ids = ['__proto__', '007', '7', '"a,b"', 'Zoë', '1e3', '-1', 'x'.repeat(40), '日本', '999999999', '1000000000'];
  let text = 'user,item,rating,timestamp,device\n';
  for (let i = 0; i < rows; i++) {
    const user = random.chance(0.3) ? ids[random.below(ids.length)] : random.below(40);
    const item = random.chance(0.3) ? ids[random.below(ids.length)] : random.below(60);
    const rating = random.chance(0.1) ? '' : (1 + random.below(9) / 2).toString();
    const time = random.chance(0.05) ? '' : 1_600_000_000 + random.below(200);
    text += `${user},${item},${rating},${time},${['phone', '', 'tv'][random.below(3)]}\n`;
  }
  return text;
}

describe('a prepared dataset', () => {
  it.each([
    [1, { minInteractions: 5 }, { part: 1 << 21, distributed: 1 << 20 }],
    [2, { minInteractions: 1 }, { part: 40, distributed: 64 }],
    [3, { minInteractions: 8, minRating: 2.5 }, { part: 100, distributed: 1000 }],
  ])('is what prepare makes in memory (seed %i)', async (seed, filter, sizes) => {
    const text = hostileLog(2000, seed);
    const options = { context: ['device'] };
    const expected = prepare(await readLog(bytesOf(text), 'log', options), filter);
    const { dir, prepared } = await onDisk(text, filter, options, sizes);
    expectSame(prepared.dataset, expected);
    expect(prepared.filter).toEqual(filter);
    expect(existsSync(join(dir, '.rows'))).toBe(false);
    if (sizes.part < 1000)
      expect(JSON.parse(readFileSync(join(dir, 'dataset.json'), 'utf8')).parts.length).toBeGreaterThan(3);
  });

  it.each([
    ['without times and ratings', 'user,item\na,x\na,y\nb,y\nb,x\n'],
    ['with a placeholder date', 'user,item,time\na,x,9999-12-31\na,y,2020-01-02\nb,y,2020-01-01\nb,x,\n'],
    ['with one user', 'user,item,time\na,x,3\na,y,1\na,z,2\n'],
    [
      'with bytes that are not UTF-8',
      Buffer.concat([Buffer.from('user,item,time\nb,Zoë,2\na,é,3\na,Zo'), Buffer.of(255), Buffer.from(',1\n')]),
    ],
  ])('of a log %s', async (_, text) => {
    const options = { maxBadRows: 1 };
    const expected = prepare(await readLog(bytesOf(text), 'log', options), { minInteractions: 1 });
    expectSame((await onDisk(text, { minInteractions: 1 }, options)).prepared.dataset, expected);
  });

  it('is read beyond one block, at any position', async () => {
    const random = seeded(1, 2);
    let text = 'user,item,time\n';
    for (let i = 0; i < 30_000; i++) text += `${random.below(20)},${random.below(5000)},${i}\n`;
    const expected = prepare(await readLog(bytesOf(text), 'log'), { minInteractions: 1 });
    const { prepared } = await onDisk(text, { minInteractions: 1 }, {}, { part: 5000, distributed: 7000 });
    const { items } = prepared.dataset;
    const all = Uint32Array.from(expected.items);
    for (let i = 0; i < 100; i++) {
      const from = random.below(30_000);
      const to = Math.min(30_000, from + random.below(i % 2 ? 50 : 9000));
      expect(items.subarray(from, to)).toEqual(all.subarray(from, to));
      expect(items.at(from)).toBe(all[from]);
    }
    expect(items.at(30_000)).toBeUndefined();
  });

  it('gives the same errors', async () => {
    const text = 'user,item,rating\na,x,1\na,y,2\nb,y,3\nb,x,4\nb,z,1\n';
    for (const filter of [{ minInteractions: 5 }, { minInteractions: 1, minRating: 9 }, { minInteractions: 0 }]) {
      const log = await readLog(bytesOf(text), 'log');
      const message = (() => {
        try {
          prepare(log, filter);
        } catch (error) {
          return (error as Error).message;
        }
      })();
      expect(message).toBeDefined();
      await expect(onDisk(text, filter)).rejects.toThrow(message);
    }
  });

  it('is refused where it is damaged', async () => {
    const text = hostileLog(300, 4);
    const { dir } = await onDisk(text, { minInteractions: 1 });
    const file = join(dir, 'part-0000.items.u32');
    const bytes = readFileSync(file);
    bytes[5] ^= 1;
    writeFileSync(file, bytes);
    await expect(openDatasetFolder(dir)).rejects.toThrow(/items\.u32: its checksum is another; the dataset is damaged/);
    truncateSync(file, 8);
    await expect(openDatasetFolder(dir)).rejects.toThrow(/items\.u32: expected \d+ bytes, got 8/);
    rmSync(file);
    await expect(openDatasetFolder(dir)).rejects.toThrow(/items\.u32: is missing/);
    appendFileSync(join(dir, 'dataset.json'), '}');
    await expect(openDatasetFolder(dir)).rejects.toThrow(/dataset\.json: is not JSON/);
    writeFileSync(join(dir, 'dataset.json'), '{"format":"attune-dataset","version":9}');
    await expect(openDatasetFolder(dir)).rejects.toThrow(/of version 9/);
    writeFileSync(join(dir, 'dataset.json'), '{"format":"attune-dataset","version":1}');
    await expect(openDatasetFolder(dir)).rejects.toThrow(/users: expected an integer/);
  });

  it('is not written over another, nor read for columns that it lacks', async () => {
    const { dir } = await onDisk(hostileLog(300, 5), { minInteractions: 1 }, { context: ['device'] });
    expect(() => DatasetFolder.create(dir, false)).toThrow(/already holds a dataset/);
    await expect(openDatasetFolder(dir, { context: ['shop'] })).rejects.toThrow(
      /was prepared without the column shop; its columns are device/,
    );
  });
});
