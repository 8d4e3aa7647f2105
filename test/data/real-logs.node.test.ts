import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { batches } from '../../data/batching/batches.ts';
import { readItems } from '../../data/formats/catalog.ts';
import { prepare } from '../../data/dataset.ts';
import { parseProtocol } from '../../data/splits/protocol.ts';
import { readLog } from '../../data/formats/reader.ts';
import { type Split, splitDataset } from '../../data/splits/split.ts';
import { Device } from '../../engine/index.ts';
import { allBaselines } from '../../train/baselines/all-baselines.ts';
import { type Baseline, markov, popularity, windowedMarkov } from '../../train/baselines/baselines.ts';
import { evaluateBaseline } from '../../train/evaluation/ranking.ts';
import { FULL } from '../full.ts';

const folder = process.env.ATTUNE_DATA ?? '';
if (!folder) console.warn('real logs: skipped, since ATTUNE_DATA names no folder');

const load = async (file: string): Promise<Split> =>
  splitDataset(prepare(await readLog(createReadStream(join(folder, file)), file), { minInteractions: 5 }));

/** NDCG@10 and HR@10 on the test part. */
const headline = (split: Split, baseline: Baseline, seen: 'kept' | 'excluded'): [number, number] => {
  const { metrics } = evaluateBaseline(split, baseline, { split: 'test', seen }) ?? expect.fail('no targets');
  return [metrics['NDCG@10'], metrics['HR@10']];
};

/**
 * How far a metric may lie from the published one. Popularity and the Markov chain give many items the same score, and
 * which convention the published metrics order them by is not known (ours: pessimistic, the chain's ties by
 * popularity), so that a few users differ. The windowed chain has hardly any ties.
 */
const near = ([ndcg, hit]: [number, number], expected: [number, number], tolerance: number): void => {
  expect(Math.abs(ndcg - expected[0])).toBeLessThanOrEqual(tolerance);
  expect(Math.abs(hit - expected[1])).toBeLessThanOrEqual(tolerance);
};
/** One user of 6,040, and the rounding to four digits. */
const ONE_USER = 0.0002;

describe.skipIf(!folder)('MovieLens 1M', async () => {
  const split = folder ? await load('ml-1m/ratings.csv') : (undefined as never);

  it('has the published size, without the rows of unknown order', () => {
    const { report } = split.dataset;
    expect([report.rows, report.users, report.items, report.interactions]).toEqual([1_000_209, 6040, 3416, 999_611]);
    expect([report.removedUsers, report.removedItems, report.removedInteractions]).toEqual([0, 290, 598]);
    expect(report.lines.join()).toContain('598 rows have no time');
  });

  it('fills batches', () => {
    let tokens = 0;
    let count = 0;
    for (const batch of batches(split, { maxTokens: 3200, window: 200, seed: 1, epoch: 0 })) {
      tokens += batch.tokens;
      count++;
    }
    expect(tokens).toBe(999_611 - 3 * 6040);
    expect(tokens / (count * 3200)).toBeGreaterThan(0.99);
  });

  it('gives the baselines their published metrics', () => {
    near(headline(split, popularity(split), 'kept'), [0.0079, 0.0162], ONE_USER);
    near(headline(split, popularity(split), 'excluded'), [0.018, 0.0369], ONE_USER);
    near(headline(split, markov(split), 'kept'), [0.1074, 0.1899], 0.0013);
    near(headline(split, markov(split), 'excluded'), [0.1253, 0.2149], 0.0007);
    near(headline(split, windowedMarkov(split), 'kept'), [0.1183, 0.2141], ONE_USER);
    near(headline(split, windowedMarkov(split), 'excluded'), [0.1398, 0.2483], ONE_USER);
  });

  // The inverse of [3416,3416] and all blends; small logs: test/train/all-baselines.node.test.ts.
  it.runIf(FULL)('gives EASE its published metrics, and the blend at least those', async () => {
    const device = await Device.open({ backend: 'auto' });
    const all: Baseline[] = [];
    for await (const baseline of allBaselines(device, split, 'excluded')) all.push(baseline);
    const [, , , easy, blended] = all;
    device.close();
    near(headline(split, easy, 'excluded'), [0.1197, 0.2194], ONE_USER);
    near(headline(split, easy, 'kept'), [0.0654, 0.1293], ONE_USER);
    // Published: .1691 / .2881. What else is tried on validation here makes it better.
    const [ndcg, hit] = headline(split, blended, 'excluded');
    expect(ndcg).toBeGreaterThan(0.1691);
    expect(hit).toBeGreaterThan(0.2881);
  });

  it('has no common clock to cut at: its order counts within each history', () => {
    expect(() => splitDataset(split.dataset, parseProtocol('temporal'), 'ratings.csv')).toThrow(
      "each user's own interactions",
    );
  });

  it('has titles in Latin-1', async () => {
    const items = await readItems(createReadStream(join(folder, 'ml-1m/movies.dat')), 'movies.dat');
    expect(items.size).toBe(3883);
    expect(items.get('73')?.title).toBe('Mis\u00e9rables, Les (1995)');
    expect(split.dataset.itemIds.every((id) => items.has(id))).toBe(true);
  });
});

describe.skipIf(!folder)('MovieLens 100K', async () => {
  const split = folder ? await load('ml-100k/ml-100k.inter') : (undefined as never);

  it('has the published size and gives the baselines their published metrics', () => {
    const { report } = split.dataset;
    expect([report.users, report.items, report.interactions]).toEqual([943, 1349, 99_287]);
    near(headline(split, popularity(split), 'excluded'), [0.0445, 0.087], 0.0033);
    near(headline(split, markov(split), 'excluded'), [0.0762, 0.1453], 0.0012);
    near(headline(split, windowedMarkov(split), 'excluded'), [0.0887, 0.1845], ONE_USER);
  });
});

describe.skipIf(!folder)('Yelp, a user and its items a line', () => {
  it('has the published size', async () => {
    const log = await readLog(createReadStream(join(folder, 'yelp/yelp.seq.txt')), 'yelp.seq.txt');
    expect([log.size, log.userIds.length, log.itemIds.length]).toEqual([316_354, 30_431, 20_033]);
    expect(log.time).toBe(null);
    expect(log.userIds.slice(0, 2)).toEqual(['1', '2']);
    expect(Array.from(log.item.subarray(0, 5), (row) => log.itemIds[row])).toEqual(['1', '2', '3', '4', '3']);
  });
});
