/** User features, event context, cold-start users, exploration, and given vectors, from the command line. */
import { cpSync } from 'node:fs';
import { ParquetWriter, ByteWriter } from 'hyparquet-writer';
import { beforeAll, describe, expect, test } from 'vitest';
import { npyPieces } from '../../data/formats/npy.ts';
import { sideFeatureRows } from '../../data/features/event-encoder.ts';
import { loadConfig } from '../../model/storage/config.ts';
import { encode } from '../../model/storage/safetensors.ts';
import { loadSegmentPrior, saveSegmentPrior, type SegmentPrior } from '../../model/transitions/segment-prior.ts';
import { NodeFiles, Recommender, type RecommendQuery } from '../../recommend/node.ts';
import { oneLine, SMALL, openWorkplace, SHARED } from './attune.ts';

const ITEMS = Array.from({ length: 24 }, (_, i) => `i${i}`);
/** 40 users: those in the north walk through the even items, those in the south through the odd ones. */
const LOG = Array.from({ length: 40 }, (_, u) =>
  Array.from({ length: 9 }, (_, t) => {
    const item = ((u * 5 + t) % 12) * 2 + (u % 2);
    const day = String(1 + t).padStart(2, '0');
    return `u${u},i${item},${1 + ((u + t) % 5)},2026-01-${day}T${10 + (u % 9)}:00,${t % 3 ? 'phone' : 'desk'}`;
  }),
).flat();
const AREA = ['north', 'south'];

const place = openWorkplace(SHARED);
const run = (...args: string[]) => place.ok(args);
const json = (...args: string[]) => place.json(args);
/** What a command that fails prints last. */
const refused = async (...args: string[]) =>
  oneLine((await place.run(args)).stderr.trimEnd().split('\n').at(-1) as string);
const idsOf = ({ items }: { items: { id: string }[] }): string[] => items.map(({ id }) => id);
const even = (ids: readonly string[]) => ids.filter((id) => Number(id.slice(1)) % 2 === 0).length;

beforeAll(async () => {
  place.write('log.csv', `user,item,rating,time,device\n${LOG.join('\n')}\n`);
  const rows = Array.from({ length: 39 }, (_, u) => `u${u},${AREA[u % 2]},${u % 7 ? 20 + u : ''}`);
  place.write('users.csv', `user_id,area,age\n${rows.join('\n')}\nnew,south,30\n`);
  const given = ['--users', 'users.csv', '--events', 'rating,gap,hour,weekday,device'];
  const small = [...SMALL, '--epochs', '3', '--set', 'learningRate=0.01'];
  const { stdout } = await run('train', '--data', 'log.csv', '--out', 'given', ...small, ...given);
  place.write('output.txt', stdout);
  await run('train', '--data', 'log.csv', '--out', 'plain', ...small);
});

