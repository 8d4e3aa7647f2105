/** `serve --learn`: what is collected is learned beside the old model, and swapped in only where it is no worse. */
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventLines } from '../../server/learning/event-lines.ts';
import { lastLearned } from '../../server/learning/loop.ts';
import { openWorkplace, SHARED, SMALL } from '../cli/attune.ts';
import { partPath } from '../model/parts.ts';
import { endAll, serveCommand } from './command.ts';
import { eventsOf, postable, trainInto, USERS } from './mini-shop.ts';
import { startServer } from './server.ts';

const until = async (what: () => Promise<boolean> | boolean): Promise<void> => {
  while (!(await what())) await new Promise((resolve) => setTimeout(resolve, 50));
};
const configOf = (model: string) => JSON.parse(readFileSync(partPath(path.join(model, 'config.json')), 'utf8'));
/** What users do after the training, once around: none of it is a repetition. */
const later = postable(eventsOf(3, 9, 19));

describe('the command', () => {
  const place = openWorkplace(SHARED);
  afterAll(endAll);

  beforeAll(async () => {
    const rows = eventsOf(3).map(({ user, item, time }) => `${user},${item},${time}`);
    // A busy machine runs these tests, too: no lag is too long.
    place.write('server.json', '{"limits":{"delay":0}}');
    place.write('log.csv', `user,item,timestamp\n${rows.join('\n')}\n`);
    await place.ok([
      'train',
      '--data',
      'log.csv',
      '--out',
      'model',
      ...SMALL,
      '--epochs',
      '1',
      '--min-interactions',
      '1',
    ]);
  });

  const active = async (url: string): Promise<string> => {
    const { models } = (await (await fetch(`${url}/v1/models`)).json()) as {
      models: { folder: string; active: boolean }[];
    };
    return models.find((model) => model.active)?.folder ?? '';
  };

  it('updates after so many events, and continues with the update after a restart', async () => {
    const before = readdirSync(place.path('model')).map((name) => [name, place.read(`model/${name}`)]);
    const args = '--model model --learn 400 --learn-minutes 1 --config server.json'.split(' ');
    const served = await serveCommand(args, {}, place.dir);
    const answer = await fetch(`${served.url}/v1/events`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(later),
    });
    expect(answer.status, await answer.text()).toBe(201);
    await until(async () => (await active(served.url)) !== 'model');
    expect(await active(served.url)).toBe('model-learned-0001');
    // The newest fifth was kept to compare both models on.
    const { update, data } = configOf(place.path('model-learned-0001'));
    expect(update).toMatchObject({ generation: 1, events: 8 * USERS, users: 0, items: 0 });
    expect(data.source).toContain('log.csv');
    expect(readdirSync(place.path('model')).map((name) => [name, place.read(`model/${name}`)])).toEqual(before);
    expect(await served.end('SIGTERM'), served.said()).toBe(0);
    const again = await serveCommand(args, {}, place.dir);
    expect(await active(again.url)).toBe('model-learned-0001');
    expect(await again.end('SIGTERM')).toBe(0);
  }, 120_000);

  it.each([
    ['--learn never', /^2 .*expected a time/],
    ['--learn 0', /^2 .*expected a time/],
  ])('%s is refused in one line', async (flags, line) => {
    expect(await place.fails(`serve --model model ${flags}`)).toMatch(line);
  });

  it('refuses to learn where the log of the training is gone', async () => {
    cpSync(place.path('log.csv'), place.path('moved.csv'));
    rmSync(place.path('log.csv'));
    expect(await place.fails('serve --model model --port 0 --learn 1d')).toMatch(
      /^1 log\.csv: the log that model was trained on is not there; --learn needs it/,
    );
  });
});

describe('an update that is significantly worse', () => {
  let root: string;
  beforeAll(async () => {
    root = mkdtempSync(path.join(tmpdir(), 'attune-learning-'));
    await trainInto(path.join(root, 'good'), 3);
    await trainInto(path.join(root, 'wrong'), 7);
  });
  afterAll(() => rmSync(root, { recursive: true }));

  it('is kept beside the model, which stays, and is not tried again before as many events have come', async () => {
    const seen: string[] = [];
    const server = await startServer({
      model: path.join(root, 'good'),
      learn: {
        after: { events: 300 },
        lookMs: 20,
        async update(model, events, out) {
          seen.push(readFileSync(events, 'utf8'));
          expect(path.basename(model)).toBe('model');
          cpSync(path.join(root, 'wrong'), out, { recursive: true });
        },
      },
    });
    try {
      const refused = async (): Promise<number> => {
        const metrics = String((await server.call('GET', '/metrics')).body);
        return Number(/attune_\w*swap\w*\{[^}]*refused[^}]*\} (\d+)/.exec(metrics)?.[1] ?? 0);
      };
      expect((await server.call('POST', '/v1/events', later.slice(0, 299))).status).toBe(201);
      await new Promise((resolve) => setTimeout(resolve, 200));
      expect(seen).toEqual([]);
      expect((await server.call('POST', '/v1/events', later.slice(299))).status).toBe(201);
      await until(async () => (await refused()) > 0);
      await new Promise((resolve) => setTimeout(resolve, 200));
      expect(seen).toHaveLength(1);
      expect(seen[0].trimEnd().split('\n')).toHaveLength(1 + 8 * USERS);
      const { models } = (await server.call('GET', '/v1/models')).body;
      const folders = models.map(({ folder, active }: { folder: string; active: boolean }) => [folder, active]);
      expect(folders).toEqual([
        ['model', true],
        ['model-learned-0001', false],
      ]);
      expect(existsSync(path.join(server.folder, 'model.learned.json'))).toBe(false);
    } finally {
      await server.close();
    }
  });
});

it('events join the log of the training under its names, with what the model reads', () => {
  const config = {
    schema: { columns: { user: 'who' }, attributes: [], events: [{ name: 'device', kind: 'column', absent: 0 }] },
    data: { minRating: 3 },
  } as never;
  const base = { type: 'click', id: null };
  const lines = eventLines(
    [
      { ...base, user: 'a,b', item: 'x', time: 5, rating: 4, context: { device: 'phone' } },
      { ...base, user: 'c', item: '"y"', time: 6, rating: null, context: null },
    ],
    config,
  );
  expect(lines).toBe('who,item,timestamp,rating,device\n"a,b",x,5,4,phone\nc,"""y""",6,,\n');
});

it('a damaged note of the last update is one line that says what to do', async () => {
  const root = mkdtempSync(path.join(tmpdir(), 'attune-learned-'));
  try {
    for (const text of ['', '{', '{}', 'null', '{"folder":"../other"}']) {
      writeFileSync(path.join(root, 'model.learned.json'), text);
      await expect(lastLearned(path.join(root, 'model'))).rejects.toThrow(
        /^\S*model\.learned\.json: expected the name of the folder of the last update; remove the file [^\n]*$/,
      );
    }
  } finally {
    rmSync(root, { recursive: true });
  }
});
