/** Items by their attributes, from the command line: the cold-item protocol, schemas, new items without training. */
import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { oneLine, SMALL, openWorkplace, SHARED } from './attune.ts';

const GENRES = ['Drama', 'War', 'Comedy'];
/** 36 items, a third of each genre. */
const ITEMS = Array.from({ length: 36 }, (_, i) => ({ id: `i${i}`, genre: GENRES[i % 3], price: 5 + (i % 7) }));
/** 45 users, each with ten items of one genre. */
const LOG = Array.from({ length: 45 }, (_, u) =>
  ITEMS.filter((_, i) => i % 3 === u % 3)
    .filter((_, i) => (i * 5 + u) % 6 !== 0)
    .map(({ id }, at) => `u${u},${id},${(at * (1 + (u % 4))) % 11}`),
).flat();
const QUICK = [...SMALL, '--epochs', '2', '--items', 'items.csv'];

const place = openWorkplace(SHARED);
const run = (...args: string[]) => place.ok(args);
const json = (...args: string[]) => place.json(args);
/** What a command that fails prints last. */
const refused = async (...args: string[]) =>
  oneLine((await place.run(args)).stderr.trimEnd().split('\n').at(-1) as string);

beforeAll(async () => {
  place.write('log.csv', `user,item,time\n${LOG.join('\n')}\n`);
  const rows = ITEMS.map(({ id, genre, price }) => `${id},${genre}|Film,${price}`);
  place.write('items.csv', `item,genres,price\n${rows.join('\n')}\n`);
  place.write('cold.txt', 'i0\ni1\ni2\ni9\ni10\ni11\nnowhere\n');
  place.write('new.csv', 'item,genres,price\ni3,War|Film,5\nn1,Drama|Film,7\nn2,Opera|Film,\n');
});

describe('cold items', () => {
  test('are recommended by their attributes alone', async () => {
    const cold = ['--protocol', 'cold-items:valid=0.2', '--cold-items', 'cold.txt'];
    const { stdout } = await run('train', '--data', 'log.csv', '--out', 'cold', ...QUICK, ...cold);
    expect(stdout).toContain('genres: list, 4 values');
    const config = place.partJson('cold/config.json');
    expect(config).toMatchObject({
      protocol: 'cold-items',
      protocolParameters: { listed: 6, valid: 0.2, seed: 1 },
      hyperparameters: { items: 'tower', memory: 'off' },
    });
    expect(config.attributeMemory.fitted.blend['NDCG@10']).toBeGreaterThan(0);
    const result = await json('evaluate', '--model', 'cold', '--data', 'log.csv', '--protocol', 'cold-items');
    const users = new Set(
      LOG.map((row) => row.split(',')).flatMap(([u, i]) => (/^i([0129]|1[01])$/.test(i) ? [u] : [])),
    );
    expect(result).toMatchObject({ protocol: 'cold-items', split: 'test', users: users.size, items: 36 });
    // Two of the six are of the user's genre and rank first; some users had only the second of them.
    expect(result.parts.attributes['NDCG@10']).toBeGreaterThan(0.9);
    expect(result.metrics['NDCG@10']).toBeGreaterThan(0.9);
    expect(result.baselines['attribute neighbours']['NDCG@10']).toBeGreaterThan(0.7);
    expect(await refused('evaluate', '--model', 'cold', '--data', 'log.csv', '--protocol', 'ratio')).toMatch(
      /trained under cold-items/,
    );
    expect(await refused('items', 'add', '--model', 'cold', '--items', 'new.csv')).toMatch(/to be evaluated/);
  });

  test('need attributes, and a protocol', async () => {
    const base = ['train', '--data', 'log.csv', '--out', 'none', ...SMALL];
    expect(await refused(...base, '--protocol', 'cold-items')).toMatch(/name their file with --items/);
    expect(await refused(...base, '--cold-items', 'cold.txt')).toMatch(/requires --protocol cold-items/);
    expect(await refused(...base, '--items', 'items.csv', '--schema', 'x.json')).toMatch(/--set items=tower/);
    expect(await refused(...base, '--items', 'items.csv', '--protocol', 'cold-items', '--set', 'items=ids')).toMatch(
      /requires items=tower/,
    );
  });
});

describe('items add', () => {
  test('a model with an item tower recommends unseen items', async () => {
    place.write('schema.json', '{"columns":[{"name":"price","type":"number","missing":"median"}]}');
    const tower = ['--set', 'items=tower', '--schema', 'schema.json', '--set', 'learningRate=0.01', '--epochs', '6'];
    await run('train', '--data', 'log.csv', '--out', 'tower', ...QUICK, ...tower);
    const before = readFileSync(place.part('tower/model.safetensors'));
    const added = await json('items', 'add', '--model', 'tower', '--items', 'new.csv');
    expect(added).toEqual({ added: 2, known: 1, items: 38, unseen: { genres: 1 } });
    expect(readFileSync(place.part('tower/model.safetensors')).equals(before)).toBe(true);
    const { items } = await json('recommend', '--model', 'tower', '--history', 'i0,n1', '--k', '36');
    const ids = items.map(({ id }: { id: string }) => id);
    expect(ids).toContain('n2');
    expect(ids).not.toContain('n1');
    const { users } = await json('evaluate', '--model', 'tower', '--data', 'log.csv', '--no-baselines');
    expect(users).toBe(45);
    await run('train', '--out', 'tower', '--resume', '--epochs', '7');
    expect(await refused('items', 'add', '--model', 'tower', '--items', 'new.csv')).toMatch(
      /knows all of these 3 items/,
    );
    expect(await refused('items', 'remove', '--model', 'tower', '--items', 'new.csv')).toMatch(/expected add/);
  });

  test('a model without a tower requires training', async () => {
    await run('train', '--data', 'log.csv', '--out', 'ids', ...QUICK);
    expect(await refused('items', 'add', '--model', 'ids', '--items', 'new.csv')).toMatch(/--set items=tower/);
  });
});
