/** `attune federate` and `attune join` as users run them. */
import type { ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { circle, jsonError, openWorkplace, SHARED } from './attune.ts';

const place = openWorkplace(SHARED);
const ids = Array.from({ length: 12 }, (_, i) => `i${i}`);
place.write('catalog.csv', `item,title\n${ids.map((id) => `${id},Item ${id}`).join('\n')}\n`);
place.write('log.csv', circle(ids, 3, 10));
place.write('ada.csv', circle(ids, 1, 10));
const TINY = ['d=8', 'ff=16', 'blocks=1', 'window=16', 'budget=128'].flatMap((setting) => ['--set', setting]);

/** A coordinator that listens, and what it ends with. */
async function federate(args: readonly string[]) {
  let said = '';
  let child: ChildProcess | undefined;
  let found: (url: string) => void = () => {};
  const url = new Promise<string>((resolve) => {
    found = resolve;
  });
  const ended = place.run(['federate', '--port', '0', ...args], {
    started(started) {
      child = started;
      started.stderr?.on('data', (text) => {
        said += text;
        const [, address] = /coordinating .* on (http\S+),/.exec(said) ?? [];
        if (address) found(address);
      });
    },
  });
  const early = ended.then(({ stderr }) => Promise.reject(new Error(`ended: ${stderr}`)));
  early.catch(() => {});
  return { url: await Promise.race([url, early]), ended, child: child as ChildProcess };
}

describe('federated rounds', () => {
  const args = ['--items', 'catalog.csv', '--out', 'shared', '--rounds', '2', '--clients', '2', ...TINY];

  test('from nothing to a model that recommends, with a stop in between', async () => {
    const first = await federate(args);
    const { rounds, ...one } = await place.json(`join ${first.url} --data ada.csv --rounds 1`);
    expect(one).toMatchObject({ events: 10, unknown: 0, terms: { clients: 2, rounds: 2 } });
    expect(rounds).toEqual([{ round: 1, loss: expect.any(Number), norm: expect.any(Number), refused: null }]);
    first.child.kill('SIGINT');
    const stopped = await first.ended;
    expect(stopped.code).toBe(130);
    expect(stopped.stderr).toContain('stopped in round 1 with 1 updates; the same command continues');

    const second = await federate(args);
    // Side by side, each in a process of its own.
    const join = async (user: string) => {
      const args = ['join', second.url, '--data', 'log.csv', '--user', user, '--json'];
      return JSON.parse((await place.run(args, { env: {} })).stdout);
    };
    const joined = await Promise.all([join('u1'), join('u2')]);
    const { code, stdout, stderr } = await second.ended;
    expect(code).toBe(0);
    expect(stderr).toMatch(/^attune: coordinating shared on http:\S+, round 1 of 2; Ctrl-C stops$/m);
    expect(stdout).toContain('no noise: an update shows the coordinator most of its history (docs/federated.md)');
    expect(stdout).toContain('All 2 rounds are over. The model is in shared.');
    const taken = joined.flatMap((each) => each.rounds).filter(({ refused }) => refused === null);
    expect(taken.map(({ round }) => round).sort()).toEqual([1, 2, 2]);
    const { items } = await place.json('recommend --model shared --history i1,i2 --k 3');
    expect(items).toHaveLength(3);
    expect(existsSync(place.path('shared/round-000001.jsonl'))).toBe(false);
  });

  test('start from a model, which stays as it is', async () => {
    const config = place.read('shared/manifest.json');
    const from = '--model shared --out next --rounds 1 --clients 1 --noise 2 --trim 0'.split(' ');
    const { url, ended } = await federate(from);
    expect(await place.fails(['join', url, '--data', 'ada.csv', '--least-noise', '3'])).toContain('--least-noise 3: ');
    await place.ok(['join', url, '--data', 'ada.csv']);
    const { code, stdout } = await ended;
    expect(code).toBe(0);
    // A single client: what it sends is what is published. One release of the Gaussian mechanism at 2.
    expect(stdout).toMatch(/at delta 0\.000001: by its updates epsilon 2\.\d+, by the published models epsilon 2\.\d+/);
    expect(place.read('shared/manifest.json')).toBe(config);
    expect(place.partJson('next/items.json').items).toHaveLength(12);
    expect(place.jsonLines('next/metrics.jsonl').at(-1)).toMatchObject({ step: 3, round: 1, clients: 1 });
  });
});

describe('errors', () => {
  test.each([
    [
      'federate --out new',
      '2 expected --model PATH to start from, or --items PATH to start from nothing (see attune --help)',
    ],
    ['federate --out new --model missing', '1 missing: no such folder or packed model'],
    [
      'federate --out new --model shared --set d=8',
      '2 --recipe and --set require --items: a model has its own (see attune --help)',
    ],
    [
      'federate --out new --items catalog.csv --noise 1 --clip 0',
      '1 --clip 0: noise hides an update only where its norm is bounded; give a norm above 0',
    ],
    [
      'federate --out shared --clients 3',
      '1 --clients 3: shared: this federation was started with 2; continue it as it was started, or choose another folder',
    ],
    [
      'federate --out new --items catalog.csv --host 0.0.0.0',
      '1 --host 0.0.0.0: without keys the coordinator is for this machine alone; add keys (attune keys add), or leave the host out',
    ],
    ['join nowhere --data ada.csv', '1 nowhere: expected the address of a coordinator, as http://127.0.0.1:8090'],
    ['join http://127.0.0.1:9 --data log.csv', '1 log.csv: has 3 users ("u0", "u1", "u2"); name one with --user ID'],
  ])('attune %s', async (line, expected) => {
    expect(await place.fails(line)).toBe(expected);
  });

  test('a folder with another model is not touched', async () => {
    await place.ok('pack --model next --out plain.attune');
    await place.ok('unpack --model plain.attune --out plain');
    expect(await place.fails('federate --model next --out plain')).toBe(
      '1 plain: already holds a model, and no federation; choose another --out, or add --overwrite',
    );
  });

  test('are an object with --json', async () => {
    const { code, stderr } = await place.run('join http://127.0.0.1:9 --data ada.csv --json');
    expect(code).toBe(1);
    expect(jsonError(stderr)).toMatch(/^http:\/\/127\.0\.0\.1:9\/v1\/federation: no answer \(/);
  });
});
