/** The built command under load, asked to end: every request that was sent is answered, and what was answered is kept. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openStore } from '../../server/store/open.ts';
import { fixture } from './server.ts';

const COMMAND = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

describe('a server that is asked to end', () => {
  let folder: string;
  const children: ChildProcess[] = [];
  beforeAll(() => {
    if (!existsSync(COMMAND)) throw new Error('dist/ is missing: npm run build');
    folder = mkdtempSync(path.join(tmpdir(), 'attune-drain-'));
    cpSync(fixture('sequence'), path.join(folder, 'model'), { recursive: true });
  });
  afterAll(() => {
    for (const child of children) if (child.exitCode === null) child.kill('SIGKILL');
    rmSync(folder, { recursive: true });
  });

  async function start(store: string): Promise<{ child: ChildProcess; url: string; said: () => string }> {
    const flags = ['--model', 'model', '--device', 'cpu', '--port', '0', '--log', 'silent', '--store', store];
    const child = spawn(process.execPath, [COMMAND, 'serve', ...flags], {
      cwd: folder,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    children.push(child);
    let said = '';
    child.stderr?.setEncoding('utf8').on('data', (text) => (said += text));
    for (;;) {
      const url = /serving .* (http:\/\/[\d.]+:\d+)/.exec(said)?.[1];
      if (url) return { child, url, said: () => said };
      if (child.exitCode !== null) throw new Error(`the server ended: ${said}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  interface Load {
    /** Statuses of the answers. */
    statuses: number[];
    /** Connections of their own: they had left before the server ended them. */
    dropped: string[];
    /** IDs of events that were acknowledged. */
    acknowledged: string[];
    refused: number;
  }

  /** Asks on one connection that is kept alive until no connection can be had. */
  async function ask(url: string, worker: number, load: Load): Promise<void> {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    for (let n = 0; ; n++) {
      const event = n % 3 === 0;
      const id = `w${worker}-${n}`;
      const body = JSON.stringify(event ? { user: `u${worker}`, item: `i${n % 30}`, id } : { history: ['i1'], k: 5 });
      let connected = false;
      try {
        const status = await new Promise<number>((resolve, reject) => {
          const request = http.request(
            `${url}/v1/${event ? 'events' : 'recommendations'}`,
            { agent, method: 'POST', headers: { 'content-type': 'application/json' } },
            (response) => {
              response.resume().on('end', () => resolve(response.statusCode ?? 0));
              response.on('error', reject);
            },
          );
          request.on('error', reject);
          request.on('socket', (socket) => {
            if (!socket.connecting) connected = true;
            else socket.once('connect', () => (connected = true));
          });
          request.end(body);
        });
        load.statuses.push(status);
        if (event && status === 201) load.acknowledged.push(id);
      } catch (error) {
        if (connected) load.dropped.push(`${id}: ${(error as Error).message}`);
        else load.refused++;
        agent.destroy();
        return;
      }
    }
  }

  it.each(['SIGTERM', 'SIGINT'] as const)(
    '%s under load: every request is answered, and the exit code is 0',
    async (signal) => {
      const store = path.join(folder, `${signal}.db`);
      const { child, url, said } = await start(store);
      const load: Load = { statuses: [], dropped: [], acknowledged: [], refused: 0 };
      const idle = http.get(`${url}/healthz`, { agent: new http.Agent({ keepAlive: true }) });
      idle.on('error', () => {});
      idle.on('response', (response) => response.resume());
      const workers = Array.from({ length: 12 }, (_, worker) => ask(url, worker, load));
      while (load.statuses.length < 100) await new Promise((resolve) => setTimeout(resolve, 10));
      child.kill(signal);
      const [code] = await once(child, 'exit');
      await Promise.all(workers);
      expect(code, said()).toBe(0);
      expect(load.dropped).toEqual([]);
      expect(load.refused).toBe(12);
      expect(new Set(load.statuses)).toEqual(new Set([200, 201]));
      const kept = await openStore(store);
      expect((await kept.sizes()).events).toBe(load.acknowledged.length);
      await kept.close();
    },
  );

  it('saves the lists that were shown', async () => {
    const store = path.join(folder, 'shown.db');
    const { child, url } = await start(store);
    const headers = { 'content-type': 'application/json' };
    await fetch(`${url}/v1/events`, { method: 'POST', headers, body: '{"user":"ada","item":"i1"}' });
    const list = (await (await fetch(`${url}/v1/users/ada/recommendations?k=3`)).json()) as { items: { id: string }[] };
    child.kill('SIGTERM');
    await once(child, 'exit');
    const kept = await openStore(store);
    expect((await kept.shown(['ada'])).get('ada')?.items).toEqual(list.items.map(({ id }) => id));
    await kept.close();
  });

  it('a second signal ends it at once, and a request that never ends does not hold it for ever', async () => {
    const { child, url } = await start(path.join(folder, 'second.db'));
    const { hostname, port } = new URL(url);
    const slow = http.request({
      hostname,
      port,
      path: '/v1/events',
      method: 'POST',
      headers: { 'content-type': 'application/json', 'content-length': 100 },
    });
    slow.on('error', () => {});
    slow.write('{"user":');
    // It has arrived once another that was sent later is answered.
    await fetch(`${url}/healthz`);
    child.kill('SIGTERM');
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expect(child.exitCode).toBeNull();
    child.kill('SIGTERM');
    const [code] = await once(child, 'exit');
    expect(code).toBe(143);
  });
});