describe('users and events', () => {
  test('are reported, stored, and read again when the model is evaluated', async () => {
    const said = place.read('output.txt');
    expect(said).toContain('users.csv: age: number, 21 to 58, 15.4 % missing (learned)');
    expect(said).toContain('log.csv: events: device: 2 values');
    expect(said).toMatch(/Cold-start users, .*: NDCG@10 0\.\d+ by the segment prior/);
    const { schema, data } = place.partJson('given/config.json');
    expect(schema.users.columns.map(({ name }: { name: string }) => name)).toEqual(['area', 'age']);
    expect(schema.events).toHaveLength(5);
    expect(data.usersFile).toBe('users.csv');
    const judged = ['evaluate', '--model', 'given', '--data', 'log.csv', '--no-baselines'];
    const known = await json(...judged, '--users', 'users.csv');
    expect(known.users).toBe(40);
    const { stderr } = await run(...judged);
    expect(stderr).toContain('the model reads columns of users');
    await run('train', '--out', 'given', '--resume', '--epochs', '4');
    await run('compare', 'given', 'plain', '--data', 'log.csv', '--users', 'users.csv');
    await run('vectors', '--model', 'given', '--out', 'written', '--data', 'log.csv', '--users', 'users.csv');
    await run('explain', '--model', 'given', '--data', 'log.csv', '--users', 'users.csv', '--sample', '3');
  });

  test('evaluate ranks users with few events as recommend does', async () => {
    cpSync(place.path('given'), place.path('few'), { recursive: true });
    const files = await NodeFiles.open(place.path('few'));
    const prior = (await loadSegmentPrior(files, sideFeatureRows((await loadConfig(files)).schema))) as SegmentPrior;
    const weigh = (weights: [number, number][]) =>
      saveSegmentPrior(files, { ...prior, settings: { ...prior.settings, weights } });
    const judged = ['evaluate', '--model', 'few', '--data', 'log.csv', '--no-baselines', '--users', 'users.csv'];
    await weigh([]);
    const without = await json(...judged);
    expect(without.withPrior).toBeUndefined();
    await weigh([[16, 2]]);
    const found = await json(...judged, '--dump', 'dump.jsonl', '--diversity', '0.2');
    // One user has no features.
    expect(found.withPrior).toBe(39);
    expect(without.metrics).toMatchObject(found.parts.withoutPrior);
    expect(found.parts.transformer).toEqual(without.parts.transformer);
    expect(found.metrics.MRR).not.toBe(without.metrics.MRR);
    const [[line], last] = [place.jsonLines('dump.jsonl'), LOG[8]];
    expect(line.user).toBe('u0');
    place.write('before.csv', `user,item,rating,time,device\n${LOG.filter((row) => row !== last).join('\n')}\n`);
    const asked = ['recommend', '--model', 'few', '--user', 'u0', '--data', 'before.csv', '--users', 'users.csv'];
    const { items } = await json(...asked, '--k', '10');
    expect(idsOf({ items })).toEqual(line.items.slice(0, 10));
    for (const [i, { score }] of items.entries()) expect(score).toBeCloseTo(line.scores[i], 4);
    const { a } = await json('compare', 'few', 'plain', '--data', 'log.csv', '--users', 'users.csv');
    expect(a.metrics['NDCG@10']).toBe(found.metrics['NDCG@10']);
  });

  test('generate continues a history with them', async () => {
    const asked = ['generate', '--model', 'given', '--steps', '3'];
    const user = [...asked, '--user', 'u0', '--data', 'log.csv'];
    const known = await json(...user, '--users', 'users.csv');
    expect(known.items).toHaveLength(3);
    const logProbabilities = ({ items }: { items: { logProbability: number }[] }) =>
      items.map((item) => item.logProbability);
    expect(logProbabilities(await json(...user))).not.toEqual(logProbabilities(known));
    expect((await json(...asked, '--history', 'i0,i2', '--about', 'area=north')).items).toHaveLength(3);
    expect(await refused(...asked, '--history', 'i0,i2', '--users', 'users.csv')).toMatch(/--users requires --user/);
  });

  test('bad flags are refused in one line', async () => {
    const base = ['train', '--data', 'log.csv', '--out', 'none', ...SMALL];
    expect(await refused(...base, '--events', 'shop')).toMatch(/no column "shop" \(--events shop\)/);
    expect(await refused(...base, '--users', 'log.csv', '--events', ',')).toMatch(/names with commas/);
    expect(await refused(...base, '--users-schema', 'x.json')).toMatch(/requires --users/);
    place.write('others.csv', 'user_id,area\nx,north\n');
    expect(await refused(...base, '--users', 'others.csv')).toMatch(/none of its users is in the log/);
    expect(await refused(...base, '--recipe', 'bert4rec', '--events', 'rating')).toMatch(/direction=causal/);
  });
});

describe('cold-start users', () => {
  test('get the list of their segment; one event changes it', async () => {
    const recommender = await Recommender.load(place.path('given'), { backend: 'cpu' });
    const ask = async (query: Partial<RecommendQuery>) =>
      idsOf(await recommender.recommend({ history: [], k: 8, ...query }));
    const north = await ask({ user: { area: 'north' } });
    const south = await ask({ user: { area: 'south', age: '30' } });
    expect([even(north), even(south)]).toEqual([8, 0]);
    const popular = await ask({});
    expect(even(popular)).toBeGreaterThan(0);
    expect(even(popular)).toBeLessThan(8);
    const after = await ask({ history: ['i4'], user: { area: 'north' } });
    expect(after).not.toEqual(north.filter((id) => id !== 'i4'));
    const { items, unseen } = await recommender.recommend({
      history: ['i4'],
      user: { area: 'west' },
      where: 'id != i6',
    });
    expect(unseen).toEqual({ area: 1 });
    expect(idsOf({ items })).not.toContain('i6');
    expect(await ask({ user: { area: 'north' }, deny: [north[0]], exclude: [north[1]] })).toEqual(
      expect.not.arrayContaining(north.slice(0, 2)),
    );
    // Event context counts, and must match the history.
    const facts = { history: ['i4', 'i6'], context: { device: ['desk', 'phone'] }, ratings: [5, 1] };
    const score = async (query: RecommendQuery) => (await recommender.recommend(query)).items[0].score;
    expect(await score(facts)).not.toBe(await score({ ...facts, ratings: [1, 5] }));
    await expect(score({ ...facts, ratings: [5] })).rejects.toThrow('ratings: expected one for each of the 2 items');
    const session = recommender.session({ user: { area: 'north' }, k: 8 });
    expect(idsOf(await session.recommend())).toEqual(north);
    expect(idsOf(await session.update({ item: 'i4', rating: 5 }))).not.toContain('i4');
    recommender.close();
    // A user of the users file, without a history in the log.
    const asked = ['recommend', '--model', 'given', '--k', '8', '--user', 'new', '--users', 'users.csv'];
    expect(idsOf(await json(...asked, '--data', 'log.csv'))).toEqual(south);
  });

  test('get popular items from any model', async () => {
    const { stderr, stdout } = await run('recommend', '--model', 'plain', '--new', '--k', '5', '--about', 'area=north');
    expect(`${stderr}${stdout}`).toContain('no event is known: popularity');
    expect(stderr).toContain('--about: the model reads no columns of users');
    expect(await refused('recommend', '--model', 'plain', '--new', '--history', 'i1')).toMatch(
      /--new is for a user without events/,
    );
    expect(await refused('recommend', '--model', 'plain', '--user', 'x', '--users', 'users.csv')).toMatch(
      /users.csv: no user "x"/,
    );
  });
});

