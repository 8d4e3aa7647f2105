/** What the server says of itself: metrics, and whether it is ready. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { serve } from '../../server/serve.ts';
import { Keys } from '../../server/http/keys.ts';
import { Models } from '../../server/serving/models.ts';
import { SqliteDriver } from '../../server/store/sqlite.ts';
import { makeKeys } from './start.ts';
import { fixture, startServer, type TestServer } from './server.ts';

describe('metrics', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startServer();
  });
  afterAll(() => server.close());

  const text = async (): Promise<string> => (await server.call('GET', '/metrics')).body;
  /** A sample's value; 0 where there is none. */
  const sample = (all: string, name: string): number => {
    const line = all.split('\n').find((one) => one.startsWith(`${name} `));
    return line === undefined ? 0 : Number(line.slice(name.length + 1));
  };
  const value = async (name: string): Promise<number> => sample(await text(), name);
  const listOf = (user: string) => server.ids('GET', `/v1/users/${user}/recommendations?k=5`);
  const add = (...events: object[]) => server.call('POST', '/v1/events', events);
  /** Events are judged after they were answered. */
  const judged = async (name: string, count: number): Promise<void> => {
    while ((await value(name)) < count) await new Promise((resolve) => setTimeout(resolve, 20));
  };

  it('are text that Prometheus reads, with the process, the loop and the device', async () => {
    const { status, headers, body } = await server.call('GET', '/metrics');
    expect(status).toBe(200);
    expect(headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
    for (const line of body.split('\n').filter(Boolean))
      expect(line).toMatch(/^(# (HELP|TYPE) \S+ .+|[a-zA-Z_:]\w*(\{.*\})? (-?[\d.e+-]+|NaN|\+Inf))$/);
    for (const name of ['process_resident_memory_bytes', 'nodejs_heap_size_used_bytes', 'attune_models_loaded'])
      expect(sample(body, name), name).toBeGreaterThan(0);
    expect(body).toContain('\nnodejs_eventloop_lag_seconds ');
    expect(body).toMatch(/attune_device_bytes [1-9]\d*\n/);
    expect(body).toMatch(
      /attune_model_info\{model="[0-9a-f]{12}",folder="model",recipe="sasrec",trained="2026-\S+"\} 1\n/,
    );
  });

  it('count requests by route and status, never by address', async () => {
    await server.call('GET', '/v1/users/secret-user/recommendations');
    await server.call('GET', '/v1/users/secret-user/recommendations?k=0');
    await server.call('GET', '/no/such/secret-user');
    const all = await text();
    const route = 'method="GET",route="/v1/users/:id/recommendations"';
    expect(sample(all, `attune_requests_total{${route},status="200"}`)).toBe(1);
    expect(sample(all, `attune_requests_total{${route},status="400"}`)).toBe(1);
    expect(sample(all, `attune_request_seconds_count{${route}}`)).toBe(2);
    expect(all).not.toContain('secret-user');
  });

  it('time the queue and the model apart', async () => {
    const before = await text();
    await Promise.all(
      Array.from({ length: 6 }, (_, i) => server.ids('POST', '/v1/recommendations', { history: [`i${i}`] })),
    );
    const after = await text();
    const grown = (name: string): number => sample(after, name) - sample(before, name);
    expect(grown('attune_model_wait_seconds_count')).toBe(6);
    expect(grown('attune_model_batch_size_sum')).toBe(6);
    expect(grown('attune_model_batch_size_count')).toBe(grown('attune_model_run_seconds_count'));
    expect(grown('attune_model_run_seconds_sum')).toBeGreaterThan(0);
  });

  it('count events, and not those that were there already', async () => {
    const before = await value('attune_events_total');
    await add({ user: 'counted', item: 'i1', id: 'a' }, { user: 'counted', item: 'i2', id: 'b' });
    await add({ user: 'counted', item: 'i1', id: 'a' });
    expect(await value('attune_events_total')).toBe(before + 2);
  });

  it('tell how often the next event was in the list that the user saw last', async () => {
    const { body } = await server.call('POST', '/v1/recommendations', { history: ['i1'], k: 1 });
    const model = `{model="${body.model}"}`;
    const counts = async () => {
      const all = await text();
      return ['events', 'hits'].map((name) => sample(all, `attune_online_${name}_total${model}`));
    };
    await add({ user: 'ada', item: 'i1' });
    expect(await counts()).toEqual([0, 0]);
    const [first, second] = await listOf('ada');
    await new Promise((resolve) => setTimeout(resolve, 400)); // it is in the store by now
    await add({ user: 'ada', item: second, id: 'hit' });
    await judged(`attune_online_events_total${model}`, 1);
    expect(await counts()).toEqual([1, 1]);
    // Only the next event counts, and a list that was not shown yet judges nothing.
    await add({ user: 'ada', item: first });
    await add({ user: 'bob', item: 'i4' });
    const shown = await listOf('ada');
    const other = Array.from({ length: 30 }, (_, i) => `i${i}`).find((id) => !shown.includes(id));
    // What happened before the list, negative feedback, and what is there already say nothing of it.
    await add(
      { user: 'ada', item: shown[0], time: Date.now() - 60_000 },
      { user: 'ada', item: shown[1], type: 'dislike' },
      { user: 'ada', item: second, id: 'hit' },
    );
    await add({ user: 'ada', item: other });
    await judged(`attune_online_events_total${model}`, 2);
    expect(await counts()).toEqual([2, 1]);
    expect(await value(`attune_online_hit_rate${model}`)).toBe(0.5);
  });

  it('judge a thousand events with a few looks at the store, and of each user the next event alone', async () => {
    const { body } = await server.call('POST', '/v1/recommendations', { history: ['i1'], k: 1 });
    const online = async () =>
      Promise.all(['events', 'hits'].map((name) => value(`attune_online_${name}_total{model="${body.model}"}`)));
    const users = Array.from({ length: 100 }, (_, i) => `many${i}`);
    await add(...users.map((user, i) => ({ user, item: `i${i % 30}` })));
    const lists = await Promise.all(users.map(listOf));
    await new Promise((resolve) => setTimeout(resolve, 400));
    const [events, hits] = await online();
    const looks = vi.spyOn(server.context.store, 'shown');
    // Each user's first event is the best or nothing of the list, the others are all in it.
    await add(
      ...Array.from({ length: 10 }, (_, t) =>
        users.map((user, u) => ({ user, item: t > 0 || u % 4 === 0 ? lists[u][t % 5] : 'elsewhere' })),
      ).flat(),
    );
    await judged(`attune_online_events_total{model="${body.model}"}`, events + 100);
    expect(await online()).toEqual([events + 100, hits + 25]);
    expect(looks.mock.calls.length).toBeLessThanOrEqual(3);
    looks.mockRestore();
  });

  it('tell which share of the catalog was shown', async () => {
    const { body } = await server.call('POST', '/v1/recommendations', { history: ['i1'], k: 29 });
    expect(body.items.length).toBe(29);
    expect(await value(`attune_catalog_coverage{model="${body.model}"}`)).toBeGreaterThanOrEqual(29 / 30);
  });
});

describe('readiness', () => {
  it('waits for the model, and the process is alive before it', async () => {
    const { keys, text } = makeKeys();
    const key = { authorization: `Bearer ${keys.read}` };
    const statuses: Record<string, number> = {};
    const { start } = Models.prototype;
    const slow = vi.spyOn(Models.prototype, 'start').mockImplementation(async function (this: Models, folder) {
      for (const path of ['/healthz', '/readyz', '/v1/popular']) {
        const answer = await fetch(`${await listening}${path}`, { headers: key });
        statuses[path] = answer.status;
        if (answer.status === 503) expect(await answer.json()).toMatchObject({ code: 'not-ready' });
      }
      return start.call(this, folder);
    });
    let onListening = (_bound: { address: string }): void => {};
    const listening = new Promise<string>((resolve) => {
      onListening = ({ address }) => resolve(address);
    });
    const server = await startServer({ keys: Keys.parse(text, 'keys'), onListening });
    slow.mockRestore();
    expect(statuses).toEqual({ '/healthz': 200, '/readyz': 503, '/v1/popular': 503 });
    expect((await server.call('GET', '/readyz')).status).toBe(200);
    // A scraper needs a key that reads, and no more.
    expect((await server.call('GET', '/metrics')).status).toBe(401);
    expect((await server.call('GET', '/metrics', undefined, key)).status).toBe(200);
    expect((await server.call('GET', '/v1/models', undefined, key)).status).toBe(403);
    await server.close();
  });

  it('fails to start where the model is damaged, and frees the port and the store', async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'attune-broken-'));
    await expect(
      serve({
        model: fixture('log.csv'),
        host: '127.0.0.1',
        port: 0,
        store: path.join(folder, 'store.db'),
        backend: 'cpu',
        config: null,
        keys: null,
        app: { version: 'test', log: 'silent' },
      }),
    ).rejects.toThrow('log.csv');
    await (await SqliteDriver.open(path.join(folder, 'store.db'))).close();
    await expect(SqliteDriver.open(':memory:')).rejects.toThrow('expected a file');
    rmSync(folder, { recursive: true });
  });
});
