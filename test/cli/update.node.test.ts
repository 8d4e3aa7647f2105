/** `attune update`: a new model beside the old one, which nothing touches, whenever the process is killed. */
import { readdirSync, readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { circle, openWorkplace, SHARED, SMALL } from './attune.ts';

const place = openWorkplace(SHARED);
const ids = Array.from({ length: 10 }, (_, i) => `i${i}`);
const head = 'user,item,timestamp';
/** Rows of users who go through items one after another, from a time on. */
const rows = (users: readonly string[], items: readonly string[], from: number): string[] =>
  users.flatMap((user, u) => items.map((item, t) => `${user},${item},${from + 1000 * t + u}`));
const users = (prefix: string, n: number): string[] => Array.from({ length: n }, (_, u) => `${prefix}${u}`);
const SMALL_UPDATE = '--epochs 3 --learning-rate 0.01 --device cpu'.split(' ');

const filesOf = (model: string): Record<string, string> =>
  Object.fromEntries(
    readdirSync(place.path(model)).map((name) => [name, readFileSync(place.path(`${model}/${name}`), 'base64')]),
  );

beforeAll(async () => {
  place.write('old.csv', circle(ids, 40, 10));
  const walk = ['i3', 'bell', 'i5', 'late', 'i7', 'bell'];
  const added = [...rows(users('u', 20), walk, 50_000), ...rows(users('v', 20), walk, 50_000)];
  // Events that are in the old log, too, and one that comes twice.
  const known = circle(ids, 40, 10).trimEnd().split('\n').slice(-7);
  place.write('new.csv', `${[head, ...known, ...added, added[0]].join('\n')}\n`);
  await place.ok([
    'train',
    '--data',
    'old.csv',
    '--out',
    'model',
    ...SMALL,
    '--epochs',
    '4',
    '--min-interactions',
    '1',
  ]);
});

describe('attune update', () => {
  it('serves new items and users, merges both logs, and leaves the old model as it was', async () => {
    const before = filesOf('model');
    const { result, stderr } = await place.answer([
      ...'update --model model --data new.csv --out next'.split(' '),
      ...SMALL_UPDATE,
    ]);
    expect(stderr).toContain('new.csv: 8 events are in old.csv, too, or twice, and count once');
    expect(stderr).toContain('new since model: 240 events, 20 users, 2 items');
    expect(result).toMatchObject({ protocol: 'leave-one-out', model: { path: 'next' } });
    expect(filesOf('model')).toEqual(before);
    const config = place.partJson('next/config.json');
    expect(config.update).toMatchObject({ from: 'model', generation: 1, events: 240, users: 20, items: 2, replay: 1 });
    expect(config.data).toMatchObject({ source: '{old.csv,new.csv}', users: 60, items: 12, interactions: 640 });
    const { items } = await place.json('recommend --model next --history i3,bell,i5 --k 12 --include-seen');
    expect(items.map(({ id }: { id: string }) => id)).toEqual(expect.arrayContaining(['bell', 'late']));
    // Evaluated on both logs, by users whom the old model did not know, too.
    const evaluation = await place.json('evaluate --model next --data old.csv --data new.csv --no-baselines');
    expect(evaluation.users).toBe(60);
  });

  it('is the start of the next one: the log is both, as config.json has them', async () => {
    place.write('newer.csv', `${[head, ...rows(users('w', 10), ['i1', 'bell', 'i2', 'bell'], 90_000)].join('\n')}\n`);
    await place.ok(['update', '--model', 'next', '--data', 'newer.csv', '--out', 'third', ...SMALL_UPDATE]);
    const { update, data } = place.partJson('third/config.json');
    expect(update).toMatchObject({ from: 'next', generation: 2, events: 40, users: 10, items: 0 });
    expect(data).toMatchObject({ source: '{old.csv,new.csv,newer.csv}', users: 70, interactions: 680 });
  });

  it('takes a log that has grown in place', async () => {
    const both = [...place.read('old.csv').trimEnd().split('\n'), ...rows(users('x', 5), ['i1', 'i2', 'i3'], 90_000)];
    place.write('grown.csv', `${both.join('\n')}\n`);
    const args = 'update --model model --data grown.csv --log grown.csv --out grown'.split(' ');
    const { stderr } = await place.answer([...args, ...SMALL_UPDATE]);
    expect(stderr).toContain('new since model: 15 events, 5 users, 0 items');
  });

  it.each([
    ['--data old.csv --out none', /^1 old\.csv: no event that model has not seen; there is nothing to learn$/],
    ['--data new.csv --out model', /^1 --out model: is the model that the update starts from; choose another folder$/],
    [
      '--data new.csv --log gone.csv --out none',
      /^1 gone\.csv: the log that model was trained on is not there; name it/,
    ],
    ['--data new.csv --out next', /^1 next: already holds a model; add --overwrite to replace it, or choose another/],
    ['--data new.csv --out none --replay=-1', /^2 .*expected a number >= 0/],
  ])('%s is refused in one line', async (args, line) => {
    expect(await place.fails(`update --model model ${args}`)).toMatch(line);
  });

  it('killed at any moment, it leaves the old model as it was, and runs again', async () => {
    const before = filesOf('model');
    const command = 'update --model model --data new.csv --out killed --overwrite --device cpu'.split(' ');
    let killed = 0;
    // After its first files, after its first weights, and in the midst of its steps.
    for (const [part, wait] of [
      ['config', 0],
      ['model', 0],
      ['checkpoint', 300],
    ] as const) {
      const { code } = await place.run([...command, '--epochs', '2000'], {
        started: (child) => {
          const timer = setInterval(() => {
            const names = readdirSync(place.dir).includes('killed') ? readdirSync(place.path('killed')) : [];
            if (!names.some((name) => name.startsWith(part))) return;
            clearInterval(timer);
            setTimeout(() => child.kill('SIGKILL'), wait);
          }, 5);
          child.on('exit', () => clearInterval(timer));
        },
      });
      killed += Number(code === null);
      expect(filesOf('model')).toEqual(before);
    }
    expect(killed).toBe(3);
    await place.ok([...command, '--epochs', '1']);
    const { items } = await place.json('recommend --model killed --history i3,bell --k 3');
    expect(items).toHaveLength(3);
  }, 120_000);
});
