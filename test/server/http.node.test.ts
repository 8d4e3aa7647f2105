/** What holds for every request, whatever its route: types, sizes, addresses, Host, rate, load, the log. */
import { request } from 'node:http';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Answer } from './server.ts';
import { makeKeys, type Started, start } from './start.ts';
import { Keys } from '../../server/http/keys.ts';

/** Every problem says what it is, and nothing else. */
function expectProblem({ status, headers, body }: Answer, expected: { status: number; code: string; field?: string }) {
  expect({ status, code: body.code, field: body.field }, JSON.stringify(body)).toEqual({
    field: undefined,
    ...expected,
  });
  expect(headers.get('content-type')).toBe('application/problem+json');
  expect(body).toMatchObject({ type: `urn:attune:${expected.code}`, status, instance: headers.get('x-request-id') });
  expect(body.title).not.toBe('');
  expect(body.detail).not.toBe('');
}

/** What a socket answers to bytes. */
const raw = (url: string, bytes: string | Buffer): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    let answer = '';
    socket.setEncoding('utf8').on('data', (text) => (answer += text));
    socket.on('close', () => resolve(answer)).on('error', reject);
    socket.end(bytes);
  });

describe('requests', () => {
  let server: Started;
  beforeAll(async () => {
    server = await start();
  });
  afterAll(() => server.close());

  const event = { user: 'ada', item: 'i1' };

  test.each([
    ['text/plain'],
    ['application/x-www-form-urlencoded'],
    ['multipart/form-data; boundary=x'],
    ['application/jsonp'],
    ['application/json; charset=utf-16'],
  ])('a body of the type %s is refused', async (type) => {
    const answer = await server.ask('POST', '/v1/events', event, { 'content-type': type });
    expectProblem(answer, { status: 415, code: 'unsupported-media-type', field: 'Content-Type' });
  });

  test('a compressed body is refused', async () => {
    const answer = await server.ask('POST', '/v1/events', event, { 'content-encoding': 'gzip' });
    expectProblem(answer, { status: 415, code: 'unsupported-media-type', field: 'Content-Type' });
  });

  test('application/json in UTF-8 is taken, however it is written', async () => {
    for (const type of ['application/json', 'Application/JSON; charset=UTF-8', 'application/json;charset="utf-8"']) {
      const answer = await server.ask('POST', '/v1/events', event, { 'content-type': type });
      expect(answer.status, type).toBe(201);
    }
  });

  test.each<[string, unknown, string, string]>([
    ['nothing', '', 'body', 'expected a JSON body, got none'],
    ['a number', 5, 'body', 'body: expected an object or an array of 1 to 10000 entries, got 5'],
    ['no event', [], 'body', 'body: expected an array of 1 to 10000 entries, got an array of 0'],
    ['an event without an item', { user: 'ada' }, '/item', '/item: is missing'],
    ['one of several without a user', [event, { item: 'i1' }], '/1/user', '/1/user: is missing'],
    [
      'one whose item is a number',
      [event, event, { user: 'ada', item: 5 }],
      '/2/item',
      '/2/item: expected a string of 1 to 512 characters, got 5',
    ],
    [
      'a misspelled field',
      [{ ...event, itm: 'i1' }],
      '/0/itm',
      '/0/itm: unknown field; there are user, item, time, type, rating, context, id',
    ],
    [
      'a time of another kind',
      { ...event, time: true },
      '/time',
      '/time: expected a number from 0 to 8640000000000000 or a string of at most 40 characters, got true',
    ],
    [
      'a time before 1970',
      { ...event, time: -1 },
      '/time',
      '/time: expected a number from 0 to 8640000000000000, got -1',
    ],
    [
      'a time that is no date',
      { ...event, time: 'noon' },
      '/time',
      '/time: expected an ISO 8601 date since 1970, got noon',
    ],
    ['a context whose value is a number', { ...event, context: { 'a/b\n': 1 } }, '/context/a~1b\n', 'got 1'],
    [
      'an ID of 513 characters',
      { user: 'a'.repeat(513), item: 'i' },
      '/user',
      'of 1 to 512 characters, got 513 characters',
    ],
  ])('%s: the field and the cause', async (_name, body, field, detail) => {
    const answer = await server.ask('POST', '/v1/events', body);
    expectProblem(answer, { status: 400, code: 'invalid-request', field });
    expect(answer.body.detail).toContain(detail);
  });

  test.each<[string, string, string, string | undefined]>([
    ['not JSON', '{"user":', 'the body is not JSON', undefined],
    ['a field twice', '{"user":"a","item":"b","us\\u0065r":"c"}', 'the field user twice', '/user'],
    [
      'a field twice, far inside',
      '[{"a":[1,[2],{}]},{"b":{"c/d":[0,"]",{"e":1,"e":2}]}}]',
      'the field e twice',
      '/1/b/c~1d/2/e',
    ],
    ['__proto__', '{"user":"a","item":"b","__proto__":{}}', '__proto__', '/__proto__'],
    ['17 levels', `${'['.repeat(17)}${']'.repeat(17)}`, 'more than 16 levels', undefined],
    ['100,000 levels', '['.repeat(1e5) + ']'.repeat(1e5), 'more than 16 levels', undefined],
    ['a NUL', '{"user":"a\\u0000","item":"b"}', 'NUL', undefined],
    ['half a surrogate pair', '{"user":"\\ud83d","item":"b"}', 'surrogate', undefined],
  ])('JSON with %s is refused', async (_name, body, detail, field) => {
    const answer = await server.ask('POST', '/v1/events', body);
    expectProblem(answer, { status: 400, code: 'invalid-json', field });
    expect(answer.body.detail).toContain(detail);
  });

  test('bytes that are not UTF-8 are refused', async () => {
    const bytes = Buffer.from([...Buffer.from('{"user":"'), 0xff, ...Buffer.from('","item":"b"}')]);
    const answer = await fetch(`${server.url}/v1/events`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: bytes,
    });
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({ code: 'invalid-json', detail: 'the body is not UTF-8' });
  });

  test('a megabyte of quotes is judged in time that grows with its length', async () => {
    const answer = await server.ask('POST', '/v1/events', `"${'\\"'.repeat(500_000)}`);
    expectProblem(answer, { status: 400, code: 'invalid-json' });
  });

  test.each([
    ['k=0', 'k', 'k: expected an integer from 1 to 128, got 0'],
    ['k=129', 'k', 'k: expected an integer from 1 to 128, got'],
    ['k=1e999', 'k', 'k: expected an integer from 1 to 128, got'],
    ['k=', 'k', 'k: expected an integer from 1 to 128, got'],
    ['k=1&k=2', 'k', 'got an array of 2'],
    ['kk=1', 'kk', 'kk: unknown field; there are'],
    ['caps=genre', 'caps', 'caps: expected a string like genre:2, got "genre"'],
    ['calibrate=genre', 'calibrate', 'calibrate: expected a string like genre:0.3, got "genre"'],
    ['calibrate=genre:0.1&calibrate=genre:0.2', 'calibrate', 'calibrate: genre is named twice'],
    ['expose=brand:small', 'expose', 'expose: expected a string like brand:small>=0.2, got "brand:small"'],
    ['includeSeen=perhaps', 'includeSeen', 'includeSeen: expected true or false, got "perhaps"'],
  ])('the query %s: the field and the cause', async (query, field, detail) => {
    const answer = await server.ask('GET', `/v1/users/ada/recommendations?${query}`);
    expectProblem(answer, { status: 400, code: 'invalid-request', field });
    expect(answer.body.detail).toContain(detail);
  });

  test.each([
    '/v1/users/%ff/recommendations',
    '/v1/users/a%00b/recommendations',
    '/v1/users/a/recommendations?where=%80',
  ])('the address %s is refused', async (path) => {
    expectProblem(await server.ask('GET', path), { status: 400, code: 'invalid-address' });
  });

  test('a condition is short and shallow', async () => {
    const ask = (where: string) => server.ask('POST', '/v1/recommendations', { history: ['i1'], where });
    expect((await ask(`${'('.repeat(32)}genre=Drama${')'.repeat(32)}`)).status).toBe(200);
    const deep = await ask(`${'('.repeat(33)}genre=Drama${')'.repeat(33)}`);
    expectProblem(deep, { status: 400, code: 'invalid-value', field: '/where' });
    expect(deep.body.detail).toContain('at most 32 conditions inside each other');
    expectProblem(await ask('a'.repeat(2001)), { status: 400, code: 'invalid-request', field: '/where' });
  });

  test.each<[object, string]>([
    [{ where: 'colour=red' }, '/where'],
    [{ caps: { colour: 1 } }, '/caps'],
    [{ calibrate: { colour: 0.3 } }, '/calibrate'],
    [{ calibrate: { genre: 0.7, title: 2 } }, '/calibrate/title'],
    [{ expose: [{ attribute: 'genre', value: 'none such', share: 0.2 }] }, '/expose'],
    [{ expose: [{ attribute: 'genre', value: 'Drama', share: 0 }] }, '/expose/0/share'],
    [{ explore: { method: 'epsilon-greedy', strength: 5 } }, '/explore'],
    [{ diversity: 2 }, '/diversity'],
  ])('an option that the model cannot follow is named: %j', async (options, field) => {
    const { status, body } = await server.ask('POST', '/v1/recommendations', { history: ['i1'], ...options });
    expect([400, 422], body.detail).toContain(status);
    expect(body.field).toBe(field);
  });

  test('an ID of 512 characters is served, whatever they are', async () => {
    for (const id of [
      'x'.repeat(512),
      '\u{1f600}'.repeat(512),
      '../..',
      'a/b?c#d',
      "'; DROP TABLE users",
      '__proto__',
    ]) {
      const answer = await server.ask('GET', `/v1/users/${encodeURIComponent(id)}/recommendations?k=1`);
      expect(answer.status, id.slice(0, 20)).toBe(200);
    }
    const long = await server.ask('GET', `/v1/users/${'x'.repeat(513)}/recommendations`);
    expectProblem(long, { status: 400, code: 'invalid-request', field: 'id' });
  });

  test('an unknown address is not found; a known one says which methods it takes', async () => {
    expectProblem(await server.ask('GET', '/v1/nothing'), { status: 404, code: 'no-such-route' });
    const wrong = await server.ask('DELETE', '/v1/users/ada/recommendations');
    expectProblem(wrong, { status: 405, code: 'method-not-allowed' });
    expect(wrong.headers.get('allow')).toBe('GET, HEAD');
    expect((await server.ask('GET', '/v1/events')).headers.get('allow')).toBe('POST');
  });

  test('HEAD answers as GET does, without a body', async () => {
    expect(await server.ask('HEAD', '/healthz')).toMatchObject({ status: 200, body: '' });
  });

  test.each<[string, string, number]>([
    ['no HTTP', 'hello\r\n\r\n', 400],
    ['headers of 20 KiB', `GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`, 431],
    [
      'two lengths',
      'POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}',
      400,
    ],
    ['no Host', 'GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n', 400],
    [
      'bytes in the address',
      'GET /v1/users/\xc3\xbc/recommendations HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n',
      400,
    ],
  ])('%s gets an answer', async (_name, bytes, status) => {
    expect(await raw(server.url, Buffer.from(bytes, 'latin1'))).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect((await server.ask('GET', '/healthz')).status).toBe(200);
  });

  const withHost = (host: string): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      const { port } = new URL(server.url);
      request({ port, host: '127.0.0.1', path: '/healthz', headers: { host } }, (answer) => {
        answer.resume();
        resolve(answer.statusCode);
      })
        .on('error', reject)
        .end();
    });

  test('without keys only names of this machine are answered (DNS rebinding)', async () => {
    for (const host of ['localhost', 'LOCALHOST:8080', '127.0.0.1:1', '127.8.9.1', '[::1]:80'])
      expect(await withHost(host), host).toBe(200);
    for (const host of [
      'shop.example',
      'localhost.shop.example',
      '127.0.0.1.nip.io',
      '10.0.0.1',
      '[::2]',
      'localhost:x',
    ])
      expect(await withHost(host), host).toBe(421);
  });

  test('other origins are not let in', async () => {
    const answer = await server.ask('GET', '/healthz', undefined, { origin: 'https://shop.example' });
    expect(answer.headers.get('access-control-allow-origin')).toBeNull();
    const preflight = await server.ask('OPTIONS', '/v1/events', undefined, {
      origin: 'https://shop.example',
      'access-control-request-method': 'POST',
    });
    expect(preflight.status).toBe(405);
  });

  test('pages have a policy that admits their own scripts alone, answers to programs are not kept', async () => {
    const page = await server.ask('GET', '/docs/');
    expect(page.status).toBe(200);
    expect(page.headers.get('content-security-policy')).toContain("script-src 'self'");
    expect(page.headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
    const scripts = [...page.body.matchAll(/<script src="([^"]+)"/g)].map(
      ([, path]) => new URL(path, `${server.url}/docs/`),
    );
    expect(scripts.length).toBeGreaterThan(0);
    for (const { pathname } of scripts) expect((await server.ask('GET', pathname)).status, pathname).toBe(200);
    expect(page.body).not.toMatch(/<script>/);
    const answer = await server.ask('GET', '/v1/users/ada/recommendations');
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
  });
});

