import { beforeAll, describe, expect, test } from 'vitest';
import { npyPieces } from '../../data/formats/npy.ts';
import { openWorkplace, SHARED } from './attune.ts';

/** Thirty users who like even items more than odd ones, and less so the later. */
const rows = Array.from({ length: 30 }, (_, u) =>
  Array.from({ length: 8 }, (_, t) => {
    const item = (u * 3 + t * 5) % 14;
    return `u${u},i${item},${(item % 2 ? 2 : 4) + (((u >> 2) + (t >> 1)) % 2)},${1000 * t + u}`;
  }),
).flat();
const LOG = `user,item,rating,timestamp\n${rows.join('\n')}\n`;

const TINY = ['d=8', 'heads=1', 'ff=8', 'window=8', 'budget=64', 'factors=2', 'sweeps=3', 'parts=2'].flatMap((pair) => [
  '--set',
  pair,
]);

const place = openWorkplace(SHARED);
beforeAll(async () => {
  place.write('log.csv', LOG);
  place.write('items.csv', 'item,title\ni1,One\ni2,Two\n');
  const { stdout } = await place.ok([
    ...['train', '--task', 'rating', '--data', 'log.csv', '--items', 'items.csv', '--out', 'model'],
    ...['--folds', '3', '--epochs', '2', ...TINY],
  ]);
  expect(stdout).toContain('log.csv: columns: user "user", item "item", time "timestamp", rating "rating"\n');
  expect(stdout).toContain('240 ratings of 14 items by 30 users, 4 levels from 2 to 5; no filter');
  expect(stdout).toContain('round 4 of 4: the model of all ratings');
  expect(stdout).toMatch(/factors alone +0\.\d{4}/);
});

