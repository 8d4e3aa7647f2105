import { existsSync, rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import { circle, oneLine, SMALL, openWorkplace, SHARED } from './attune.ts';

/** IDs that careless code mishandles. */
const IDS = [
  '__proto__',
  'constructor',
  'plain',
  'with space',
  'with, comma',
  'the "quoted"',
  'ünïcode',
  '0',
  '-1',
  'l',
  'm',
  'n',
  'o',
  'x;y',
];
/** Thirty users walk around the circle; one ends with the first item. */
const AGAIN = [...IDS.slice(0, 4), ...IDS.slice(6, 10), IDS[0]].map((id, t) => `again,${id},${t}`).join('\n');
const LOG = `${circle(IDS, 30, 9)}${AGAIN}\n`;

const place = openWorkplace(SHARED);
beforeAll(async () => {
  place.write('log.csv', LOG);
  place.write('items.csv', 'item,title,price\n__proto__,Prototype,3\n"with, comma","A, b",4\n');
  const { code, stdout } = await place.run([
    ...['train', '--data', 'log.csv', '--out', 'model', '--items', 'items.csv', '--epochs', '20'],
    ...['--set', 'learningRate=0.01', '--set', 'dropout=0', ...SMALL],
  ]);
  expect(code).toBe(0);
  expect(stdout).toContain('log.csv: 31 users, 14 items, 279 interactions');
  expect(stdout).toContain('items.csv: titles for 2 of 14 items');
  expect(stdout).toContain('training loss over');
  expect(stdout).toMatch(/windowed Markov +\d\.\d{4}/);
  expect(stdout).toContain('evaluate --model model --data log.csv');
});

describe('the folder', () => {
  test('has the documented files', () => {
    const config = place.partJson('model/config.json');
    expect(config).toMatchObject({
      recipe: 'sasrec',
      seed: 1,
      seen: 'excluded',
      device: 'cpu',
      protocol: 'leave-one-out',
    });
    expect(config.hyperparameters).toMatchObject({ d: 8, learningRate: 0.01 });
    expect(config.data).toMatchObject({ source: 'log.csv', users: 31, items: 14, minInteractions: 5, minRating: null });
    expect(place.read('model/README.md')).toContain('windowed Markov');
    expect(existsSync(place.path('model/attune.lock'))).toBe(false);
  });

  test('is not replaced without --overwrite', async () => {
    expect(await place.fails(['train', '--data', 'log.csv', '--out', 'model', ...SMALL])).toMatch(
      /^1 model: already holds a model; add --resume .* --overwrite/,
    );
  });
});

describe('evaluate', () => {
  test('--json has the documented keys, and the dump agrees with it', async () => {
    const { result: object, stderr } = await place.answer('evaluate --model model --data log.csv --dump dump.jsonl');
    expect(stderr).toContain('dump.jsonl: 31 lines');
    expect(Object.keys(object)).toEqual([
      'protocol',
      'protocolParameters',
      'split',
      'seen',
      'requestTime',
      'users',
      'items',
      'metrics',
      'parts',
      'baselines',
      'intervals',
      'slices',
      'diversity',
      'model',
    ]);
    expect(object).toMatchObject({
      protocol: 'leave-one-out',
      split: 'test',
      seen: 'excluded',
      users: 31,
      items: 14,
      parts: {},
    });
    expect(Object.keys(object.baselines)).toEqual([
      'popularity',
      'Markov',
      'windowed Markov',
      'EASE',
      'windowed Markov + EASE',
    ]);
    const [low, high] = object.intervals['NDCG@10'];
    expect(low).toBeLessThanOrEqual(object.metrics['NDCG@10']);
    expect(high).toBeGreaterThanOrEqual(object.metrics['NDCG@10']);
    expect(object.slices.historyLength['1-10']).toMatchObject({ users: 31, 'HR@10': object.metrics['HR@10'] });
    expect(object.diversity).toBe('vectors');
    for (const name of ['MAP@10', 'F1@10', 'Gini@10', 'Novelty@10', 'Diversity@10']) {
      expect(object.metrics[name], name).toBeGreaterThan(0);
      expect(object.baselines.EASE[name], name).toBeGreaterThan(0);
    }
    const lines = place.jsonLines('dump.jsonl');
    const rows = place.read('log.csv').trimEnd().split('\n').slice(1);
    let gain = 0;
    for (const { user, target, rank, items, scores } of lines) {
      expect(items.length).toBe(scores.length);
      expect([...scores].sort((a: number, b: number) => b - a)).toEqual(scores);
      const history = rows.filter((row) => row.startsWith(`${user},`));
      expect(history.at(-1)?.replaceAll('""', '"')).toContain(target);
      expect(items.includes(target) ? items.indexOf(target) + 1 : null).toBe(rank);
      if (user === 'again') expect(rank).toBe(null);
      if (rank !== null && rank <= 10) gain += 1 / Math.log2(rank + 1);
    }
    expect(object.metrics['NDCG@10']).toBeCloseTo(gain / 31, 12);
    expect(object.metrics['NDCG@10']).toBeGreaterThan(0.7);
  });

  test('seen items kept, the other split, as a table', async () => {
    const { code, stdout } = await place.run([
      ...['evaluate', '--model', 'model', '--data', 'log.csv', '--split', 'valid', '--include-seen'],
    ]);
    expect(code).toBe(0);
    expect(stdout).toContain(
      "valid: each user's last but one interaction among all 14 items, seen items kept, 31 users",
    );
    for (const row of ['sasrec \\(step \\d+\\) with transitions', 'sasrec \\(step \\d+\\) alone', 'transitions alone'])
      expect(stdout).toMatch(new RegExp(`${row} +\\d\\.\\d{4}`));
  });

  test('unknown items are named and left out; if all are unknown, that is an error', async () => {
    place.write('other.csv', `${LOG}${circle(['new'], 30, 2).split('\n').slice(1).join('\n')}`);
    const { result, stderr } = await place.answer('evaluate --model model --data other.csv');
    expect(result).toMatchObject({ users: 31, items: 14 });
    expect(stderr).toMatch(/1 items of other\.csv are unknown to the model .* 60 interactions: "new"/);
    place.write('alien.csv', circle(['p', 'q', 'r', 's', 't', 'v'], 12, 8));
    expect(await place.fails('evaluate --model model --data alien.csv')).toMatch(
      /^1 alien\.csv: none of its items is known to the model in model/,
    );
  });
});

describe('recommend', () => {
  test('follows the circle, in titles', async () => {
    const { result, stderr } = await place.answer('recommend --model model --history x;y --k 3');
    const { items, unknown } = result;
    expect(items[0]).toMatchObject({ id: '__proto__', title: 'Prototype', attributes: { price: '3' } });
    expect({ unknown, stderr, count: items.length }).toEqual({ unknown: [], stderr: '', count: 3 });
    const people = await place.run('recommend --model model --history x;y');
    expect(people.stdout).toMatch(/^1\. +Prototype +-?\d+\.\d{3} +__proto__$/m);
  });

  test('IDs with commas and quotes, spaces around them', async () => {
    const history = '"the ""quoted""" , "with, comma",with space';
    const { items, unknown } = await place.json(['recommend', '--model', 'model', '--history', history, '--k', '20']);
    expect(unknown).toEqual([]);
    const ids = items.map((item: { id: string }) => item.id);
    expect(ids).toHaveLength(11);
    for (const id of ['the "quoted"', 'with, comma', 'with space']) expect(ids).not.toContain(id);
  });

  test('unknown IDs are named and skipped; all unknown, or quotes that do not match, are errors', async () => {
    const { result, stderr } = await place.answer('recommend --model model --history plain,nope,hasOwnProperty');
    expect(result.unknown).toEqual(['nope', 'hasOwnProperty']);
    expect(oneLine(stderr)).toBe('2 of 3 skipped, items unknown to the model: "nope", "hasOwnProperty"');
    for (const history of ['nope,nada', '"open', ' , '])
      expect(await place.fails(['recommend', '--model', 'model', '--history', history])).toMatch(/^1 ./);
  });

  test('seen items are excluded unless asked for, others with --exclude', async () => {
    const ids = async (...args: string[]) =>
      (await place.json(['recommend', '--model', 'model', '--history', 'plain', '--k', '13', ...args])).items.map(
        (item: { id: string }) => item.id,
      );
    expect(await ids()).toEqual(expect.not.arrayContaining(['plain']));
    expect(await ids('--include-seen')).toContain('plain');
    expect(await ids('--exclude', '"with, comma",0')).toHaveLength(11);
  });

  test('for a user of a log', async () => {
    const args = ['recommend', '--model', 'model', '--data', 'log.csv', '--k', '1', '--user'];
    const { items } = await place.json([...args, 'u1']);
    const [...history] = Array.from({ length: 9 }, (_, t) => IDS[(3 + t) % 14]);
    expect(history).not.toContain(items[0].id);
    expect(await place.fails([...args, 'nobody'])).toBe(
      '1 log.csv: no user "nobody"; its users are "u0", "u1", "u2", … (31 in all)',
    );
  });
});

describe('explanations', () => {
  const asked = ['recommend', '--model', 'model', '--history', 'l,m,n,o,x;y', '--k', '2'];

  test('as JSON: the contribution of each event', async () => {
    const { items } = await place.json([...asked, '--explain']);
    for (const { explanation } of items) {
      expect(explanation.method).toBe('occlusion');
      expect(explanation.events).toHaveLength(5);
      const shares = explanation.events.map((event: { share: number }) => event.share);
      expect(shares.reduce((a: number, b: number) => a + b, 0)).toBeCloseTo(1, 9);
      expect([...shares].sort((a, b) => b - a)).toEqual(shares);
    }
    const { items: looked } = await place.json([...asked, '--explain', 'rollout']);
    expect(looked[0].explanation.method).toBe('rollout');
    expect((await place.json(asked)).items[0]).not.toHaveProperty('explanation');
  });

  test('as text: a sentence, bars, and a heatmap', async () => {
    const { code, stdout, stderr } = await place.run([...asked, ...'--explain --heatmap map.svg'.split(' ')]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^1\. Prototype\n {3}(Mainly|Partly) because of .* \(\d+ %\).*; .*\.\n {3}█/m);
    expect(stdout).toContain('map.svg: a map of the attention');
    expect(place.read('map.svg')).toMatch(/^<svg [\s\S]*<\/svg>\n$/);
    const { code: none, stderr: line } = await place.run([...asked, '--heatmap', 'map.svg', '--block', '7']);
    expect([none, oneLine(line)]).toEqual([1, 'block 7: this model has one block']);
  });

  test('how well the methods agree', async () => {
    const args = ['explain', '--model', 'model', '--data', 'log.csv', '--sample', '5'];
    const found = await place.json(args);
    expect(found).toMatchObject({ users: 5, compared: 5, split: 'test' });
    expect(Object.keys(found.methods)).toEqual(['occlusion', 'rollout', 'attention', 'latest', 'random']);
    const { occlusion, rollout, random } = found.methods;
    expect(occlusion.drop.mean).toBeGreaterThanOrEqual(rollout.drop.mean);
    expect(occlusion.drop.mean).toBeGreaterThan(random.drop.mean);
    for (const value of [rollout.spearman.mean, rollout.top.mean]) expect(Math.abs(value)).toBeLessThanOrEqual(1);
    const { stdout } = await place.run([...args]);
    expect(stdout).toMatch(/roll-out +-?\d\.\d\d \(/);
  });
});

describe('resume', () => {
  test('of a finished run exits 0 with a note; more epochs continue it', async () => {
    const finished = await place.run('train --out model --resume');
    expect({ code: finished.code, stderr: finished.stderr }).toEqual({ code: 0, stderr: '' });
    expect(finished.stdout).toContain('had finished before');
    const more = await place.json('train --out model --resume --epochs 21');
    expect(more).toMatchObject({ reason: 'epochs', epoch: 21 });
  });

  test('is refused on another log', async () => {
    place.write('log2.csv', circle(IDS, 33, 9));
    const { code, stderr } = await place.run('train --out model --resume --data log2.csv'.split(' '));
    expect(code).toBe(1);
    expect(stderr).toContain('log2.csv: not the log that model was started with');
  });

  test('after Ctrl-C, which saves and says how to continue', async () => {
    const args = [...'train --data log.csv --out cut --max-minutes 5 --set patience=100000'.split(' '), ...SMALL];
    const { code, stderr } = await place.run(args, {
      started: async (child) => {
        while (!existsSync(place.path('cut/metrics.jsonl'))) await sleep(20);
        child.kill('SIGINT');
      },
    });
    expect(stderr).toMatch(
      /attune: stopped at step [\d,]+; everything is saved in cut; continue with: .*train --out cut --resume\n$/,
    );
    expect(code).toBe(130);
    expect(existsSync(place.path('cut/attune.lock'))).toBe(false);
    const { code: after, stdout } = await place.run('train --out cut --resume --max-minutes 0.05');
    expect(after).toBe(0);
    expect(stdout).toContain('reached the time limit');
    rmSync(place.path('cut'), { recursive: true });
  });
});
