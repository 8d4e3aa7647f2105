/** The typed client: one method for each route, checked against the OpenAPI document and against a running server. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AttuneClient, AttuneError } from '../../client/index.ts';
import { clientSource } from '../../client/generate.mjs';
import { openApiDocument } from '../../server/app.ts';
import { Keys } from '../../server/http/keys.ts';
import { makeKeys, type Started, start } from './start.ts';

// biome-ignore lint/suspicious/noExplicitAny: a JSON document
type Json = any;

describe('client and document', () => {
  test('client/api.ts is what the routes say (node client/generate.mjs writes it)', async () => {
    const written = readFileSync(new URL('../../client/api.ts', import.meta.url), 'utf8');
    expect(clientSource((await openApiDocument('0.0.0')) as Json)).toBe(written);
  });

  test('every operation has a method, which sends what the document says', async () => {
    const document: Json = await openApiDocument('0.0.0');
    let sent: { url: URL; init: RequestInit } | null = null;
    const client: Json = new AttuneClient({
      url: 'http://attune.test/base/',
      key: 'secret',
      fetch: async (url, init) => {
        sent = { url: new URL(`${url}`), init: init ?? {} };
        return new Response('{}', { headers: { 'content-type': 'application/json' } });
      },
    });
    let checked = 0;
    for (const [path, methods] of Object.entries<Json>(document.paths)) {
      for (const [method, { operationId, parameters = [], requestBody }] of Object.entries<Json>(methods)) {
        const inPath = parameters.filter((one: Json) => one.in === 'path');
        const inQuery = parameters.filter((one: Json) => one.in === 'query').map(({ name }: Json) => name);
        const query = Object.fromEntries(inQuery.map((name: string) => [name, ['1', '2']]));
        const args = inPath.map(() => 'a/b ü');
        if (requestBody) args.push({ some: 'body' });
        if (inQuery.length > 0) args.push(query);
        await client[operationId](...args, { signal: AbortSignal.timeout(60_000) });
        const { url, init } = sent as unknown as { url: URL; init: RequestInit };
        expect(init.method, operationId).toBe(method.toUpperCase());
        expect(url.pathname, operationId).toBe(`/base${path.replace(/\{\w+\}/g, 'a%2Fb%20%C3%BC')}`);
        expect([...new Set(url.searchParams.keys())], operationId).toEqual(inQuery);
        for (const name of inQuery) expect(url.searchParams.getAll(name)).toEqual(['1', '2']);
        expect(init.body, operationId).toBe(requestBody ? '{"some":"body"}' : undefined);
        const headers = new Headers(init.headers);
        expect(headers.get('authorization')).toBe('Bearer secret');
        expect(headers.get('content-type')).toBe(requestBody ? 'application/json' : null);
        expect(init.signal).toBeInstanceOf(AbortSignal);
        checked++;
      }
    }
    expect(checked).toBeGreaterThan(10);
  });

  test('the built client stands alone', () => {
    const folder = new URL('../../dist/client/', import.meta.url);
    const files = readdirSync(folder).filter((name) => /\.(js|d\.ts)$/.test(name));
    expect(files.sort()).toEqual(['api.d.ts', 'api.js', 'index.d.ts', 'index.js']);
    for (const name of files) {
      const imports = [...readFileSync(new URL(name, folder), 'utf8').matchAll(/(?:from|import\()\s*['"]([^'"]+)/g)];
      expect(imports.filter(([, from]) => from !== './api.js' && from !== './api.ts').map(([, from]) => from)).toEqual(
        [],
      );
    }
  });
});

describe('client and server', () => {
  const made = makeKeys();
  let server: Started;
  let client: AttuneClient;
  beforeAll(async () => {
    server = await start({ keys: Keys.parse(made.text, 'keys'), config: { limits: { rate: 50 } } });
    client = new AttuneClient({ url: server.url, key: made.keys.write });
  });
  afterAll(() => server.close());

  test('events go in, lists come out', async () => {
    expect(await client.addEvents([{ user: 'ann/é', item: 'i1', id: 'e1' }])).toEqual({ added: 1, duplicates: 0 });
    expect(await client.addEvents({ user: 'ann/é', item: 'i1', id: 'e1' })).toEqual({ added: 0, duplicates: 1 });
    const { items, model } = await client.recommendForUser('ann/é', {
      k: 4,
      exclude: ['i2', 'i3'],
      includeSeen: false,
    });
    const ids: string[] = items.map(({ id }) => id);
    expect(ids).toHaveLength(4);
    for (const id of ['i1', 'i2', 'i3']) expect(ids).not.toContain(id);
    expect(model).toMatch(/\w/);
    const session = await client.recommendForSession({ history: ['i1'], k: 4, exclude: ['i2', 'i3'] });
    expect(session.items.map(({ id }) => id)).toEqual(ids);
    expect(await client.health()).toEqual({ status: 'ok' });
  });

  const failure = (work: Promise<unknown>): Promise<Json> =>
    work.then(
      () => expect.fail('it did not fail'),
      (error) => error,
    );

  test('a problem is an AttuneError, with the document', async () => {
    const error = await failure(client.addEvents({ user: 'ann', item: '' }));
    expect(error).toBeInstanceOf(AttuneError);
    expect(error).toMatchObject({
      message: '/item: expected a string of 1 to 512 characters, got ""',
      status: 400,
      code: 'invalid-request',
      field: '/item',
      problem: { type: 'urn:attune:invalid-request', instance: expect.any(String) },
    });
    const unknown = new AttuneClient({ url: server.url, key: 'attune_no' });
    expect(await failure(unknown.listPopular())).toMatchObject({ status: 401, code: 'unauthorized' });
    const reader = new AttuneClient({ url: server.url, key: made.keys.read });
    expect(await failure(reader.addEvents({ user: 'a', item: 'b' }))).toMatchObject({ status: 403, code: 'forbidden' });
  });

  test('a refusal for now says when to ask again', async () => {
    const admin = new AttuneClient({ url: server.url, key: made.keys.admin });
    let refused: Json = null;
    for (let i = 0; i < 60 && !refused; i++)
      await admin.recommendForUser('u', { k: 1 }).catch((error) => (refused = error));
    expect(refused).toMatchObject({ status: 429, code: 'too-many-requests', retryAfter: expect.any(Number) });
    expect(refused.retryAfter).toBeGreaterThan(0);
  });

  test('a signal ends a request', async () => {
    const error = await failure(client.listPopular({}, { signal: AbortSignal.abort() }));
    expect(error.name).toBe('AbortError');
  });

  test('an answer of something else is no problem document', async () => {
    const proxy = createServer((_request, answer) => {
      answer.writeHead(502, { 'content-type': 'text/html' }).end('<h1>Bad Gateway</h1>');
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => proxy.once('listening', resolve));
    try {
      const behind = new AttuneClient({ url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}` });
      expect(await failure(behind.listPopular())).toMatchObject({
        name: 'AttuneError',
        status: 502,
        code: 'unexpected-answer',
        problem: null,
      });
    } finally {
      proxy.closeAllConnections();
      proxy.close();
    }
  });
});