describe('exploration', () => {
  test('is off by default, is seeded, and combines with the other options', async () => {
    const recommender = await Recommender.load(place.path('plain'), { backend: 'cpu' });
    const ask = async (query: Partial<RecommendQuery> = {}) =>
      idsOf(await recommender.recommend({ history: ['i0', 'i2'], k: 6, ...query }));
    const plain = await ask();
    const explore = { method: 'thompson', strength: 20 } as const;
    const once = await ask({ explore });
    expect(once).not.toEqual(plain);
    expect(await ask({ explore })).toEqual(once);
    expect(await ask({ explore: { ...explore, seed: 5 } })).not.toEqual(once);
    expect(await ask({ explore: { method: 'ucb', strength: 0 } })).toEqual(plain);
    const both = await ask({ explore: { method: 'epsilon-greedy' }, diversity: 0.5, deny: [plain[0]] });
    expect(both).toHaveLength(6);
    expect(both).not.toContain(plain[0]);
    recommender.close();
    const judged = ['evaluate', '--model', 'plain', '--data', 'log.csv', '--no-baselines', '--explore', 'ucb'];
    expect((await run(...judged)).stdout).toContain('explore ucb');
    const asked = ['recommend', '--model', 'plain', '--history', 'i0,i2'];
    expect(await refused(...asked, '--explore-seed', '5')).toMatch(/require --explore METHOD/);
    expect(await refused(...asked, '--explore', 'epsilon-greedy', '--explore-strength', '2')).toMatch(/from 0 to 1/);
  });
});

describe('given vectors', () => {
  test('are used together with columns, from safetensors, NumPy, and Parquet', async () => {
    place.write('items.csv', `item,kind\n${ITEMS.map((id, i) => `${id},k${i % 3}`).join('\n')}\n`);
    const values = (width: number) => Float32Array.from({ length: 24 * width }, (_, i) => Math.sin(i * width));
    const image = new Map([['image', { shape: [24, 3], data: values(3) }]]);
    place.write('image.safetensors', encode(image, new Map([['ids', JSON.stringify([...ITEMS].reverse())]])));
    place.write('sound.npy', new Uint8Array(npyPieces(values(4), [24, 4]).flatMap((piece) => [...piece])));
    const writer = new ByteWriter();
    const file = new ParquetWriter({
      writer,
      schema: [
        { name: 'schema', num_children: 2 },
        { name: 'id', type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'REQUIRED' },
        { name: 'text', converted_type: 'LIST', repetition_type: 'REQUIRED', num_children: 1 },
        { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
        { name: 'element', type: 'FLOAT', repetition_type: 'REQUIRED' },
      ],
    });
    const lists = ITEMS.slice(1).map((_, i) => [...values(5).subarray(i * 5, i * 5 + 5)]);
    await file.write({
      columnData: [
        { name: 'id', data: ITEMS.slice(1) },
        { name: 'text', data: lists },
      ],
    });
    await file.finish();
    place.write('text.parquet', writer.getBytes());
    const base = ['train', '--data', 'log.csv', '--out', 'vectors', ...SMALL, '--items', 'items.csv', '--epochs', '1'];
    const vectors = ['image.safetensors', 'sound.npy', 'text.parquet'].flatMap((name) => ['--vectors', name]);
    const { stdout } = await run(...base, '--set', 'items=tower', ...vectors);
    for (const line of ['image: vector, 3 numbers', 'sound: vector, 4 numbers', 'text: vector, 5 numbers, 4.2 %']) {
      expect(stdout).toContain(line);
    }
    expect(await refused(...base, ...vectors)).toMatch(/--vectors requires --set items=tower/);
    place.write('short.npy', new Uint8Array(npyPieces(values(4).subarray(0, 8), [2, 4]).flatMap((p) => [...p])));
    expect(await refused(...base, '--overwrite', '--set', 'items=tower', '--vectors', 'short.npy')).toMatch(
      /2 rows for the 24 items of --items/,
    );
    expect(await refused(...base, '--overwrite', '--set', 'items=tower', '--vectors', 'log.csv')).toMatch(
      /\.safetensors, \.npy or \.parquet/,
    );
  });
});
