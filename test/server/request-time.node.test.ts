/** A model that reads when it is asked, over HTTP. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Device } from '../../engine/index.ts';
import { NodeFiles } from '../../recommend/node.ts';
import { trainModel } from '../../train/index.ts';
import { eventsOf } from './mini-shop.ts';
import { startServer, type TestServer } from './server.ts';

const START = Date.parse('2026-11-30T12:00:00Z');
const DAY = 86_400_000;

describe('now', () => {
  const root = mkdtempSync(path.join(tmpdir(), 'attune-now-'));
  let server: TestServer;

  beforeAll(async () => {
    const model = path.join(root, 'model');
    const device = await Device.open({ backend: 'cpu' });
    await trainModel(eventsOf(3), {
      files: await NodeFiles.create(model),
      recipe: 'sasrec',
      settings: { d: 8, ff: 16, blocks: 1, window: 8, budget: 128, requestTime: 'on' },
      epochs: 1,
      minInteractions: 1,
      device,
    });
    device.close();
    server = await startServer({ model });
  });
  afterAll(async () => {
    await server.close();
    rmSync(root, { recursive: true });
  });

  const scores = async (now?: string | number) => {
    const history = ['i1', 'i4'].map((item, i) => ({ item, time: START + 1000 * i }));
    const { status, body } = await server.call('POST', '/v1/recommendations', { history, now, k: 5 });
    expect(status).toBe(200);
    return body.items.map(({ score }: { score: number }) => score);
  };

  test('is what the model reads, and the clock of the server where it is left out', async () => {
    const [soon, later] = [await scores(START + 2000), await scores(START + 9 * DAY)];
    expect(later).not.toEqual(soon);
    expect(await scores(new Date(START + 2000).toISOString())).toEqual(soon);
    const before = Date.now();
    const unsaid = await scores();
    // The same bucket of the gap and the same hour, but for the turn of one between the two.
    const said = [await scores(Math.max(before, START + 1000)), await scores(Math.max(Date.now(), START + 1000))];
    expect(said.some((own) => own.every((score: number, i: number) => Math.abs(score - unsaid[i]) < 1e-3))).toBe(true);
  });

  test('leaves out what has not happened by then, of users in the store, too', async () => {
    const events = ['i1', 'i4'].map((item, i) => ({ user: 'ada', item, time: START + DAY * i }));
    await server.call('POST', '/v1/events', events);
    const ask = (now: number) => server.call('GET', `/v1/users/ada/recommendations?now=${now}&k=3`);
    const [one, both] = [await ask(START + 1), await ask(START + DAY + 1)];
    expect([one.status, both.status]).toEqual([200, 200]);
    expect(one.body.items).not.toEqual(both.body.items);
    const continued = { user: 'ada', steps: 2, now: START + DAY + 1 };
    expect((await server.call('POST', '/v1/continuations', continued)).body.items).toHaveLength(2);
  });
});
