/** Post-processing (filters, penalties, diversity, and caps) as users type it; vectors for a vector database. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { parquetReadObjects } from 'hyparquet';
import { beforeAll, describe, expect, test } from 'vitest';
import { Recommender } from '../../recommend/node.ts';
import { circle, oneLine, SMALL, openWorkplace, SHARED } from './attune.ts';

const IDS = Array.from({ length: 12 }, (_, i) => (i === 5 ? 'i,5' : `i${i}`));
const KINDS = ['paper', 'leather', 'wool'];
const quoted = (id: string) => (id.includes(',') ? `"${id}"` : id);
const ITEMS = `item_id,title,kind,price\n${IDS.map((id, i) => `${quoted(id)},Thing ${i},${KINDS[i % 3]},${10 * i}`).join('\n')}\n`;
/** A circle, and more of the first items, so that some are popular. */
const LOG =
  circle(IDS, 40, 10) +
  Array.from({ length: 40 }, (_, u) => `u${u},i${u % 4},${-1000 + u}`)
    .join('\n')
    .concat('\n');

interface Line {
  user: string;
  target: string;
  rank: number | null;
  items: string[];
  scores: number[];
}

const place = openWorkplace(SHARED);
let whole: { metrics: Record<string, number> };
let lists: Line[];
let counts: Map<string, number>;
const run = (...args: string[]) => place.ok(args);
const json = (...args: string[]) => place.json(args);
const evaluate = (...args: string[]) =>
  json('evaluate', '--model', 'm', '--data', 'log.csv', '--no-baselines', ...args);
const recommend = async (...args: string[]): Promise<string[]> =>
  (await json('recommend', '--model', 'm', '--history', 'i0,i1', ...args)).items.map(({ id }: { id: string }) => id);

/** NDCG@10 and coverage of lists derived by hand from the lists of the unmodified model. */
function metricsOf(listOf: (line: Line) => string[]) {
  let ndcg = 0;
  const shown = new Set<string>();
  for (const line of lists) {
    const list = listOf(line).slice(0, 10);
    for (const id of list) shown.add(id);
    // A miss remains a miss; all other lists contain their targets.
    const at = line.rank === null ? -1 : list.indexOf(line.target);
    if (at >= 0) ndcg += 1 / Math.log2(at + 2);
  }
  return { 'NDCG@10': expect.closeTo(ndcg / lists.length, 10), 'Coverage@10': shown.size / IDS.length };
}
const kindOf = (id: string) => KINDS[IDS.indexOf(id) % 3];

beforeAll(async () => {
  place.write('log.csv', LOG);
  place.write('items.csv', ITEMS);
  const args = ['--epochs', '6', '--set', 'learningRate=0.01', '--set', 'dropout=0'];
  await run('train', '--data', 'log.csv', '--items', 'items.csv', '--out', 'm', ...SMALL, ...args);
  whole = await evaluate('--dump', 'dump.jsonl', '--include-seen');
  lists = place.jsonLines('dump.jsonl');
  const stored = place.partJson('m/items.json').items;
  counts = new Map(stored.map((item: { id: string; count: number }) => [item.id, item.count]));
});

test('a list with --device auto comes from WebAssembly where the adapter is software, as in the library', async () => {
  const recommender = await Recommender.load(place.path('m'));
  const { gpu } = recommender.device;
  recommender.close();
  const asked = ['recommend', '--model', 'm', '--history', 'i0,i1', '--device'];
  expect((await json(...asked, 'auto')).device).toBe(gpu ? 'webgpu' : 'wasm');
  expect((await json(...asked, 'cpu')).device).toBe('cpu');
});

