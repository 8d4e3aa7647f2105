/** A training that is divided among workers: as one process makes it, whoever dies or is late on the way. */
import type { ChildProcess } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, it } from 'vitest';
import { Worker } from 'bullmq';
import type { Job, JobResult } from '../../cluster/jobs.ts';
import { connect, QUEUE } from '../../cluster/redis.node.ts';
import { RoundQueue } from '../../cluster/rounds.node.ts';
import { startRedis } from '../../scripts/redis.mjs';
import { circle, openWorkplace, type Outcome, SMALL } from '../cli/attune.ts';
import { type Running, until, Workers } from './workers.ts';

const redis = await startRedis();
const place = openWorkplace();
const cluster = new Workers(place.dir, redis?.address);
const startWorker = cluster.start;
afterAll(async () => {
  cluster.kill();
  await redis?.stop();
});

interface Round {
  round: number;
  steps: number;
  tokens: number;
  bytes: { weights: number; changes: number; states: number };
  leftOut: { partition: number; reason: string }[];
}

const ids = Array.from({ length: 12 }, (_, i) => `i${i}`);
const log = circle(ids, 60, 20);
const set = [...SMALL, '--set', 'memory=off', '--set', 'validateSteps=1000', '--include-seen'];
const train = ['train', '--data', 'log.csv', '--recipe', 'sasrec', '--device', 'cpu', ...set, '--json'];

describe.skipIf(!redis)('a training in rounds', () => {
  const queue = ['--queue', redis?.address ?? ''];
  const rounds = ({ stdout }: Outcome): Round[] => JSON.parse(stdout).rounds;

  it('goes on without a partition whose worker is killed, and says which', async () => {
    place.write('log.csv', log);
    const workers = [startWorker(), startWorker()];
    let reports = '';
    const outcome = place.run(
      [...train, '--epochs', '5', '--out', 'model', '--workers', '2', '--sync', 'steps=15', ...queue],
      {
        started: (child) => child.stderr?.on('data', (text) => (reports += text)),
      },
    );
    const taken = /worker: round 2, partition (\d) of 2\n(?!.*done)/;
    await until(
      () => workers.some(({ said }) => taken.test(said())),
      () => workers.map(({ said }) => said()).join() + reports,
    );
    const victim = workers.find(({ said }) => taken.test(said())) as Running;
    const partition = Number(taken.exec(victim.said())?.[1]);
    victim.child.kill('SIGKILL');
    const { code, stderr } = await outcome;
    expect(code, stderr).toBe(0);
    expect(stderr).toContain(`round 2: partition ${partition} of 2 is left out: its worker died`);
    const done = rounds(await outcome);
    expect(done.flatMap(({ round, leftOut }) => leftOut.map((one) => ({ round, ...one })))).toEqual([
      { round: 2, partition, reason: 'its worker died' },
    ]);
    // An ordinary model: it is evaluated, recommends, and is no less for it.
    const evaluated = await place.json([
      'evaluate',
      '--model',
      'model',
      '--data',
      'log.csv',
      '--device',
      'cpu',
      '--include-seen',
    ]);
    expect(evaluated.metrics['NDCG@10']).toBeGreaterThan(0);
    expect(readdirSync(place.path('model')).sort()).toContain('README.md');
    for (const { child } of workers) child.kill('SIGKILL');
  });

  it('with one worker and all steps is the training of one process; Ctrl-C and --resume continue it', async () => {
    place.write('log.csv', log);
    const sync = ['--sync', 'rate=1', '--sync', 'momentum=0', '--sync', 'exchange=f32'];
    const worker = startWorker();
    await place.ok([...train, '--epochs', '2', '--out', 'alone']);
    const words = [...train, '--epochs', '2', '--workers', '1', ...sync];
    const whole = await place.ok([...words, '--sync', 'steps=all', '--out', 'whole', ...queue]);
    expect(rounds(whole)).toHaveLength(1);
    const weights = (folder: string) => tensorsOf(place.part(`${folder}/model.safetensors`));
    const [one, other] = [weights('alone'), weights('whole')];
    expect(one.length).toBe(other.length);
    expect(one.reduce((most, x, i) => Math.max(most, Math.abs(x - other[i])), 0)).toBeLessThan(1e-7);

    await place.ok([...words, '--sync', 'steps=5', '--out', 'steps', ...queue]);
    let child: ChildProcess | undefined;
    const outcome = place.run([...words, '--sync', 'steps=5', '--out', 'stopped', ...queue], {
      started: (started) => {
        child = started;
      },
    });
    await until(() => existsSync(place.path('stopped.rounds/round-000002.json')), worker.said);
    child?.kill('SIGINT');
    const stopped = await outcome;
    expect(stopped.code).toBe(130);
    expect(stopped.stderr).toMatch(/stopped at step \d+; everything is saved in stopped; continue with: .*--resume/);
    const again = ['train', '--out', 'stopped', '--resume', '--epochs', '2', '--device', 'cpu'];
    expect((await place.run(again)).stderr).toMatch(/stopped: is trained by 1 workers.*--queue/);
    expect((await place.run([...again, ...queue, '--workers', '2'])).stderr).toMatch(/--workers: --resume continues/);
    await place.ok([...again, ...queue, '--workers', '1', '--sync', 'steps=5']);
    expect(weights('stopped')).toEqual(weights('steps'));
    worker.child.kill('SIGKILL');
  });

  it('ends in time', async () => {
    place.write('log.csv', log);
    const worker = startWorker();
    const words = [
      ...train,
      '--max-minutes',
      '0.5',
      '--out',
      'timed',
      '--workers',
      '2',
      '--sync',
      'steps=20',
      ...queue,
    ];
    const started = performance.now();
    const { stdout } = await place.ok([...words, '--set', 'patience=100000']);
    expect(performance.now() - started).toBeLessThan(90_000);
    const { reason, metrics } = JSON.parse(stdout);
    expect(reason).toBe('time');
    expect(metrics['NDCG@10']).toBeGreaterThan(0);
    worker.child.kill('SIGKILL');
  });
});

