import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { circle, oneLine, SMALL, Workplace } from './attune.ts';

const DEMO = ['demo', '--device', 'cpu', '--minutes', '0.12'];

let place: Workplace;
beforeAll(() => {
  place = new Workplace({ processes: 'one' });
});
afterAll(() => place.remove());

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
    const next = await place.run(['recommend', '--model', 'attune-demo', '--history', 'SKU-0001', '--device', 'cpu']);
    expect(next.code).toBe(0);
    const args = ['--model', 'attune-demo', '--data', 'attune-demo/purchases.csv', '--include-seen', '--device', 'cpu'];
    const { code, stdout } = await place.run(['evaluate', ...args, '--json']);
    expect(code).toBe(0);
    const result = JSON.parse(stdout);
    expect(readFileSync(place.path('attune-demo/README.md'), 'utf8')).toContain(result.metrics['NDCG@10'].toFixed(4));
    expect(readFileSync(place.path('attune-demo/goods.csv'), 'utf8')).toMatch(
      /^item,title,category,brand,price\nSKU-0001,/,
    );
  });

  test('replaces an earlier demo, and prints JSON', async () => {
    const { code, stdout } = await place.run([...DEMO, '--json']);
    expect(code).toBe(0);
    const { figures, shoppers } = JSON.parse(stdout);
    expect(figures.upperBound).toBeGreaterThan(figures.metrics['NDCG@10']);
    expect(shoppers).toHaveLength(3);
    expect(shoppers[0].recommended).toHaveLength(5);
    expect(new Set(shoppers.map((one: { description: string }) => one.description)).size).toBe(3);
  });

  test("does not overwrite a user's model", async () => {
    place.write('log.csv', circle(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i'], 12, 8));
    const train = ['train', '--data', 'log.csv', '--out', 'attune-demo', '--overwrite', '--epochs', '1', ...SMALL];
    expect((await place.run(train)).code).toBe(0);
    const { code, stderr } = await place.run(DEMO);
    expect(oneLine(stderr)).toMatch(/^attune-demo: holds a model of log\.csv, which the demo would overwrite/);
    expect(code).toBe(1);
  });
});