describe('evaluate', () => {
  test('items.json counts the training events', () => {
    const events = new Map<string, number>();
    for (let u = 0; u < 40; u++) {
      const own = [`i${u % 4}`, ...Array.from({ length: 10 }, (_, t) => IDS[(u * 3 + t) % 12])].slice(0, -2);
      for (const id of own) events.set(id, (events.get(id) ?? 0) + 1);
    }
    expect(counts).toEqual(new Map(IDS.map((id) => [id, events.get(id)]).sort() as [string, number][]));
  });

  test('reports the cost and gain of each option, alone and together, as computed from the plain lists', async () => {
    const flags = ['--where', 'price<80 and kind!=wool', '--cap', 'kind=2', '--popularity-penalty', '1.5'];
    const { metrics, after } = await evaluate('--include-seen', ...flags, '--deny', 'i0,"i,5"');
    expect(metrics).toEqual(whole.metrics);
    expect(Object.keys(after)).toEqual(['where', 'deny', 'caps', 'popularityPenalty', 'together']);
    const passes = (id: string) => IDS.indexOf(id) < 8 && kindOf(id) !== 'wool';
    const denied = (id: string) => id === 'i0' || id === 'i,5';
    const capped = (ids: string[]) =>
      ids.filter((id, at) => ids.slice(0, at).filter((o) => kindOf(o) === kindOf(id)).length < 2);
    const punished = ({ items, scores }: Line) => {
      const less = items.map((id, i) => ({ id, score: scores[i] - 1.5 * Math.log1p(counts.get(id) as number) }));
      return less.sort((a, b) => b.score - a.score).map(({ id }) => id);
    };
    expect(after.where).toMatchObject({ options: { where: flags[1] }, items: 6 });
    expect(after.where.metrics).toMatchObject(metricsOf(({ items }) => items.filter(passes)));
    expect(after.deny.metrics).toMatchObject(metricsOf(({ items }) => items.filter((id) => !denied(id))));
    expect(after.caps.metrics).toMatchObject(metricsOf(({ items }) => capped(items)));
    expect(after.popularityPenalty.metrics).toMatchObject(metricsOf(punished));
    expect(after.popularityPenalty.metrics['MeanPopularity@10']).toBeLessThan(metrics['MeanPopularity@10']);
    expect(after.together.metrics).toMatchObject(
      metricsOf((line) => capped(punished(line).filter((id) => passes(id) && !denied(id)))),
    );
    expect(after.together.items).toBe(5);
    for (const { metrics: own, difference } of Object.values<typeof after.where>(after)) {
      const { mean, low, high, p } = difference['NDCG@10'];
      expect(mean).toBeCloseTo(own['NDCG@10'] - metrics['NDCG@10'], 10);
      expect([low <= mean && mean <= high, p > 0 && p <= 1]).toEqual([true, true]);
    }
  });

  test('prints a table, and warns of conditions that no item meets', async () => {
    const args = ['evaluate', '--model', 'm', '--data', 'log.csv', '--no-baselines'];
    const { stdout } = await run(...args, '--diversity', '0.5', '--cap', 'kind=3');
    expect(stdout).toMatch(
      /after the score +items +NDCG@10 +HR@10 +Coverage@10 +Diversity@10 +MeanPopularity@10 +NDCG@10 by +p/,
    );
    expect(stdout).toMatch(/plain +12 .*\n.*diversity 0\.5 +12 .*\n.*cap kind=3 +12 .*\n.*together +12 /);
    const nobody = await run(...args, '--where', 'price>1000');
    expect(nobody.stderr).toContain('attune: where price>1000: no item of the catalog is left');
    expect(nobody.stdout).toMatch(/where price>1000 +0 +0?\.0000 /);
  });

  test('with several targets, and with sampled candidates', async () => {
    const sampled = await evaluate('--protocol', 'sampled-100', '--cap', 'kind=1', '--allow', 'i1,i2,i3');
    expect(sampled.after.allow).toMatchObject({ items: 3, options: { allow: ['i1', 'i2', 'i3'] } });
    expect(sampled.after.allow.metrics['Coverage@10']).toBeLessThanOrEqual(0.25);
    await place.ok(`train --data log.csv --items items.csv --out r --epochs 1 --protocol ratio ${SMALL.join(' ')}`);
    const sets = await place.json(
      'evaluate --model r --data log.csv --no-baselines --include-seen --cap kind=1 --deny i0',
    );
    expect(sets.after.caps.metrics['Recall@10']).toBeLessThan(sets.metrics['Recall@10']);
    expect(sets.after.deny.items).toBe(11);
  });
});

