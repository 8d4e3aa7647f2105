/** Extreme logs, from training to metrics, on WebGPU, by one process. */
import { truncateSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { openWorkplace } from '../cli/attune.ts';
import { FULL } from '../full.ts';
import { build, field, ring, safetensors, said, TINY } from './paths.ts';

build();
const place = openWorkplace({ processes: 'one' });

interface Ranked {
  user: string;
  target: string;
  rank: number | null;
  items: string[];
  scores: number[];
}

/** The histories of a log in time order. */
function historiesOf(rows: readonly (readonly [string, string])[]): Map<string, string[]> {
  const histories = new Map<string, string[]>();
  for (const [user, item] of rows) histories.set(user, [...(histories.get(user) ?? []), item]);
  return histories;
}

/** Checks a dump against the log and the printed metrics: targets are last, no seen item is listed, ranks are positions. */
function checkDump(lines: readonly Ranked[], histories: Map<string, string[]>, metrics: Record<string, number>): void {
  const catalog = new Set([...histories.values()].flat());
  const sums = { hits: 0, gain: 0, reciprocal: 0 };
  for (const { user, target, rank, items, scores } of lines) {
    const history = histories.get(user) ?? expect.fail(`${user} is not in the log`);
    expect(target).toBe(history.at(-1));
    const seen = new Set(history.slice(0, -1));
    expect(items).toHaveLength(Math.min(100, catalog.size - seen.size));
    expect(new Set(items).size).toBe(items.length);
    expect(items.filter((id) => seen.has(id) || !catalog.has(id))).toEqual([]);
    expect([...scores].sort((a, b) => b - a)).toEqual(scores);
    if (seen.has(target)) expect(rank).toBe(null);
    else if (rank === null || rank > 100) expect(items).not.toContain(target);
    else expect(items.indexOf(target) + 1).toBe(rank);
    if (rank === null) continue;
    expect(rank).toBeLessThanOrEqual(catalog.size - seen.size);
    sums.reciprocal += 1 / rank;
    if (rank <= 10) sums.hits++;
    if (rank <= 10) sums.gain += Math.log(2) / Math.log(rank + 1);
  }
  expect(metrics['NDCG@10']).toBeCloseTo(sums.gain / lines.length, 9);
  expect(metrics['HR@10']).toBeCloseTo(sums.hits / lines.length, 9);
  expect(metrics.MRR).toBeCloseTo(sums.reciprocal / lines.length, 9);
}

/** Evaluates a model on its log, and checks the dump against that. */
async function evaluated(model: string, data: string, rows: readonly (readonly [string, string])[]) {
  const result = await place.json(['evaluate', '--model', model, '--data', data, '--dump', 'ranks.jsonl']);
  const lines = place.jsonLines('ranks.jsonl') as Ranked[];
  const histories = historiesOf(rows);
  checkDump(lines, histories, result.metrics);
  return { result, lines, histories };
}

/** 50,000 items, most with a single user who has no other event, and `walkers` with nine events each. */
function wideCatalog(walkers: number): [string, string][] {
  const rows = Array.from({ length: 50_000 }, (_, t): [string, string] => [`once${t}`, `item ${t}`]);
  for (let v = 0; v < walkers; v++)
    for (let t = 0; t < 9; t++) rows.push([`v${v}`, `item ${((v * 7 + t) % 40) * 1250}`]);
  return rows;
}

describe('a catalog of 50,000 items', () => {
  const rows = wideCatalog(100);
  for (let u = 0; u < 100; u++) for (let t = 0; t < 50; t++) rows.push([`u${u}`, `item ${u * 500 + t}`]);

  beforeAll(() => {
    place.write('big.csv', `user,item,timestamp\n${rows.map(([u, i], t) => `${u},${i},${t}`).join('\n')}\n`);
  });

  test('trains, evaluates, recommends', async () => {
    const args = ['--data', 'big.csv', '--out', 'big', '--min-interactions', '1', '--epochs', '1'];
    const trained = await place.json(['train', ...args, ...TINY, '--set', 'validateUsers=100']);
    expect(trained).toMatchObject({ reason: 'epochs', users: 100 });
    const { result, lines, histories } = await evaluated('big', 'big.csv', rows);
    expect(result).toMatchObject({ users: 200, items: 50_000 });
    expect(lines).toHaveLength(200);
    // The lists cover the whole range of items.
    const ranges = new Set(lines.flatMap(({ items }) => items.map((id) => Math.floor(Number(id.slice(5)) / 5000))));
    expect(ranges.size).toBe(10);

    const { user, items, scores } = lines[77];
    const history = histories.get(user)?.slice(0, -1).join(',') as string;
    const answer = await place.json(['recommend', '--model', 'big', '--history', history, '--k', '100']);
    expect(answer.items.map(({ id }: { id: string }) => id)).toEqual(items);
    answer.items.forEach(({ score }: { score: number }, i: number) => expect(score).toBeCloseTo(scores[i], 4));
  });

  test('a matrix larger than a binding of the adapter is refused in one line', async () => {
    const { limits } = await place.json('doctor');
    const heads = Math.ceil(Math.sqrt(limits.maxStorageBufferBindingSize / 12) / 128) + 1;
    const settings = [...TINY, '--set', `d=${128 * heads}`, '--set', `heads=${heads}`];
    const args = ['--data', 'big.csv', '--out', 'huge', '--min-interactions', '1', '--device', 'webgpu'];
    const outcome = await place.run(['train', ...args, ...settings]);
    expect(said(outcome).filter((line) => line.startsWith('attune: '))).toEqual([
      expect.stringMatching(
        /: blocks\.0\.attention\.qkv\.weight \[\d+,\d+\] needs [\d.]+ MiB, .* at most [\d.]+ MiB; choose a smaller d$/,
      ),
    ]);
    expect(outcome.code).toBe(1);
  });
});

describe('an item table larger than a binding of the adapter', () => {
  test('is split into shards: trains, evaluates, recommends', async ({ skip }) => {
    // Several hundred MiB are trained and stored; test/train/sharded.test.ts lowers the limit instead.
    skip(!FULL, 'npm run test:full');
    const { limits } = await place.json('doctor');
    skip(limits.maxStorageBufferBindingSize > 2 ** 28, 'the adapter binds more than 256 MiB');
    const rows = wideCatalog(10);
    place.write('wide.csv', `user,item,timestamp\n${rows.map(([u, i], t) => `${u},${i},${t}`).join('\n')}\n`);
    const heads = Math.ceil((limits.maxStorageBufferBindingSize + 1) / (50_000 * 4 * 128));
    const d = 128 * heads;
    // The table belongs to the transformer: without transitions, the lists show that its scores are right.
    const wide = [...TINY, '--set', 'memory=off', '--set', `d=${d}`, '--set', `heads=${heads}`, '--set', 'budget=64'];
    const args = ['--data', 'wide.csv', '--out', 'wide', '--min-interactions', '1', '--epochs', '1'];
    const trained = await place.json(['train', ...args, ...wide]);
    expect(trained).toMatchObject({ reason: 'epochs', users: 10 });
    const { tensors } = safetensors(place.part('wide/model.safetensors'));
    expect(tensors.get('items.weight')?.length).toBe(50_000 * d * 4);

    const { result, lines, histories } = await evaluated('wide', 'wide.csv', rows);
    expect(result).toMatchObject({ users: 10, items: 50_000 });
    const { user, items } = lines.find((line) => line.user === 'v3') ?? expect.fail('v3 is not in the dump');
    const history = histories.get(user)?.slice(0, -1).join(',') as string;
    const answer = await place.json(['recommend', '--model', 'wide', '--history', history, '--k', '100']);
    expect(answer.items.map(({ id }: { id: string }) => id)).toEqual(items);
    // The list has items of both shards.
    expect(new Set(items.map((id) => Number(id.slice(5)) < 49_000)).size).toBe(2);
  });
});

describe('small logs', () => {
  test.each([
    ['whose items are all different', (t: number) => t],
    ['who has seen the whole catalog', (t: number) => (t * t) % 23],
  ])('one user, %s', async (_, item) => {
    const rows = Array.from({ length: 40 }, (_, t): [string, string] => ['only', `i${item(t)}`]);
    place.write('one.csv', `user,item\n${rows.map((row) => row.join()).join('\n')}\n`);
    const args = ['--data', 'one.csv', '--out', 'one', '--overwrite', '--min-interactions', '1', '--epochs', '3'];
    expect(await place.json(['train', ...args, ...TINY])).toMatchObject({ reason: 'epochs', epoch: 3, users: 1 });
    expect((await evaluated('one', 'one.csv', rows)).result.users).toBe(1);
    const user = ['--user', 'only', '--data', 'one.csv', '--k', '128'];
    const { items } = await place.json(['recommend', '--model', 'one', ...user, '--include-seen']);
    expect(items).toHaveLength(new Set(rows.map(([, id]) => id)).size);
    // Every item is seen: an empty answer, not an error.
    expect((await place.json(['recommend', '--model', 'one', ...user])).items).toEqual([]);
  });

  test('histories of length one only add items to the catalog', async () => {
    const short = Array.from({ length: 50 }, (_, u) => `short${u},${u % 2 ? 'i1' : `rare${u}`},9`);
    place.write('short.csv', `${ring(10, 8)}${short.join('\n')}\n`);
    const args = ['--data', 'short.csv', '--out', 'short', '--min-interactions', '1', '--epochs', '2'];
    expect(await place.json(['train', ...args, ...TINY])).toMatchObject({ epoch: 2, users: 10 });
    const rows = place.read('short.csv').trimEnd().split('\n').slice(1);
    const pairs = rows.map((row) => row.split(',').slice(0, 2) as [string, string]);
    expect((await evaluated('short', 'short.csv', pairs)).result.users).toBe(10);
    const { items } = await place.json('recommend --model short --history rare0 --k 3');
    expect(items).toHaveLength(3);
  });
});

describe('IDs remain the strings that they are', () => {
  const odd = [
    '__proto__',
    'constructor',
    'a b',
    ' a',
    'a ',
    '"',
    'say ""hi""',
    ',',
    'x,y',
    'back\\slash',
    '🛒',
    '%s',
    '1e3',
    '1000',
  ];
  const users = ['__proto__', 'toString', 'o\'neil "the" first', 'a,b', ' spaced out ', 'two\nlines', '-1', '01', '1'];
  const rows: [string, string][] = [];
  users.forEach((user, u) => {
    for (let t = 0; t < 9; t++) rows.push([user, odd[(u * 3 + t) % odd.length]]);
  });

  test('from training to evaluating and recommending', async () => {
    place.write('odd.csv', `user,item\n${rows.map((row) => row.map(quoted).join()).join('\n')}\n`);
    const { reason } = await place.json(['train', '--data', 'odd.csv', '--out', 'odd ones', '--epochs', '2', ...TINY]);
    expect(reason).toBe('epochs');
    expect(
      place
        .partJson('odd ones/items.json')
        .items.map(({ id }: { id: string }) => id)
        .sort(),
    ).toEqual([...odd].sort());

    const { result, lines, histories } = await evaluated('odd ones', 'odd.csv', rows);
    expect(result).toMatchObject({ users: users.length, items: odd.length });
    expect(lines.map(({ user }) => user).sort()).toEqual([...users].sort());

    for (const user of ['__proto__', 'two\nlines', '-1']) {
      const args = ['recommend', '--model', 'odd ones', '--data', 'odd.csv', '--k', '20', `--user=${user}`];
      const history = histories.get(user) ?? [];
      const { items } = await place.json(args);
      expect(items.map(({ id }: { id: string }) => id).sort()).toEqual(
        odd.filter((id) => !history.includes(id)).sort(),
      );
    }
    const { items, unknown } = await place.json([
      ...['recommend', '--model', 'odd ones', '--k', '20', '--history', odd.slice(0, 9).map(quoted).join()],
    ]);
    expect(unknown).toEqual([]);
    expect(items.map(({ id }: { id: string }) => id).sort()).toEqual(odd.slice(9).sort());
  });

  /** Spaces around an ID require quotes on the command line, where spaces around commas are ignored. */
  const quoted = (id: string) => (/^\s|\s$/.test(id) ? `"${id}"` : field(id));
});

describe('files that are neither a log nor a model', () => {
  test('garbage, empty files, and unknown columns: one line each, exit code 1', async () => {
    place.write('log.csv', ring(30, 8));
    await place.json(['train', '--data', 'log.csv', '--out', 'model', '--epochs', '1', ...TINY]);
    place.write(
      'garbage',
      Uint8Array.from({ length: 3000 }, (_, i) => (i * i * 31 + (i >> 3)) % 256),
    );
    place.write('empty', '');
    place.write('columns.csv', 'buyer_ref,thing\nu1,i1\n');
    const evaluate = ['evaluate', '--model', 'model', '--data'];
    const recommend = ['recommend', '--model', 'model', '--user', 'u1', '--data'];
    const train = ['train', '--data', 'log.csv', '--out', 'none', '--items'];
    const runs: [string[], RegExp][] = [
      [[...evaluate, 'garbage'], /^garbage: /],
      [[...evaluate, 'empty'], /^empty: /],
      [[...evaluate, 'columns.csv'], /^columns\.csv: .*buyer_ref, thing; name it with --user-column/],
      [[...recommend, 'garbage'], /^garbage: /],
      [[...recommend, 'empty'], /^empty: /],
      [[...recommend, 'columns.csv'], /^columns\.csv: .*buyer_ref, thing; name it with --user-column/],
      [[...train, 'garbage'], /^garbage: /],
      [[...train, 'empty'], /^empty: /],
      [[...train, 'columns.csv'], /^columns\.csv: .*buyer_ref, thing/],
    ];
    for (const [args, message] of runs) {
      const outcome = await place.run(args);
      expect(said(outcome), args.join(' ')).toEqual([expect.stringMatching(/^attune: /)]);
      expect(said(outcome)[0].slice('attune: '.length)).toMatch(message);
      expect(outcome.code).toBe(1);
    }
  });

  test('damaged files of a model are named', async () => {
    const damage: [string, () => void][] = [
      ['model.safetensors', () => truncateSync(place.part('model/model.safetensors'), 700)],
      ['items.json', () => truncateSync(place.part('model/items.json'))],
      ['config.json', () => truncateSync(place.part('model/config.json'), 18)],
    ];
    for (const [name, spoil] of damage) {
      spoil();
      const outcome = await place.run('recommend --model model --history i1');
      expect(said(outcome)).toEqual([
        expect.stringMatching(
          new RegExp(`^attune: model/${name.replace('.', '-\\d+\\.')}: damaged: expected \\d+ bytes, got \\d+$`),
        ),
      ]);
      expect(outcome.code).toBe(1);
    }
  });
});