describe('a rating model', () => {
  test('evaluate reports the out-of-fold predictions, which the dump holds', async () => {
    const found = await place.json('evaluate --model model --dump dump.jsonl');
    expect(found).toMatchObject({ task: 'rating', protocol: 'folds', protocolParameters: { k: 3 }, predict: 'mean' });
    expect(found.ratings).toBe(240);
    expect(found.byRound).toHaveLength(3);
    const dumped = place.jsonLines('dump.jsonl');
    expect(dumped.map(({ user, item, rating }) => `${user},${item},${rating}`)).toEqual(
      rows.map((row) => row.split(',').slice(0, 3).join()),
    );
    const squares = dumped.reduce((sum, { rating, prediction }) => sum + (rating - prediction) ** 2, 0);
    expect(found.RMSE).toBeCloseTo(Math.sqrt(squares / 240), 6);
    expect(found.RMSE).toBe(found.metrics.RMSE);
    const median = await place.json('evaluate --model model --data log.csv --predict median');
    const absolute = dumped.reduce((sum, { rating, median }) => sum + Math.abs(rating - median), 0);
    expect(median.MAE).toBeCloseTo(absolute / 240, 6);
    expect(median.points).toEqual(found.points);
  });

  test('recommend predicts ratings, for a history or a user', async () => {
    const found = await place.json('recommend --model model --history i1=2,i2=5 --k 3');
    expect(found.items).toHaveLength(3);
    expect(found.items.map(({ id }: { id: string }) => id)).not.toContain('i1');
    const asked = ['recommend', '--model', 'model', '--user', 'u3', '--data', 'log.csv', '--items', 'i1,i2'];
    const { items } = await place.json(asked);
    expect(items.map(({ title }: { title: string }) => title)).toEqual(['One', 'Two']);
    expect(items[0].prediction).toBeLessThan(items[1].prediction);
  });

  test('--resume of a finished training does nothing, and a folder in use is not replaced', async () => {
    const found = await place.json('train --out model --resume');
    expect(found.reason).toBe('finished before');
    const again = ['train', '--task', 'rating', '--data', 'log.csv', '--out', 'model'];
    expect(await place.fails(again)).toMatch(/^1 model: already holds a model/);
  });

  test('--resume accepts flags that repeat the start, and no others', async () => {
    const resume = ['train', '--out', 'model', '--resume'];
    const same = ['--task', 'rating', '--folds', '3', '--epochs', '2', '--seed', '1', '--set', 'd=8'];
    expect((await place.json([...resume, ...same])).reason).toBe('finished before');
    for (const other of [
      ['--folds', '4'],
      ['--epochs', '3'],
      ['--seed', '2'],
      ['--set', 'd=16'],
    ]) {
      expect(await place.fails([...resume, ...other])).toMatch(
        new RegExp(`^2 ${other[0]}: --resume continues what model was`),
      );
    }
  });

  test('ratings outside the scale are refused, and the log is not overwritten', async () => {
    expect(await place.fails('recommend --model model --history i1=2,i2=9')).toBe(
      '1 history: "i2" has the rating 9; expected 2 to 5, as in the ratings that the model was trained on',
    );
    expect(await place.fails('evaluate --model model --dump ./log.csv')).toMatch(
      /^1 --dump .\/log.csv: is log.csv, which this command reads/,
    );
    expect(place.read('log.csv')).toBe(LOG);
  });

  test('fractions of a star are printed as they were written', async () => {
    place.write(
      'halves.csv',
      LOG.replace(/,(\d),/g, (_, stars) => `,${Number(stars) / 2 + 0.1},`),
    );
    const train = ['train', '--task', 'rating', '--data', 'halves.csv', '--out', 'halves', '--epochs', '1'];
    const { code, stdout } = await place.run([...train, '--protocol', 'random', ...TINY]);
    expect([code, stdout]).toEqual([0, expect.stringContaining('4 levels from 1.1 to 2.6; no filter')]);
    const user = ['recommend', '--model', 'halves', '--user', 'u3', '--data', 'halves.csv'];
    const { items, levels } = await place.json(user);
    expect(levels).toEqual([1.1, 1.6, 2.1, 2.6]);
    for (const { median } of items) expect(levels).toContain(median);
    expect((await place.run(user)).stdout).not.toMatch(/\d\.\d{5}/);
    await place.json('evaluate --model halves --dump halves.jsonl');
    for (const { rating } of place.jsonLines('halves.jsonl')) expect(levels).toContain(rating);
  });

  test('attributes, user features, and event context are read, reported, and stored; new items require no training', async () => {
    const log = LOG.split('\n').map((line, i) => (line ? `${line},${i ? (i % 3 ? 'phone' : 'desk') : 'device'}` : ''));
    place.write('devices.csv', log.join('\n'));
    const kinds = Array.from({ length: 14 }, (_, i) => `i${i},Item ${i},${i % 2 ? 'odd' : 'even'}\n`);
    place.write('kinds.csv', `item,title,kind\n${kinds.join('')}`);
    place.write(
      'towns.csv',
      `user,town\n${Array.from({ length: 29 }, (_, u) => `u${u},${u % 2 ? 'Ulm' : 'Bonn'}\n`).join('')}`,
    );
    const sound = Float32Array.from({ length: 42 }, (_, i) => Math.sin(i));
    place.write('sound.npy', new Uint8Array(npyPieces(sound, [14, 3]).flatMap((piece) => [...piece])));
    place.write('new.csv', 'item,title,kind\nn1,New,odd\nn2,Newer,even\n');
    const trained = await place.run([
      ...['train', '--task', 'rating', '--data', 'devices.csv', '--items', 'kinds.csv', '--users', 'towns.csv'],
      ...'--events hour,device --out reads --protocol random:test=0.2 --epochs 3'.split(' '),
      ...TINY,
    ]);
    expect(trained.stderr).toMatch(/--events hour: the times of devices.csv are not dates/);
    const { code, stdout } = await place.run([
      ...['train', '--task', 'rating', '--data', 'devices.csv', '--items', 'kinds.csv', '--users', 'towns.csv'],
      ...[
        ...'--vectors sound.npy --events device --out reads --protocol random:test=0.2 --epochs 3'.split(' '),
        ...TINY,
      ],
    ]);
    expect(code).toBe(0);
    expect(stdout).toContain('kinds.csv: kind: category, 2 values');
    expect(stdout).toContain('kinds.csv: title: skip, left out');
    expect(stdout).toContain('kinds.csv: sound: vector, 3 numbers');
    expect(stdout).toContain('towns.csv: town: category, 2 values');
    expect(stdout).toContain('towns.csv: nothing of 1 users: "u29"');
    expect(stdout).toContain('devices.csv: events: device: 2 values');
    const { schema, data } = place.partJson('reads/config.json');
    expect([Object.keys(schema), data.usersFile]).toEqual([
      ['columns', 'attributes', 'items', 'users', 'events'],
      'towns.csv',
    ]);
    expect((await place.json('train --out reads --resume')).reason).toBe('finished before');
    expect((await place.json('items add --model reads --items new.csv')).added).toBe(2);
    const asked = [...'recommend --model reads --user u3 --data devices.csv --items n1,n2'.split(' ')];
    const { items } = await place.json([...asked, '--users', 'towns.csv', '--context', 'device=phone']);
    expect(items[0].prediction).toBeLessThan(items[1].prediction);
    expect((await place.answer(asked)).stderr).toContain('without --users PATH nothing is known of them here');
    const nobody = ['recommend', '--model', 'reads', '--new', '--about', 'town=Rome', '--items', 'i1'];
    expect((await place.json(nobody)).unseen).toEqual({ town: 1 });
    expect(await place.fails([...asked, '--context', 'mood=blue'])).toMatch(
      /^1 --context mood: the model reads device of/,
    );
    expect(await place.fails('items add --model model --items new.csv')).toMatch(
      /^1 model: its items are embeddings alone.*attributes \(--items PATH\)/,
    );
  });

  test('mismatches are errors in one line', async () => {
    place.write('plain.csv', 'user,item\na,x\na,y\nb,x\n');
    place.write('same.csv', 'user,item,rating\na,x,3\na,y,3\nb,x,3\n');
    place.write('other.csv', LOG.replace('u0,i0,4', 'u0,i0,5'));
    const train = (...args: string[]) => place.fails(['train', '--task', 'rating', '--out', 'none', '--data', ...args]);
    expect(await train('plain.csv')).toMatch(/^1 plain.csv: has no rating column.*--rating-column NAME/);
    expect(await train('same.csv')).toMatch(/^1 same.csv: every rating is 3/);
    expect(await train('log.csv', '--protocol', 'leave-one-out')).toMatch(
      /^2 .*ratings are split by folds, random, last/,
    );
    expect(await train('log.csv', '--set', 'blocsk=1')).toMatch(
      /^1 --set blocsk=1: unknown setting; there is d, heads,/,
    );
    expect(await train('log.csv', '--min-rating', '3')).toMatch(/^2 --min-rating: for ranking/);
    expect(await place.fails('train --data log.csv --out none --folds 5')).toMatch(/^2 --folds 5: is for ratings/);
    expect(await place.fails('evaluate --model model --data other.csv')).toMatch(/^1 other.csv: not the log/);
    expect(await place.fails('compare model markov --data log.csv')).toMatch(/^1 a model of ratings/);
    expect(await place.fails('recommend --model model --history i1')).toMatch(/^1 --history i1: .*i1=4/);
  });
});

