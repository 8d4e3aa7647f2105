/** Work that is shared among workers by a queue comes out as in one process, whoever dies on the way. */
import type { ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { parquetReadObjects } from 'hyparquet';
import { afterAll, describe, expect, it } from 'vitest';
import { seeded } from '../../data/random.ts';
import { startRedis } from '../../scripts/redis.mjs';
import { openWorkplace, type Outcome } from '../cli/attune.ts';
import { until, Workers } from './workers.ts';

const redis = await startRedis();
const place = openWorkplace();
const cluster = new Workers(place.dir, redis?.address);
const startWorker = cluster.start;
afterAll(async () => {
  cluster.kill();
  await redis?.stop();
});

/** A log of some users who mostly go from an item to the next. */
function log(users: number): string {
  const lines = ['user,item,rating,time'];
  for (let u = 0; u < users; u++) {
    const random = seeded(7, u);
    let item = random.below(20);
    for (let t = 0; t < 12; t++) {
      lines.push(`u${u},i${item},${1 + ((u + item) % 5)},${1000 + t}`);
      item = random.next() < 0.7 ? (item + 1) % 20 : random.below(20);
    }
  }
  return `${lines.join('\n')}\n`;
}

/** Kills workers with -9, each in the middle of a job, and starts others. */
async function withDeaths(deaths: number, work: () => Promise<Outcome>): Promise<Outcome> {
  let over = false;
  const outcome = work().finally(() => {
    over = true;
  });
  const starts = [startWorker(), startWorker()];
  for (let i = 0; i < deaths; i++) {
    const victim = starts[i];
    // It says what it takes before it does it.
    await until(() => over || /worker: (?:trial|lists|round) [^\n]*$/.test(victim.said().trimEnd()), victim.said);
    victim.child.kill('SIGKILL');
    starts.push(startWorker());
  }
  const result = await outcome;
  for (const { child } of starts) child.kill('SIGKILL');
  return result;
}

interface StoredTrial {
  id: number;
  bracket: number;
  set: object;
  outcomes: object[];
}

/** The trials of the first bracket, as far as they are saved. */
function bracketOf(folder: string): Omit<StoredTrial, 'bracket'>[] {
  const file = place.path(`${folder}/search.json`);
  const { trials } = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : { trials: [] };
  return (trials as StoredTrial[])
    .filter(({ bracket }) => bracket === 0)
    .map(({ id, set, outcomes }) => ({ id, set, outcomes }));
}

/** Searches until the first bracket of three trials is over, whatever the clock says, and stops as Ctrl-C does. */
async function firstBracket(words: readonly string[]): Promise<Outcome> {
  let child: ChildProcess | undefined;
  const outcome = place.run([...words, '--budget', '1h'], {
    started: (started) => {
      child = started;
    },
  });
  const folder = words[words.indexOf('--out') + 1];
  await until(
    () => bracketOf(folder).some(({ outcomes }) => outcomes.length === 2),
    () => 'the first bracket',
  );
  child?.kill('SIGINT');
  return await outcome;
}

const small = ['--set', 'd=8', '--set', 'ff=8', '--set', 'blocks=1', '--set', 'window=10', '--set', 'budget=256'];

describe.skipIf(!redis)('a queue', () => {
  const queue = ['--queue', redis?.address ?? ''];

  it('shares the trials of a search: the same trials and metrics, although workers die', async () => {
    place.write('log.csv', log(60));
    const words = ['search', '--data', 'log.csv', '--recipe', 'sasrec', '--trials', '3', '--epochs', '1', '--json'];
    const range = ['--range', 'learningRate=0.001..0.1', ...small];
    const shared = await withDeaths(2, () => firstBracket([...words, ...range, '--out', 'shared', ...queue]));
    expect(shared.code, shared.stderr).toBe(130);
    await firstBracket([...words, ...range, '--out', 'alone', '--device', 'cpu']);
    expect(bracketOf('shared')).toHaveLength(3);
    expect(bracketOf('shared')).toEqual(bracketOf('alone'));
  });

  it('shares the lists of all users: the same files', async () => {
    place.write('log.csv', log(60));
    const trained = await place.run([
      'train',
      '--data',
      'log.csv',
      '--out',
      'model',
      '--epochs',
      '2',
      ...small,
      '--device',
      'cpu',
    ]);
    expect(trained.stderr + trained.code).toMatch(/0$/);
    const words = [
      'recommend',
      '--model',
      'model',
      '--data',
      'log.csv',
      '--all',
      '--k',
      '5',
      '--partitions',
      '4',
      '--json',
    ];
    const alone = await place.run([...words, '--out', 'alone-lists', '--device', 'cpu']);
    expect(JSON.parse(alone.stdout)).toMatchObject({ users: 60, lists: 60, unknown: 0, before: 0 });
    const shared = await withDeaths(1, () => place.run([...words, '--out', 'shared-lists', ...queue]));
    expect(JSON.parse(shared.stdout)).toMatchObject({ users: 60, lists: 60, unknown: 0 });
    const parts = readdirSync(place.path('alone-lists')).filter((name) => name.endsWith('.parquet'));
    expect(parts).toHaveLength(4);
    const rowsOf = async (folder: string) => {
      const rows: object[] = [];
      for (const name of parts) {
        const { buffer } = new Uint8Array(readFileSync(place.path(`${folder}/${name}`)));
        for (const row of await parquetReadObjects({ file: buffer })) rows.push(row);
      }
      return rows;
    };
    const rows = await rowsOf('shared-lists');
    expect(rows).toHaveLength(300);
    expect(rows).toEqual(await rowsOf('alone-lists'));
    expect(rows[0]).toEqual({ user: 'u0', rank: 1, item: expect.stringMatching(/^i\d+$/), score: expect.any(Number) });
    // The same command again finds everything there.
    const again = await place.run([...words, '--out', 'shared-lists', ...queue]);
    expect(JSON.parse(again.stdout)).toMatchObject({ users: 60, lists: 60, before: 4, files: [] });
    // What would mix two lists in one folder is refused, in one line.
    utimesSync(place.path('log.csv'), 1, 1);
    const refused = async (...more: string[]) => {
      const { code, stderr } = await place.run([
        'recommend',
        '--model',
        'model',
        '--data',
        'log.csv',
        '--all',
        '--k',
        '5',
        '--partitions',
        '4',
        '--out',
        'alone-lists',
        ...more,
      ]);
      expect(stderr.trim().split('\n')).toHaveLength(1);
      return `${code} ${stderr.trim()}`;
    };
    expect(await refused()).toMatch(
      /^1 .*alone-lists: holds lists of another state of the log .*choose another --out, or add --overwrite/,
    );
    expect(await refused('--partition', '1', '--overwrite')).toMatch(/^2 .*--overwrite replaces all lists in --out/);
    place.write('alone-lists/recommendations.json', '{');
    expect(await refused()).toMatch(/^1 .*recommendations.json: not readable as JSON/);
  });

  it('waits for a folder that another process still writes to', async () => {
    place.write('log.csv', log(60));
    const words = ['search', '--data', 'log.csv', '--recipe', 'sasrec', '--trials', '3', '--epochs', '1', ...small];
    const search = firstBracket([...words, '--out', 'held', ...queue]);
    await until(
      () => existsSync(place.path('held/search.json')),
      () => 'the search',
    );
    mkdirSync(place.path('held/trial-000'));
    const owner = { pid: 1, host: 'elsewhere', born: '', since: '2026-11-30' };
    const lock = place.path('held/trial-000/attune.lock');
    writeFileSync(lock, JSON.stringify(owner));
    const worker = startWorker();
    await until(() => /trial 0, 1 epochs: waits; .*process 1 on elsewhere/.test(worker.said()), worker.said);
    expect(existsSync(lock)).toBe(true); // it may be alive: only a job that lost its worker takes its lock away
    rmSync(lock);
    expect((await search).code).toBe(130);
    worker.child.kill('SIGKILL');
  });

  it('shares the rounds of cross-validation: the same predictions and model', async () => {
    place.write('log.csv', log(40));
    const words = [
      'train',
      '--task',
      'rating',
      '--data',
      'log.csv',
      '--folds',
      '2',
      '--epochs',
      '2',
      '--set',
      'd=8',
      '--json',
    ];
    const alone = await place.run([...words, '--out', 'stars', '--device', 'cpu']);
    const shared = await withDeaths(1, () =>
      place.run([...words, '--out', 'shared-stars', '--device', 'cpu', ...queue]),
    );
    expect(shared.stderr + shared.code).toMatch(/0$/);
    const metrics = ({ stdout }: Outcome) => JSON.parse(stdout).metrics;
    expect(metrics(shared)).toEqual(metrics(alone));
    for (const part of ['model.safetensors', 'predictions.safetensors'])
      expect(tensorsOf(place.part(`shared-stars/${part}`))).toEqual(tensorsOf(place.part(`stars/${part}`)));
    expect(readdirSync(place.dir)).not.toContain('shared-stars.rounds');
  });

  it('gives back what it was doing at Ctrl-C, and what no worker has taken is withdrawn', async () => {
    place.write('log.csv', log(60));
    const words = [
      'search',
      '--data',
      'log.csv',
      '--recipe',
      'sasrec',
      '--trials',
      '3',
      '--epochs',
      '1000',
      '--budget',
      '1h',
    ];
    const worker = startWorker();
    let asking: ChildProcess | undefined;
    const outcome = place.run([...words, ...small, '--out', 'stopped', ...queue], {
      started: (child) => {
        asking = child;
      },
    });
    await until(
      () => /worker: trial/.test(worker.said()),
      () => 'a trial',
    );
    worker.child.kill('SIGINT');
    await until(
      () => worker.child.exitCode !== null,
      () => 'the end of the worker',
    );
    expect(worker.said()).toMatch(/stopping; what is being done is saved and given back/);
    expect(worker.child.exitCode).toBe(0);
    asking?.kill('SIGINT');
    const { code, stderr } = await outcome;
    expect(code).toBe(130);
    expect(stderr).toMatch(/stopped; everything is saved in stopped/);
  });
});

describe('an address', () => {
  it.each([
    ['redis://127.0.0.1:1', /redis:\/\/127\.0\.0\.1:1: does not answer \(ECONNREFUSED\)/],
    ['redis://me:secret@127.0.0.1:1', /^(?!.*secret).*redis:\/\/127\.0\.0\.1:1: does not answer/],
    ['http://127.0.0.1', /--queue: expected redis:\/\/HOST:PORT, got http:\/\//],
    ['nowhere', /--queue: expected redis:\/\/HOST:PORT/],
  ])('%s is refused in one line', async (address, message) => {
    const { code, stderr } = await place.run(['worker', '--queue', address]);
    expect(code).toBe(1);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(stderr).toMatch(message);
  });
});

/** Bytes after the header, which holds how long it took. */
function tensorsOf(file: string): Uint8Array {
  const bytes = readFileSync(file);
  return bytes.subarray(8 + Number(bytes.readBigUInt64LE(0)));
}
