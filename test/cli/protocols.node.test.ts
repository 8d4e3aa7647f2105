import { beforeAll, describe, expect, test } from 'vitest';
import { circle, SMALL, openWorkplace, SHARED } from './attune.ts';

const IDS = Array.from({ length: 12 }, (_, i) => `i${i}`);
const LOG = circle(IDS, 40, 10);
/** A circle that each user starts at another time, so that a cut in time falls differently for each. */
const LATER = LOG.replace(
  /u(\d+),(.*),(\d+)/g,
  (_, u, item, time) => `u${u},${item},${Number(time) + 700 * Number(u)}`,
);
const QUICK = [...SMALL, '--epochs', '8', '--set', 'learningRate=0.01', '--set', 'dropout=0'];

const place = openWorkplace(SHARED);
const train = (out: string, data: string, ...args: string[]) =>
  place.ok(['train', '--data', data, '--out', out, ...QUICK, ...args]);
const json = (...args: string[]) => place.json(args);
const refused = (...args: string[]) => place.fails(args);

beforeAll(async () => {
  place.write('log.csv', LOG);
  place.write('later.csv', LATER);
  place.write('other.csv', circle([...IDS, 'extra'], 40, 10));
  await train('a', 'log.csv');
  await train('b', 'log.csv', '--seed', '2');
  await train('time', 'later.csv', '--protocol', 'temporal');
  await train('ratio', 'log.csv', '--protocol', 'ratio:test=0.3', '--include-seen');
  await train('other', 'other.csv');
});

describe('protocols', () => {
  test('temporal: trains before the cuts, which the folder stores', async () => {
    const config = place.partJson('time/config.json');
    expect(config.protocol).toBe('temporal');
    const { validFrom, testFrom, targets } = config.protocolParameters;
    expect(targets).toBe('first');
    expect(validFrom).toBeLessThan(testFrom);
    const result = await json('evaluate', '--model', 'time', '--data', 'later.csv');
    expect(result).toMatchObject({ protocol: 'temporal', protocolParameters: config.protocolParameters });
    const { warm, cold } = result.slices.users;
    expect(warm.users + cold.users).toBe(result.users);
    expect(result.baselines.popularity['HR@10']).toBeGreaterThan(0);
    const last = LATER.trimEnd()
      .split('\n')
      .slice(1)
      .filter((row) => Number(row.split(',')[2]) >= testFrom);
    expect(result.users).toBe(new Set(last.map((row) => row.split(',')[0])).size);
    expect(place.read('time/README.md')).toContain('protocol temporal (valid 0.1');
  });

  test('several targets: dump, metrics, and their names', async () => {
    const args = ['--model', 'ratio', '--data', 'log.csv', '--include-seen', '--dump', 'sets.jsonl'];
    const result = await json('evaluate', ...args);
    expect(result).toMatchObject({ protocol: 'ratio', protocolParameters: { test: 0.3, valid: 0.1 }, seen: 'kept' });
    const lines = place.jsonLines('sets.jsonl');
    let recall = 0;
    for (const { targets, ranks, items } of lines) {
      expect(targets).toHaveLength(3);
      expect(ranks).toEqual(targets.map((id: string) => items.indexOf(id) + 1));
      recall += ranks.filter((rank: number) => rank <= 5).length / 3;
    }
    expect(result.metrics['Recall@5']).toBeCloseTo(recall / lines.length, 12);
    const { stdout } = await place.run(['evaluate', ...args, '--no-baselines']);
    expect(stdout).toContain("test: the last 30 % of each user's interactions among all 12 items, seen items kept");
    expect(stdout).toContain('protocol ratio (valid 0.1, test 0.3)');
    expect(stdout).not.toContain('popularity');
  });

  test('a leave-one-out model can be evaluated on sampled candidates: the training part is the same', async () => {
    const full = await json('evaluate', '--model', 'a', '--data', 'log.csv', '--no-baselines');
    const sampled = await json('evaluate', '--model', 'a', '--data', 'log.csv', '--protocol', 'sampled-100:seed=3');
    expect(sampled).toMatchObject({ protocol: 'sampled-100', protocolParameters: { seed: 3 } });
    expect(sampled.metrics.MRR).toBeGreaterThanOrEqual(full.metrics.MRR);
    expect(full.baselines).toEqual({});
  });

  test('a protocol that tests on training events is refused', async () => {
    const message = await refused('evaluate', '--model', 'a', '--data', 'later.csv', '--protocol', 'temporal');
    expect(message).toMatch(/^1 a: trained under leave-one-out, and its training .* with --protocol temporal$/);
  });
});