describe('the log', () => {
  test('has a line for each request, with its id, and neither users nor keys', async () => {
    const { text, keys } = makeKeys();
    const server = await start({ keys: Keys.parse(text, 'keys') });
    try {
      const authorization = `Bearer ${keys.admin}`;
      const asked = [
        await server.ask('GET', '/v1/users/Quimby%20Zoo/recommendations?where=a%20secret', undefined, {
          authorization,
        }),
        await server.ask('POST', '/v1/events', { user: 'Quimby Zoo', item: 'i1' }, { authorization }),
        await server.ask('POST', '/v1/events', { user: 'Quimby Zoo' }, { authorization }),
        await server.ask('GET', '/v1/users/Quimby Zoo/nothing', undefined, { authorization: 'Bearer attune_wrong' }),
      ];
      const log = server.log.join('');
      for (const { headers, status } of asked) {
        const line = server.log.find((one) => JSON.parse(one).reqId === headers.get('x-request-id'));
        expect(JSON.parse(line ?? '{}')).toMatchObject({ status, msg: 'request', ms: expect.any(Number) });
      }
      expect(log).toContain('"key":"admin"');
      expect(log).toContain('"route":"/v1/users/:id/recommendations"');
      expect(log).toContain('"problem":"invalid-request"');
      for (const secret of ['Quimby', 'Zoo', 'secret', 'attune_', 'i1"', keys.admin]) expect(log).not.toContain(secret);
    } finally {
      await server.close();
    }
  });
});