describe.skipIf(!redis)('a round of jobs', () => {
  /** Does what a job's title says, in this process. */
  const answers = async (titles: readonly string[], options: { signal?: AbortSignal; until?: number } = {}) => {
    const connection = await connect(redis?.address as string);
    const worker = new Worker<Job, JobResult>(
      QUEUE,
      async ({ data: { title } }) => {
        if (title === 'fails') throw new Error('the disk is full');
        if (title === 'sleeps') await sleep(4000);
        return { kind: 'done', output: title };
      },
      { connection, concurrency: 4 },
    );
    const rounds = await RoundQueue.open(redis?.address as string);
    try {
      const jobs = titles.map((title) => ({ title, words: ['train'], once: true }));
      const done: number[] = [];
      const more = { least: 1000, onProgress: (ended: number) => void done.push(ended), ...options };
      return await rounds.run({ title: 'a round', jobs, ...more }, async (ended) => ended);
    } finally {
      await rounds.close();
      await worker.close();
      connection.disconnect();
    }
  };

  it('gives its results in order, and why one has none', async () => {
    expect(await answers(['a', 'fails', 'b'])).toEqual([
      { kind: 'done', output: 'a' },
      { kind: 'given up', reason: 'the disk is full' },
      { kind: 'done', output: 'b' },
    ]);
  });

  it('does without one that takes much longer than the others', async () => {
    expect(await answers(['sleeps', 'a'])).toEqual([
      { kind: 'given up', reason: expect.stringMatching(/^late: the others took \d+\.\d s at most$/) },
      { kind: 'done', output: 'a' },
    ]);
  });

  it('does without what is not back by its time limit', async () => {
    expect(await answers(['sleeps', 'sleeps'], { until: Date.now() - 1000 })).toEqual([
      { kind: 'given up', reason: 'not back by the time limit' },
      { kind: 'given up', reason: 'not back by the time limit' },
    ]);
  });

  it('ends with the signal', async () => {
    const abort = new AbortController();
    setTimeout(() => abort.abort(), 500);
    expect(await answers(['sleeps', 'a'], { signal: abort.signal })).toBeNull();
    const before = new AbortController();
    before.abort();
    expect(await answers(['sleeps'], { signal: before.signal })).toBeNull();
  });
});

describe('flags of rounds', () => {
  it.each([
    [['--workers', '2'], /--workers and --sync require --queue/],
    [['--queue', 'redis://127.0.0.1:1'], /--queue: add --workers N/],
    [
      ['--queue', 'redis://127.0.0.1:1', '--workers', '2', '--sync', 'steps=0'],
      /--sync: steps: expected an integer >= 1, or all/,
    ],
    [['--partition', '1'], /--partition requires --resume and --round/],
    [['--round', '1'], /--round 1: is for the folds of ratings/],
    [['--task', 'rating', '--workers', '2'], /--workers: for ranking the next item/],
  ])('%j are refused in one line', async (flags, message) => {
    place.write('log.csv', log);
    const { code, stderr } = await place.run(['train', '--data', 'log.csv', '--out', 'refused', ...flags]);
    expect(code === 1 || code === 2).toBe(true);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(stderr).toMatch(message);
  });
});

/** The numbers of a file of weights. */
function tensorsOf(file: string): Float32Array {
  const bytes = readFileSync(file);
  return new Float32Array(
    bytes.buffer.slice(bytes.byteOffset + 8 + Number(bytes.readBigUInt64LE(0)), bytes.byteOffset + bytes.length),
  );
}