describe('recommend', () => {
  test('filters, caps, diversity, and penalty', async () => {
    const plain = await recommend('--k', '12', '--include-seen');
    expect(plain).toHaveLength(12);
    const seen = ['--k', '12', '--include-seen'];
    expect(await recommend(...seen, '--where', 'kind=wool')).toEqual(plain.filter((id) => kindOf(id) === 'wool'));
    place.write('some.txt', '\ufeffi3\n"i,5"\n\ni9\n');
    expect(await recommend(...seen, '--allow', '@some.txt')).toEqual(
      plain.filter((id) => ['i3', 'i,5', 'i9'].includes(id)),
    );
    expect(await recommend(...seen, '--deny', '@some.txt', '--exclude', 'i4')).toEqual(
      plain.filter((id) => !['i3', 'i,5', 'i9', 'i4'].includes(id)),
    );
    const capped = await recommend(...seen, '--cap', 'kind=1', '--diversity', '0.2');
    expect(capped[0]).toBe(plain[0]);
    expect(capped.map(kindOf).sort()).toEqual([...KINDS].sort());
    const diverse = await recommend(...seen, '--diversity', '1');
    expect(diverse).not.toEqual(plain);
    expect([...diverse].sort()).toEqual([...plain].sort());
    const heavy = await recommend(...seen, '--popularity-penalty', '1000');
    const own = heavy.map((id) => counts.get(id));
    expect(own).toEqual([...own].sort((a, b) => (a as number) - (b as number)));
    const short = await run('recommend', '--model', 'm', '--history', 'i0', '--where', 'title="thing 3"');
    expect(short.stdout).toContain('1 of 10: no more items are left by the filters and caps');
  });

  test.each<[string[], RegExp]>([
    [
      ['--where', 'colour=red'],
      /^condition "colour=red": no item has an attribute colour; there is kind, price, id, title/,
    ],
    [['--where', 'price<'], /^condition "price<": expected a value, at character 7/],
    [['--cap', 'colour=2'], /^cap colour=2: no item has an attribute colour; there is kind, price$/],
    [['--allow', '@nowhere.txt'], /^nowhere\.txt: no such file or folder$/],
    [['--deny', ','], /^--deny: there is no item ID in it$/],
  ])('%j is refused in a line', async (args, message) => {
    for (const command of [
      ['recommend', '--history', 'i0'],
      ['evaluate', '--data', 'log.csv'],
    ]) {
      const { code, stdout, stderr } = await place.run([...command, '--model', 'm', ...args]);
      expect({ code, stdout: stdout.replace(/^log\.csv.*\n/gm, '') }).toEqual({ code: 1, stdout: '' });
      expect(oneLine(stderr)).toMatch(message);
    }
  });

  test.each([
    [['--diversity', '2'], /^2 .*expected a number >= 0 and <= 1/],
    [['--cap', 'kind'], /^2 .*expected attribute=n/],
    [['--cap', 'kind=0'], /^2 .*expected attribute=n/],
    [['--popularity-penalty', '-1'], /^2 .*expected a number >= 0/],
  ])('%j is wrong usage', async (args, message) => {
    expect(await place.fails(['recommend', '--model', 'm', '--history', 'i0', ...args])).toMatch(message);
  });

  test('an older folder without item counts loads, and a penalty is refused', async () => {
    for (const name of ['config.json', 'model.safetensors', 'memory.safetensors']) {
      const bytes = readFileSync(place.part(`m/${name}`));
      mkdirSync(place.path('old'), { recursive: true });
      place.write(`old/${name}`, bytes);
    }
    const items = readFileSync(place.part('m/items.json'), 'utf8').replaceAll(/,"count":\d+/g, '');
    place.write('old/items.json', items);
    expect(await json('recommend', '--model', 'old', '--history', 'i0')).toEqual(
      await json('recommend', '--model', 'm', '--history', 'i0'),
    );
    const args = ['recommend', '--model', 'old', '--history', 'i0', '--popularity-penalty', '1'];
    const { code, stderr } = await place.run(args);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^attune: a popularity penalty needs .* train it again$/m);
  });
});

test('the library gives the same, and concurrent queries do not mix', async () => {
  const recommender = await Recommender.load(place.path('m'), { backend: 'cpu' });
  const ask = async (options: Partial<Parameters<typeof recommender.recommend>[0]>) =>
    (await recommender.recommend({ history: ['i0', 'i1'], k: 5, ...options })).items.map(({ id }) => id);
  const flags = ['--k', '5', '--where', 'kind=wool or price<30', '--cap', 'kind=2', '--diversity', '0.3'];
  const options = { where: 'kind=wool or price<30', caps: { kind: 2 }, diversity: 0.3 };
  expect(await ask(options)).toEqual(await recommend(...flags));
  const questions = [{ history: ['i7'] }, { where: 'kind=wool' }, { deny: ['i2'] }, { history: ['i3'] }, options];
  const alone: string[][] = [];
  for (const question of questions) alone.push(await ask(question));
  expect(await Promise.all(questions.map(ask))).toEqual(alone);
  await expect(ask({ diversity: 3 })).rejects.toThrow('diversity: expected a number from 0 to 1, got 3');
  recommender.close();
});