test('clicks: probabilities with accuracy, AUC, log loss, and calibration', async () => {
  const found = await place.json([
    ...['train', '--task', 'ctr', '--positive', '4', '--data', 'log.csv', '--out', 'clicks'],
    ...['--protocol', 'random:test=0.2', '--epochs', '2', ...TINY],
  ]);
  expect(found).toMatchObject({ task: 'ctr', protocol: 'random', ratings: 48, points: null });
  for (const name of ['accuracy', 'precision', 'recall', 'F1', 'AUC', 'logLoss', 'Brier', 'ECE']) {
    expect(found[name], name).toBeGreaterThanOrEqual(0);
  }
  // Odd and even items determine the label.
  expect(found.AUC).toBeGreaterThan(0.9);
  expect(found.calibration.reduce((sum: number, bin: { count: number }) => sum + bin.count, 0)).toBe(48);
  const { AUC } = await place.json('evaluate --model clicks --dump clicks.jsonl');
  expect(AUC).toBe(found.AUC);
  expect(Object.keys(place.jsonLines('clicks.jsonl')[0])).toEqual(['user', 'item', 'label', 'probability', 'round']);
});

test('clicks: a test set of one class has no AUC; too few ratings are an error with advice', async () => {
  const last = Array.from({ length: 30 }, (_, u) => `u${u},i${u % 14},2,99999`).join('\n');
  place.write('cold.csv', `${LOG}${last}\n`);
  const train = 'train --task ctr --positive 4 --data cold.csv --protocol last --epochs 1'.split(' ');
  const { code, stdout } = await place.run([...train, '--out', 'one', ...TINY]);
  expect([code, stdout]).toEqual([0, expect.stringMatching(/transformer +(0\.\d{4} +)+– +/)]);
  const found = await place.json('evaluate --model one');
  expect([found.AUC, found.metrics.AUC, found.baselines.factors.AUC]).toEqual([null, null, null]);
  expect(place.read('one/README.md')).toMatch(/\| – \|/);
  place.write('three.csv', 'user,item,rating\na,x,1\nb,y,2\nc,z,3\n');
  const few = ['train', '--task', 'rating', '--data', 'three.csv', '--out', 'few', '--epochs', '1', ...TINY];
  expect(await place.fails([...few, '--folds', '2'])).toMatch(/give --folds 3$/);
  expect((await place.run([...few, '--folds', '3'])).code).toBe(0);
});
