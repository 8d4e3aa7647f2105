/** Ratings of MovieLens 100K: the factors reach what such models reach, and the transformer says how they err. */
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { ratingRounds } from '../../data/ratings/split.ts';
import { ratingsOf } from '../../data/ratings/ratings.ts';
import { readLog } from '../../data/formats/reader.ts';
import { Device } from '../../engine/index.ts';
import { ratingSettings } from '../../model/ratings/settings.ts';
import { ratingMetrics } from '../../train/ratings/metrics.ts';
import { trainRound } from '../../train/ratings/round.ts';
import { set } from '../set.ts';

const folder = process.env.ATTUNE_DATA ?? '';
if (!folder) console.warn('ratings of MovieLens 100K: skipped, since ATTUNE_DATA names no folder');

it.skipIf(!folder)('one fold of MovieLens 100K, eight epochs', async () => {
  const file = 'ml-100k/ml-100k.inter';
  const ratings = ratingsOf(await readLog(createReadStream(join(folder, file)), file), 'rating');
  expect([ratings.size, ratings.userIds.length, ratings.itemIds.length]).toEqual([100_000, 943, 1682]);
  const [rows] = ratingRounds(ratings, { name: 'folds', k: 5 }, 1);
  const settings = ratingSettings(
    ratings.size,
    set('epochs=8 learningRate=0.003 warmup=20 d=32 heads=1 ff=64 parts=3 sweeps=10'),
  );
  const device = await Device.open();
  const round = await trainRound({ device, ratings, rows, settings, seed: 1, tail: false });
  round?.model.dispose();
  device.close();
  const tested = Float32Array.from(rows.test, (row) => ratings.value[row]);
  const { mean, factors, biases } = round?.predictions ?? expect.fail('interrupted');
  const error = (predicted: Float32Array) => ratingMetrics(tested, predicted).RMSE;
  expect(error(biases)).toBeGreaterThan(0.93);
  expect(error(biases)).toBeLessThan(0.95);
  expect(error(factors)).toBeLessThan(0.92);
  expect(error(mean)).toBeLessThan(error(factors));
});
