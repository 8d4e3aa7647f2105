/** API keys: the command that makes them, and what each role may call. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, readFileSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Keys } from '../../server/http/keys.ts';
import { ROLES, type Role } from '../../server/http/roles.ts';
import { ROUTES } from '../../server/routes/index.ts';
import { jsonError, oneLine, Workplace } from '../cli/attune.ts';
import { makeKeys, type Started, start } from './start.ts';

describe('routes and roles', () => {
  const made = makeKeys();
  let server: Started;
  beforeAll(async () => {
    server = await start({ keys: Keys.parse(made.text, 'keys') });
  });
  afterAll(() => server.close());

  const KEYS: readonly (Role | 'none' | 'unknown')[] = ['none', 'unknown', ...ROLES];
  const cases = ROUTES.flatMap((route) => KEYS.map((key) => ({ route, key, name: `${route.method} ${route.url}` })));

  test.each(cases)('$name with the key: $key', async ({ route: { method, url, role }, key }) => {
    const authorization = key === 'none' ? '' : `Bearer ${key === 'unknown' ? 'attune_unknown' : made.keys[key]}`;
    // A body that is not JSON: whoever may call gets as far as that, and nothing is changed.
    const body = method === 'GET' ? undefined : '{';
    const path = url.replace(/:\w+/g, 'nobody');
    const {
      status,
      headers,
      body: problem,
    } = await server.ask(method, path, body, authorization === '' ? {} : { authorization });
    const known = key !== 'none' && key !== 'unknown';
    if (role !== null && !known) {
      expect(status).toBe(401);
      expect(headers.get('www-authenticate')).toBe('Bearer');
      expect(problem.field).toBe('Authorization');
    } else if (role !== null && known && ROLES.indexOf(key) < ROLES.indexOf(role)) expect(status).toBe(403);
    else if (method === 'GET') expect([401, 403, 500]).not.toContain(status);
    else expect(status).toBe(400);
  });

  test('the document and its page need no key, and an unknown address tells nothing more', async () => {
    for (const path of ['/openapi.json', '/docs/', '/healthz'])
      expect((await server.ask('GET', path)).status).toBe(200);
    expect((await server.ask('GET', '/v1/nothing')).status).toBe(404);
  });

  test.each(['Basic YTpi', 'Bearer', 'Bearer  ', 'Bearer a b', `${'x'.repeat(8000)}`])(
    'the header "%s" is no key',
    async (authorization) => {
      const answer = await server.ask('GET', '/v1/users/a/recommendations', undefined, { authorization });
      expect(answer.status).toBe(401);
    },
  );

  test('any Host is answered', async () => {
    const answer = await server.ask('GET', '/v1/users/a/recommendations', undefined, {
      authorization: `bearer ${made.keys.read}`,
    });
    expect(answer.status).toBe(200);
  });
});

describe('the keys', () => {
  test('are 256 random bits, and the file has a hash of them alone', () => {
    const { key, line } = Keys.create('shop', 'read');
    expect(key).toMatch(/^attune_[\w-]{43}$/);
    expect(Keys.create('shop', 'read').key).not.toBe(key);
    expect(line).toMatch(/^shop read [0-9a-f]{64}$/);
    expect(line).not.toContain(key.slice('attune_'.length));
    const keys = Keys.parse(line, 'keys');
    expect(keys.find(key)).toEqual({ name: 'shop', role: 'read' });
    for (const other of ['', key.slice(0, -1), `${key}x`, line.split(' ')[2]]) expect(keys.find(other)).toBeNull();
  });

  test.each([
    ['', 'keys: no key in it'],
    ['# nothing\n', 'keys: no key in it'],
    [`a read ${'0'.repeat(63)}`, 'keys:1: expected NAME ROLE HASH'],
    [`\na owner ${'0'.repeat(64)}`, 'keys:2: expected NAME ROLE HASH'],
    [`a read ${'0'.repeat(64)}\na write ${'1'.repeat(64)}`, 'keys:2: the name a is there twice'],
  ])('a file that makes no sense is refused: %j', (text, message) => {
    expect(() => Keys.parse(text, 'keys')).toThrow(message);
  });
});

describe('attune keys', () => {
  let place: Workplace;
  beforeAll(() => {
    place = new Workplace();
  });
  afterAll(() => place.remove());

  test('add prints a key once and appends its hash to a file of the owner alone', async () => {
    const first = await place.run(['keys', 'add', '--role', 'read', '--keys', 'keys.txt', '--name', 'shop']);
    expect(first.code).toBe(0);
    const key = first.stdout.trim();
    expect(oneLine(first.stderr)).toContain('the only time');
    expect(statSync(place.path('keys.txt')).mode & 0o777).toBe(0o600);
    const second = await place.run(['keys', 'add', '--role', 'admin', '--keys', 'keys.txt', '--json']);
    const { name, role, key: other } = JSON.parse(second.stdout);
    expect({ name, role }).toEqual({ name: expect.stringMatching(/^admin-[0-9a-f]{8}$/), role: 'admin' });
    const text = readFileSync(place.path('keys.txt'), 'utf8');
    expect(text).not.toContain(key.slice(7));
    const keys = Keys.parse(text, 'keys.txt');
    expect([keys.find(key)?.name, keys.find(other)?.role]).toEqual(['shop', 'admin']);
    const listed = await place.run(['keys', 'list', '--keys', 'keys.txt']);
    expect(listed.stdout).toBe(`shop  read\n${name}  admin\n`);
  });

  test.each<[string[], number, RegExp]>([
    [['add', '--keys', 'keys.txt'], 2, /--role is missing/],
    [['add', '--keys', 'keys.txt', '--role', 'owner'], 2, /read, write, admin/],
    [['add', '--keys', 'keys.txt', '--role', 'read', '--name', 'a b'], 1, /--name a b: expected 1 to 64 letters/],
    [['add', '--keys', 'keys.txt', '--role', 'read', '--name', 'shop'], 1, /has a key shop/],
    [['remove', '--keys', 'keys.txt', '--name', 'nobody'], 1, /has no key nobody/],
    [['remove', '--keys', 'keys.txt'], 2, /--name is missing/],
    [['list', '--keys', 'gone.txt'], 1, /gone\.txt: no such file/],
    [['erase', '--keys', 'keys.txt'], 2, /expected add, list or remove, got erase/],
  ])('keys %j ends in one line', async (args, code, message) => {
    const outcome = await place.run(['keys', ...args, '--json']);
    expect(outcome.code).toBe(code);
    expect(jsonError(outcome.stderr)).toMatch(message);
  });

  test('a running server takes keys that are added, and refuses those that are removed', async () => {
    cpSync(fileURLToPath(new URL('../fixtures/models/sequence', import.meta.url)), place.path('model'), {
      recursive: true,
    });
    const command = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
    const added = await place.run(['keys', 'add', '--role', 'read', '--keys', 'live.txt', '--name', 'first']);
    const flags = ['--model', 'model', '--device', 'cpu', '--port', '0', '--keys', 'live.txt', '--log', 'silent'];
    const child = spawn(process.execPath, [command, 'serve', ...flags], {
      cwd: place.dir,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text) => (said += text));
    const until = async <T>(what: () => T | Promise<T>): Promise<NonNullable<T>> => {
      for (;;) {
        const found = await what();
        if (found) return found;
        if (child.exitCode !== null) throw new Error(`the server ended: ${said}`);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    };
    try {
      const url = (await until(() => /http:\/\/[\d.]+:\d+/.exec(said)))[0];
      const ask = async (key: string) => {
        const headers = { authorization: `Bearer ${key.trim()}` };
        return (await fetch(`${url}/v1/users/ada/recommendations?k=1`, { headers })).status;
      };
      expect(await ask(added.stdout)).toBe(200);
      const second = await place.run(['keys', 'add', '--role', 'read', '--keys', 'live.txt', '--name', 'second']);
      await until(async () => (await ask(second.stdout)) === 200);
      await place.run(['keys', 'remove', '--keys', 'live.txt', '--name', 'first']);
      await until(async () => (await ask(added.stdout)) === 401);
      expect(await ask(second.stdout)).toBe(200);
      await place.run(['keys', 'remove', '--keys', 'live.txt', '--name', 'second']);
      await until(async () => (await ask(second.stdout)) === 401);
    } finally {
      child.kill();
      await once(child, 'close');
    }
  });

  test('without keys a server is for this machine alone, and says so', async () => {
    cpSync(fileURLToPath(new URL('../fixtures/models/sequence', import.meta.url)), place.path('model'), {
      recursive: true,
    });
    const open = await place.run(['serve', '--model', 'model', '--device', 'cpu', '--host', '0.0.0.0', '--port', '0']);
    expect(open.code).toBe(1);
    expect(oneLine(open.stderr)).toBe(
      '--host 0.0.0.0: without keys the server is for this machine alone; add keys (attune keys add), or leave the host out',
    );
    const half = await place.run(['serve', '--model', 'model', '--tls-cert', 'cert.pem']);
    expect([half.code, oneLine(half.stderr)]).toEqual([2, expect.stringContaining('--tls-key')]);
    const said = await place.run(['serve', '--model', 'model', '--device', 'cpu', '--port', '0', '--log', 'silent'], {
      started: (child) =>
        child.stderr?.on('data', (text) => {
          if (`${text}`.includes('only this machine')) child.kill('SIGTERM');
        }),
    });
    expect(said.code).toBe(0);
  });
});