describe('limits', () => {
  test('of the body, its depth and a history are those of the config', async () => {
    const server = await start({ config: { limits: { body: 1024, depth: 5, history: 3 } } });
    try {
      const answer = await server.ask('POST', '/v1/events', { user: 'a', item: 'b', id: 'x'.repeat(1100) });
      expectProblem(answer, { status: 413, code: 'too-large', field: 'body' });
      expect(answer.body.detail).toBe('the body has more than 1024 bytes');
      expect((await server.ask('POST', '/v1/events', '[[[[[[1]]]]]]')).body.detail).toContain('more than 5 levels');
      const history = ['i1', 'i2', 'i3', 'i4'];
      expect((await server.ask('POST', '/v1/recommendations', { history: history.slice(1) })).status).toBe(200);
      const lists = await server.ask('POST', '/v1/recommendations', { history });
      const continued = await server.ask('POST', '/v1/continuations', { history, steps: 2 });
      for (const long of [lists, continued]) expectProblem(long, { status: 400, code: 'too-large', field: '/history' });
    } finally {
      await server.close();
    }
  });

  test('of the rate hold per key, and for all unknown keys of an address together', async () => {
    const { text, keys } = makeKeys();
    const server = await start({ config: { limits: { rate: 3 } }, keys: Keys.parse(text, 'keys') });
    try {
      const ask = (key: string) =>
        server.ask('GET', '/v1/users/ada/recommendations?k=1', undefined, { authorization: `Bearer ${key}` });
      for (let i = 0; i < 3; i++) expect((await ask(keys.read)).status).toBe(200);
      const refused = await ask(keys.read);
      expectProblem(refused, { status: 429, code: 'too-many-requests' });
      expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
      expect((await ask(keys.write)).status).toBe(200);
      const unknown = [];
      for (let i = 0; i < 5; i++) unknown.push((await ask(`attune_guess${i}`)).status);
      expect(unknown).toEqual([401, 401, 401, 429, 429]);
      for (let i = 0; i < 10; i++) expect((await server.ask('GET', '/healthz')).status).toBe(200);
    } finally {
      await server.close();
    }
  });

  test('of the load: a server that lags refuses requests for a while, and still says that it lives', async () => {
    const server = await start({ config: { limits: { delay: 1 } } });
    try {
      const lag = setInterval(() => {
        const end = performance.now() + 30;
        while (performance.now() < end);
      }, 31);
      let answer: Answer;
      do {
        answer = await server.ask('GET', '/v1/users/ada/recommendations?k=1');
        await new Promise((resolve) => setTimeout(resolve, 100));
      } while (answer.status === 200);
      expect((await server.ask('GET', '/healthz')).status).toBe(200);
      clearInterval(lag);
      expectProblem(answer, { status: 503, code: 'overloaded' });
      expect(answer.headers.get('retry-after')).toBe('5');
    } finally {
      await server.close();
    }
  });
});