describe('vectors', () => {
  /** Shape and values of a .npy file, read by hand. */
  const npy = (name: string): { shape: number[]; values: Float32Array } => {
    const bytes = readFileSync(place.path(name));
    expect(bytes.subarray(0, 8).toString('latin1')).toBe('\x93NUMPY\x01\x00');
    const size = 10 + bytes.readUInt16LE(8);
    expect(size % 64).toBe(0);
    const head = bytes.subarray(10, size).toString('latin1');
    expect(head.endsWith('\n')).toBe(true);
    const shape = /'descr': '<f4', 'fortran_order': False, 'shape': \((\d+), (\d+)\), \}/
      .exec(head)
      ?.slice(1)
      .map(Number);
    return {
      shape: shape as number[],
      values: new Float32Array(bytes.buffer.slice(bytes.byteOffset + size, bytes.byteOffset + bytes.length)),
    };
  };

  test('of items and users: their products are the scores, in .npy and Parquet', async () => {
    const result = await json('vectors', '--model', 'm', '--out', 'v', '--data', 'log.csv');
    expect(result.items).toEqual({ rows: 12, width: 8, files: ['items.npy', 'items.parquet', 'items.ids.json'] });
    expect(result.users).toMatchObject({ rows: 40, width: 8 });
    const [items, users] = [npy('v/items.npy'), npy('v/users.npy')];
    expect([items.shape, users.shape]).toEqual([
      [12, 8],
      [40, 8],
    ]);
    for (const [kind, { values, shape }] of Object.entries({ items, users })) {
      const ids = JSON.parse(place.read(`v/${kind}.ids.json`));
      const file = readFileSync(place.path(`v/${kind}.parquet`));
      const rows = await parquetReadObjects({
        file: file.buffer.slice(file.byteOffset, file.byteOffset + file.length) as ArrayBuffer,
      });
      expect(rows.map(({ id }) => id)).toEqual(ids);
      expect(rows.flatMap(({ vector }) => vector)).toEqual(Array.from(values));
      expect(ids).toHaveLength(shape[0]);
    }
    const ids = JSON.parse(place.read('v/items.ids.json'));
    expect(new Set(ids)).toEqual(new Set(IDS));

    // A model without item transitions scores by these products alone.
    await place.ok(
      `train --data log.csv --out bare --epochs 1 --set memory=off --set similarity=cosine ${SMALL.join(' ')}`,
    );
    await run('vectors', '--model', 'bare', '--out', 'w', '--data', 'log.csv');
    const [e, h] = [npy('w/items.npy').values, npy('w/users.npy').values];
    const names = JSON.parse(place.read('w/items.ids.json'));
    const people = JSON.parse(place.read('w/users.ids.json'));
    const u = people.indexOf('u7');
    const best = await json(...'recommend --model bare --user u7 --data log.csv --include-seen --k 12'.split(' '));
    expect(best.items).toHaveLength(12);
    for (const { id, score } of best.items) {
      const row = names.indexOf(id);
      const product = h.subarray(u * 8, u * 8 + 8).reduce((sum, x, k) => sum + x * e[row * 8 + k], 0);
      expect(product).toBeCloseTo(score, 4);
    }
  });

  test('are read by NumPy, if it is installed', async (context) => {
    await run('vectors', '--model', 'm', '--out', 'n');
    const script = 'import numpy,sys; a=numpy.load(sys.argv[1]); print(a.shape, a.dtype, a[3].tolist())';
    let text: string;
    try {
      text = execFileSync('python3', ['-c', script, place.path('n/items.npy')], { encoding: 'utf8', stdio: 'pipe' });
    } catch (error) {
      if (/No module named|ENOENT/.test(String((error as { stderr?: string }).stderr ?? error))) return context.skip();
      throw error;
    }
    const { values } = npy('n/items.npy');
    expect(text.trim()).toBe(`(12, 8) float32 [${Array.from(values.subarray(24, 32), (x) => `${x}`).join(', ')}]`);
    expect(await place.fails('vectors --model m --out n')).toMatch(
      /^1 n: already holds items\.ids\.json, items\.npy, items\.parquet; add --overwrite/,
    );
    await run('vectors', '--model', 'm', '--out', 'n', '--overwrite');
  });
});
