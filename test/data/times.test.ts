import { expect, test } from 'vitest';
import { batches } from '../../data/batching/batches.ts';
import { prepare } from '../../data/dataset.ts';
import { splitDataset } from '../../data/splits/split.ts';
import { toSeconds } from '../../data/formats/times.ts';
import { datasetOf, logOf } from './bytes.ts';

const seconds = 1_700_000_000;

test.each([
  ['seconds', 1],
  ['milliseconds', 1e3],
  ['microseconds', 1e6],
  ['nanoseconds', 1e9],
])('an epoch in %s becomes seconds since the earliest event', (_, unit) => {
  expect([...toSeconds([seconds * unit, (seconds + 60) * unit, (seconds + 86_400) * unit])]).toEqual([0, 60, 86_400]);
});

test('an order stays; unknown times count as the first known one of their user', () => {
  expect([...toSeconds([3, 4, 9])]).toEqual([0, 1, 6]);
  const unknown = Number.NaN;
  expect([...toSeconds([unknown, unknown, 7, 8, unknown, 5], [0, 4, 5, 6])]).toEqual([2, 2, 2, 3, 0, 0]);
  expect([...toSeconds([0, 2 ** 40])]).toEqual([0, Math.round(2 ** 40 / 1e3)]);
});

test('events keep their times through sorting, split and batches', () => {
  const log = logOf([
    [1, 2, 3, 4, 5],
    [2, 3, 1],
  ]);
  log.time = Float64Array.of(50, 10, 40, 20, 30, 15, 25, 35).map((t) => seconds + t);
  const split = splitDataset(prepare(log, { minInteractions: 1 }));
  expect([...split.history(0, 'test')].map((row) => split.dataset.itemIds[row])).toEqual(['2', '4', '5', '3']);
  expect([...(split.times(0, 'test') ?? [])]).toEqual([0, 10, 20, 30]);
  expect([...(split.times(0, 'valid') ?? [])]).toEqual([0, 10, 20]);
  const [batch] = batches(split, { maxTokens: 8, window: 4, seed: 1, epoch: 0 });
  expect([...(batch.times ?? [])].slice(0, batch.tokens)).toEqual([0, 10]);
  expect(splitDataset(datasetOf([[1, 2, 3]])).times(0, 'test')).toBeUndefined();
});
