import { describe, expect, test } from 'vitest';
import { circle, SMALL, openWorkplace, SHARED } from './attune.ts';

const DEMO = ['demo', '--minutes', '0.4'];

const place = openWorkplace(SHARED);

describe('demo', () => {
  test('trains, compares, recommends in titles, and prints the next command', async () => {
    const { code, stdout, stderr } = await place.run(DEMO);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain('The demo shop, a small one for the CPU: 600 invented shoppers');
    for (const name of ['this model', 'popularity', 'Markov', 'windowed Markov', 'upper bound']) {
      expect(stdout).toMatch(new RegExp(`^${name} +`, 'm'));
    }
    expect(stdout).toMatch(/Routines repeat: \d+ % of the last purchases/);
    expect(stdout.match(/bought lately/g)).toHaveLength(3);
    expect(stdout.match(/may want next {3}1\. \S/g)).toHaveLength(3);
    expect(stdout).toContain('train --data YOUR-LOG.csv --out my-model');
    expect(stdout).not.toMatch(/may want next.*SKU-/);
  });

  test('the printed command works, and so do the CSV files', async () => {
    await place.ok('recommend --model attune-demo --history SKU-0001');
    const args = ['--model', 'attune-demo', '--data', 'attune-demo/purchases.csv', '--include-seen'];
    const result = await place.json(['evaluate', ...args]);
    expect(place.read('attune-demo/README.md')).toContain(result.metrics['NDCG@10'].toFixed(4));
    expect(place.read('attune-demo/goods.csv')).toMatch(/^item,title,category,brand,price\nSKU-0001,/);
  });

  test('replaces an earlier demo, and prints JSON', async () => {
    const { figures, shoppers } = await place.json(DEMO);
    expect(figures.upperBound).toBeGreaterThan(figures.metrics['NDCG@10']);
    expect(shoppers).toHaveLength(3);
    expect(shoppers[0].recommended).toHaveLength(5);
    expect(new Set(shoppers.map((one: { description: string }) => one.description)).size).toBe(3);
  });

  test("does not overwrite a user's model", async () => {
    place.write('log.csv', circle(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i'], 12, 8));
    const train = ['train', '--data', 'log.csv', '--out', 'attune-demo', '--overwrite', '--epochs', '1', ...SMALL];
    await place.ok(train);
    expect(await place.fails(DEMO)).toMatch(
      /^1 attune-demo: holds a model of log\.csv, which the demo would overwrite/,
    );
  });
});
