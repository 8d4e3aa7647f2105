/** Options of the HTTP application: other origins, proxies, TLS, and what makes no sense. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { request as requestTls } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Keys } from '../../server/http/keys.ts';
import { startServer } from './server.ts';
import { makeKeys, start } from './start.ts';

describe('options', () => {
  test('cors admits the origins that it names', async () => {
    const { text } = makeKeys();
    const server = await start({ app: { cors: ['https://shop.example'] }, keys: Keys.parse(text, 'keys') });
    try {
      const preflight = (origin: string) =>
        server.ask('OPTIONS', '/v1/events', undefined, {
          origin,
          'access-control-request-method': 'POST',
          'access-control-request-headers': 'authorization,content-type',
        });
      const { status, headers } = await preflight('https://shop.example');
      expect(status).toBe(204);
      expect(headers.get('access-control-allow-origin')).toBe('https://shop.example');
      expect(headers.get('access-control-allow-headers')).toContain('authorization');
      expect(headers.get('access-control-allow-credentials')).toBeNull();
      expect((await preflight('https://evil.example')).headers.get('access-control-allow-origin')).not.toBe(
        'https://evil.example',
      );
      const answer = await server.ask(
        'POST',
        '/v1/events',
        { user: 'a', item: 'b' },
        { origin: 'https://shop.example' },
      );
      expect(answer.status).toBe(401);
      expect(answer.headers.get('access-control-allow-origin')).toBe('https://shop.example');
    } finally {
      await server.close();
    }
  });

  test('a trusted proxy says who asks, for the rate, and names the request', async () => {
    const server = await start({ app: { trustProxy: ['127.0.0.1'] }, config: { limits: { rate: 1 } } });
    try {
      const from = (ip: string) =>
        server.ask('GET', '/v1/users/a/recommendations?k=1', undefined, {
          'x-forwarded-for': ip,
          'x-request-id': 'r-1',
        });
      const first = await from('192.0.2.1');
      expect([first.status, first.headers.get('x-request-id')]).toEqual([200, 'r-1']);
      expect([(await from('192.0.2.2')).status, (await from('192.0.2.1')).status]).toEqual([200, 429]);
    } finally {
      await server.close();
    }
  });

  test('no other request names itself', async () => {
    const server = await start({ config: { limits: { rate: 1 } } });
    try {
      const from = (ip: string) =>
        server.ask('GET', '/v1/users/a/recommendations?k=1', undefined, {
          'x-forwarded-for': ip,
          'x-request-id': 'r-1',
        });
      expect((await from('192.0.2.1')).headers.get('x-request-id')).not.toBe('r-1');
      expect((await from('192.0.2.2')).status).toBe(429);
    } finally {
      await server.close();
    }
  });

  test.each<[object, string]>([
    [{ cors: ['shop.example'] }, '`cors: shop.example`: expected an origin'],
    [{ cors: ['https://shop.example/'] }, 'expected an origin, as https://shop.example, or *'],
    [{ trustProxy: ['my-proxy'] }, '`trustProxy: my-proxy`: expected an address or a network'],
    [{ trustProxy: ['10.0.0.0/33'] }, 'expected an address or a network'],
    [{ tls: { cert: 'no', key: 'no' } }, '`tlsCert`: not a certificate and its private key in PEM'],
  ])('%j makes no sense, and is refused before anything is loaded', async (app, message) => {
    await expect(start({ app })).rejects.toThrow(message);
  });

  test.each<[object, string]>([
    [{ limit: {} }, 'config.json: /limit: unknown field; there are scenarios, events, feedback, cache, limits'],
    [{ limits: { depth: 1 } }, 'config.json: /limits/depth: expected an integer from 4 to 100, got 1'],
    [{ events: { view: 2 } }, 'config.json: /events/view: expected a number from -1 to 1, got 2'],
  ])('the config %j is refused with its field', async (config, message) => {
    await expect(start({ config: config as Record<string, unknown> })).rejects.toThrow(message);
  });

  test('a port that is taken is said', async () => {
    const server = await start();
    try {
      const port = Number(new URL(server.url).port);
      await expect(startServer({ port })).rejects.toThrow(`\`port: ${port}\`: another process listens there`);
      await expect(startServer({ port: 70_000 })).rejects.toThrow('expected an integer from 0 to 65535');
    } finally {
      await server.close();
    }
  });

  test('tls serves HTTPS', async ({ skip }) => {
    const folder = mkdtempSync(join(tmpdir(), 'attune-tls-'));
    try {
      const args = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=localhost'];
      const paths = [
        '-addext',
        'subjectAltName=DNS:localhost',
        '-keyout',
        join(folder, 'key'),
        '-out',
        join(folder, 'cert'),
      ];
      if (spawnSync('openssl', [...args, ...paths]).status !== 0) skip('openssl is not there to make a certificate');
      const [cert, key] = ['cert', 'key'].map((name) => readFileSync(join(folder, name), 'utf8'));
      const server = await start({ app: { tls: { cert, key } } });
      try {
        expect(server.url).toMatch(/^https:/);
        const { port } = new URL(server.url);
        const status = await new Promise((resolve, reject) =>
          requestTls({ host: 'localhost', port, path: '/healthz', ca: cert, family: 4 }, (answer) => {
            answer.resume();
            resolve([answer.statusCode]);
          })
            .on('error', reject)
            .end(),
        );
        expect(status).toEqual([200]);
      } finally {
        await server.close();
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
