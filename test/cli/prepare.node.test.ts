/** `attune prepare`, and the commands that read what it writes. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { Output } from '../../cli/common.ts';
import { preparedBeside } from '../../cli/input/prepared.ts';
import { circle, openWorkplace, SHARED, SMALL } from './attune.ts';

const IDS = Array.from({ length: 14 }, (_, i) => `item ${i}`);
const place = openWorkplace(SHARED);
const train = (data: string, out: string) => `train --data ${data} --out ${out} --epochs 2 ${SMALL.join(' ')}`;

beforeAll(async () => {
  place.write('log.csv', circle(IDS, 40, 9));
  const { stdout } = await place.ok('prepare --data log.csv --out dataset');
  expect(stdout).toContain('log.csv: 40 users, 14 items, 360 interactions');
  expect(stdout).toContain('train --data dataset --out my-model');
  await place.ok(train('log.csv', 'plain'));
  await place.ok(train('dataset', 'streamed'));
});

describe('a prepared dataset', () => {
  test('trains the same model, bit for bit', () => {
    for (const name of ['model.safetensors', 'memory.safetensors', 'items.json', 'training.bin']) {
      expect(readFileSync(place.part(`streamed/${name}`)).equals(readFileSync(place.part(`plain/${name}`))), name).toBe(
        true,
      );
    }
    expect(place.partJson('streamed/config.json').data).toEqual({
      ...place.partJson('plain/config.json').data,
      source: 'dataset',
    });
  });

  test('evaluates and continues it', async () => {
    const { metrics } = await place.json('evaluate --model streamed --data dataset');
    expect(metrics).toEqual((await place.json('evaluate --model plain --data log.csv')).metrics);
    const { epoch } = await place.json('train --out streamed --resume --epochs 3');
    expect(epoch).toBe(3);
  });

  test('knows its filter', async () => {
    expect(await place.fails(`${train('dataset', 'other')} --min-interactions 3`)).toBe(
      '1 dataset: prepared with --min-interactions 5, not 3; prepare the log again for another filter',
    );
    expect(await place.fails(`${train('dataset', 'other')} --item-column sku`)).toMatch(
      /^1 dataset: prepared with --item-column the usual name, not sku/,
    );
    await place.ok('prepare --data log.csv --out three --min-interactions 3');
    await place.ok(train('three', 'fewer'));
    expect(place.partJson('fewer/config.json').data.minInteractions).toBe(3);
  });

  test('is no log, where rows are asked for', async () => {
    expect(await place.fails('train --data dataset --task rating --out r')).toMatch(
      /^1 dataset: is a prepared dataset, and this reads the log itself/,
    );
    expect(await place.fails('recommend --model plain --data dataset --user u1')).toMatch(
      /^1 dataset: is a prepared dataset, and this reads the log itself/,
    );
  });

  test('of a large log is made beside the model, and taken again', async () => {
    const data = place.path('log.csv');
    const task = { data, reading: { columns: {}, maxBadRows: 0 }, filter: { minInteractions: 5 } };
    const [model, out] = [place.path('beside'), new Output(true)];
    expect(await preparedBeside(model, task, out)).toBe(data);
    const given = { ...task, deadline: performance.now() - 1 };
    await expect(preparedBeside(model, given, out, 100)).rejects.toThrow(/the time was up before it was read/);
    expect(existsSync(`${model}.dataset/.rows`)).toBe(false);
    expect(await preparedBeside(model, task, out, 100)).toBe(`${model}.dataset`);
    const made = () => statSync(`${model}.dataset/dataset.json`).mtimeMs;
    const first = made();
    await preparedBeside(model, task, out, 100);
    expect(made()).toBe(first);
    await preparedBeside(model, { ...task, filter: { minInteractions: 3 } }, out, 100);
    expect(made()).toBeGreaterThan(first);
  });

  test('is not replaced without --overwrite', async () => {
    expect(await place.fails('prepare --data log.csv --out dataset')).toMatch(/^1 dataset: already holds a dataset/);
    await place.ok('prepare --data log.csv --out dataset --overwrite');
  });

  test('has the event context that it was prepared with', async () => {
    const rows = circle(IDS, 20, 9).trimEnd().split('\n');
    const text = rows.map((row, i) => `${row},${i === 0 ? 'device' : i % 2 ? 'tv' : 'phone'}`).join('\n');
    place.write('context.csv', `${text}\n`);
    await place.ok('prepare --data context.csv --out context --events device,hour');
    const settings = `--events device --set d=8 --set ff=16 --set blocks=1 --set window=16 --set budget=64 --epochs 1`;
    await place.ok(`train --data context --out c1 ${settings}`);
    await place.ok(`train --data context.csv --out c2 ${settings}`);
    expect(readFileSync(place.part('c1/model.safetensors'))).toEqual(readFileSync(place.part('c2/model.safetensors')));
    expect(await place.fails(`train --data dataset --out c3 ${settings}`)).toMatch(
      /^1 --events: dataset: was prepared without the column device; it has no columns of events/,
    );
  });
});