describe('compare', () => {
  test('two models: the metrics of evaluate, their difference, and a paired test', async () => {
    const result = await json('compare', 'a', 'b', '--data', 'log.csv');
    const [a, b] = [
      await json('evaluate', '--model', 'a', '--data', 'log.csv', '--no-baselines'),
      await json('evaluate', '--model', 'b', '--data', 'log.csv', '--no-baselines'),
    ];
    for (const name of ['NDCG@10', 'HR@10', 'MRR']) {
      expect(result.a.metrics[name]).toBe(a.metrics[name]);
      const { mean, low, high, p } = result.differences[name];
      expect(mean).toBeCloseTo(b.metrics[name] - a.metrics[name], 12);
      expect(low).toBeLessThanOrEqual(mean);
      expect(high).toBeGreaterThanOrEqual(mean);
      expect(p).toBeGreaterThan(0);
      expect(p).toBeLessThanOrEqual(1);
    }
    expect(result).toMatchObject({ protocol: 'leave-one-out', split: 'test', seen: 'excluded', users: 40, items: 12 });
  });

  test('a model and a baseline, as a table', async () => {
    const { code, stdout } = await place.run('compare popularity a --data log.csv');
    expect(code).toBe(0);
    expect(stdout).toContain("test: each user's last interaction among all 12 items, seen items excluded, 40 users");
    expect(stdout).toMatch(/NDCG@10 +\+0\.\d{4} +[+-]0\.\d{4} +\+0\.\d{4} +0\.\d{4}/);
    expect(stdout).toContain('By NDCG@10 a (B) ranks better than popularity (A)');
  });

  test('other protocols, catalogs, and seen settings are refused', async () => {
    expect(await refused('compare', 'a', 'ratio', '--data', 'log.csv')).toMatch(
      /^1 a and ratio: the protocols differ \(leave-one-out and ratio \(valid 0\.1, test 0\.3\)\)/,
    );
    expect(await refused('compare', 'a', 'other', '--data', 'log.csv')).toMatch(
      /^1 a and other: the catalogs differ \(12 items and 13\), so their metrics are not comparable; train both alike, or rank what both know \(--shared-items\)$/,
    );
    const seen = await refused('compare', 'a', 'ratio', '--data', 'log.csv', '--protocol', 'leave-one-out');
    expect(seen).toMatch(/^1 a and ratio: what becomes of seen items differ .* --include-seen$/);
  });
});

describe('search', () => {
  const args = [
    ...['search', '--data', 'log.csv', '--out', 'search', '--epochs', '1', '--trials', '3'],
    ...['--range', 'learningRate=0.001..0.02', '--range', 'd=8,16', ...SMALL.filter((flag) => flag !== 'd=8')],
  ].filter((flag, i, all) => !(flag === '--set' && all[i + 1] === '--set'));

  /** Searches until so many trials have a result, however slow the machine: a larger budget continues the search. */
  const searched = async (trials: number) => {
    for (let seconds = 2; ; seconds *= 2) {
      const result = await json(...args, '--budget', `${seconds}s`);
      const done = result.trials.filter(({ outcomes }: { outcomes: unknown[] }) => outcomes.length > 0);
      if (done.length >= trials) return result;
    }
  };

  test('tries, halves, stops when its time is over, continues, and ends with a command that runs', async () => {
    const first = await searched(1);
    expect(first.trials[0].set).toEqual({});
    expect(Object.keys(first.ranges).sort()).toEqual(['d', 'dropout', 'heads', 'learningRate', 'weightDecay']);
    const state = JSON.parse(place.read('search/search.json'));
    expect(state.trials).toHaveLength(first.trials.length);
    const again = await searched(first.trials.length + 1);
    expect(again.trials.length).toBeGreaterThan(first.trials.length);
    first.trials.slice(0, -1).forEach((trial: { set: object }, i: number) => {
      expect(again.trials[i].set).toEqual(trial.set);
    });
    expect(again.best['NDCG@10']).toBe(
      Math.max(...again.trials.flatMap(({ outcomes }: { outcomes: { ndcg: number }[] }) => outcomes.at(-1)?.ndcg ?? 0)),
    );
    const trial = await json('evaluate', '--model', again.trials[0].model, '--data', 'log.csv', '--no-baselines');
    expect(trial.users).toBe(40);
    const words = again.best.command.replace(/^.*?train /, 'train ').split(' ');
    const { code } = await place.run([...words, '--epochs', '1']);
    expect(code).toBe(0);
    expect(await refused(...args, '--budget', '9s', '--seed', '2')).toMatch(
      /^1 search: holds a search started with another seed \(1, not 2\)/,
    );
    const table = await place.run([...args, '--budget', '1s']);
    expect(table.stdout).toMatch(/trial +NDCG@10 +epochs +.*learningRate/);
    expect(table.stdout).toContain('train --data log.csv --out best-model');
  });
});
