/** What the operator's page shows: the numbers of GET /v1/status, and the page's own files. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Keys } from '../../server/http/keys.ts';
import { fixture, startServer, type TestServer } from './server.ts';
import { makeKeys } from './start.ts';

/** As Vite builds it. */
const page = mkdtempSync(join(tmpdir(), 'attune-operator-'));
mkdirSync(join(page, 'assets'));
writeFileSync(join(page, 'index.html'), '<!doctype html><title>page</title>');
writeFileSync(join(page, 'assets/index-12345678.js'), 'const page = 1;');
afterAll(() => rmSync(page, { recursive: true }));

describe('status', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startServer({ app: { version: 'test', log: 'silent', operator: page } });
  });
  afterAll(() => server.close());
  const status = async (query = '') => (await server.call('GET', `/v1/status${query}`)).body;

  it('counts what users ask for by status, and not what watches the server', async () => {
    await server.call('POST', '/v1/events', [
      { user: 'a', item: 'i1' },
      { user: 'b', item: 'i2', id: 'once' },
      { user: 'b', item: 'i2', id: 'once' },
    ]);
    await server.call('GET', '/v1/users/a/recommendations');
    await server.call('GET', '/v1/users/a/recommendations?k=0');
    await server.call('GET', '/v1/nothing');
    for (const url of ['/', '/docs', '/readyz', '/healthz', '/v1/status', '/openapi.json'])
      await server.call('GET', url);
    const { statuses, eventsAdded, minute, store, model, device, role } = await status();
    expect(statuses).toEqual([
      { status: 200, requests: 1 },
      { status: 201, requests: 1 },
      { status: 400, requests: 1 },
      { status: 404, requests: 1 },
    ]);
    expect({ eventsAdded, requests: minute.requests, failed: minute.failed }).toEqual({
      eventsAdded: 2,
      requests: 4,
      failed: 0,
    });
    expect(minute.latency.p50).toBeGreaterThan(0);
    expect(minute.latency.p99).toBeGreaterThanOrEqual(minute.latency.p50);
    expect(store).toMatchObject({ users: 2, events: 2 });
    expect(store.name).toMatch(/^sqlite: /);
    expect(model).toBe((await server.call('GET', '/v1/users/a/recommendations')).body.model);
    expect({ device, role }).toEqual({ device: 'wasm', role: 'admin' });
  });

  it('tells how the lists of a model fared, without those that nobody was shown', async () => {
    const own = async () => {
      const { online, model } = await status();
      return online.find((one: { model: string }) => one.model === model);
    };
    const before = await own();
    for (const [user, query] of [
      ['seen', ''],
      ['unseen', '?preview=true'],
    ]) {
      const [item] = await server.ids('GET', `/v1/users/${user}/recommendations${query}`);
      await server.call('POST', '/v1/events', { user, item });
    }
    await server.call('POST', '/v1/recommendations', { history: ['i1'], k: 20, preview: true });
    await expect.poll(own).toMatchObject({ events: before.events + 1, hits: before.hits + 1 });
    expect((await own()).coverage).toBeLessThanOrEqual(20 / 30);
    await server.call('POST', '/v1/recommendations', { history: ['i1'], k: 30, includeSeen: true });
    expect((await own()).coverage).toBe(1);
  });

  it('gives the seconds since the last time, each once', async () => {
    const { seconds: all } = await status();
    const since = all.at(-1).time;
    await new Promise((resolve) => setTimeout(resolve, 1100));
    const { seconds } = await status(`?since=${since}`);
    expect(seconds.length).toBeGreaterThan(0);
    expect(seconds[0].time).toBe(since + 1000);
    expect((await status('?since=x')).field).toBe('since');
  });

  it('sends the page with a policy, and its assets to be kept', async () => {
    const html = await server.call('GET', '/');
    expect(html.status).toBe(200);
    expect(html.body).toContain('<title>page</title>');
    expect(html.headers.get('content-type')).toMatch(/^text\/html/);
    expect(html.headers.get('cache-control')).toBe('no-cache');
    expect(html.headers.get('content-security-policy')).toContain("script-src 'self'");
    expect(html.headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
    expect(html.headers.get('content-security-policy')).not.toContain('unsafe');
    const script = await server.call('GET', '/assets/index-12345678.js');
    expect(script.status).toBe(200);
    expect(script.headers.get('cache-control')).toBe('public, max-age=31536000, immutable');
    for (const url of ['/assets/', '/assets/other.js', '/index.htm', '/..%2f..%2fpackage.json'])
      expect((await server.call('GET', url)).status, url).toBeGreaterThanOrEqual(400);
  });
});

it('asking each second is neither refused for its rate nor logged as requests are', async () => {
  const log: string[] = [];
  const server = await startServer(
    { app: { version: 'test', log: 'info', logTo: { write: (line) => void log.push(line) } } },
    { limits: { rate: 2 } },
  );
  try {
    for (let i = 0; i < 10; i++)
      for (const url of ['/v1/status', '/readyz', '/metrics']) expect((await server.call('GET', url)).status).toBe(200);
    const answers = [];
    for (let i = 0; i < 3; i++) answers.push((await server.call('GET', '/v1/popular')).status);
    expect(answers).toEqual([200, 200, 429]);
    const routes = log.map((line) => JSON.parse(line)).flatMap(({ route }) => route ?? []);
    expect(routes).toEqual(['/v1/popular', '/v1/popular', '/v1/popular']);
  } finally {
    await server.close();
  }
});

it('with keys the page is open, what it shows needs the role read, and the role is named', async () => {
  const { text, keys } = makeKeys();
  const server = await startServer({
    keys: Keys.parse(text, 'keys'),
    app: { version: 'test', log: 'silent', operator: page },
  });
  try {
    expect((await server.call('GET', '/')).status).toBe(200);
    expect((await server.call('GET', '/v1/status')).status).toBe(401);
    for (const role of ['read', 'write', 'admin'] as const) {
      const { status, body } = await server.call('GET', '/v1/status', undefined, {
        authorization: `Bearer ${keys[role]}`,
      });
      expect({ status, role: body.role }).toEqual({ status: 200, role });
    }
  } finally {
    await server.close();
  }
});

it('the built command serves the page that was built beside it', async () => {
  const command = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
  if (!existsSync(command)) throw new Error('dist/ is missing: npm run build');
  const store = join(page, 'store.db');
  const flags = ['--model', fixture('sequence'), '--device', 'cpu', '--port', '0', '--log', 'silent', '--store', store];
  const child = spawn(process.execPath, [command, 'serve', ...flags], { stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = once(child, 'exit');
  try {
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text) => (said += text));
    let url: string | undefined;
    while (!(url = /serving .* (http:\/\/[\d.]+:\d+)/.exec(said)?.[1])) {
      if (child.exitCode !== null) throw new Error(`the server ended: ${said}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const html = await (await fetch(`${url}/`)).text();
    const assets = [...html.matchAll(/(?:src|href)="\.\/(assets\/[^"]+)"/g)].map(([, name]) => name);
    expect(assets.map((name) => name.split('.').at(-1)).sort()).toEqual(['css', 'js', 'svg']);
    for (const name of assets) expect((await fetch(`${url}/${name}`)).status, name).toBe(200);
  } finally {
    child.kill('SIGTERM');
    await ended;
  }
});
