/** kill -9 at any moment loses no event that was acknowledged, and leaves a store that opens. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import Database from 'libsql';
import { afterAll, describe, expect, it } from 'vitest';
import { openStore } from '../../server/store/open.ts';
import { endAll, serveCommand } from './command.ts';
import { startPostgres } from '../../scripts/postgres.mjs';
import { fixture } from './server.ts';

const postgres = await startPostgres();
const folder = mkdtempSync(join(tmpdir(), 'attune-kill-'));
afterAll(async () => {
  endAll();
  await postgres?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const ROUNDS = process.env.ATTUNE_FULL ? 60 : 4;
const CLIENTS = 8;

describe.each([
  ['sqlite', async () => join(folder, 'killed.db')],
  ['postgres', async () => (postgres ? postgres.database() : '')],
])('killed under load on %s', (kind, address) => {
  it.skipIf(kind === 'postgres' && !postgres)(`keeps what it acknowledged, ${ROUNDS} times`, async () => {
    const store = await address();
    const acknowledged = new Set<string>();
    let sent = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const server = await serveCommand(['--model', fixture('sequence'), '--store', store]);
      const before = acknowledged.size;
      const client = async (own: number): Promise<void> => {
        for (;;) {
          const ids = Array.from({ length: 1 + (sent % 7) }, () => `${round}-${own}-${sent++}`);
          const events = ids.map((id) => ({ id, user: `u${sent % 50}`, item: `i${sent % 30}`, context: { id } }));
          // The connection breaks when the server is killed.
          const answer = await fetch(`${server.url}/v1/events`, {
            method: 'POST',
            headers: { 'content-type': 'application/json' },
            body: JSON.stringify(events),
          }).catch(() => null);
          if (answer?.status !== 201) return;
          for (const id of ids) acknowledged.add(id);
        }
      };
      const clients = Array.from({ length: CLIENTS }, (_, i) => client(i));
      while (acknowledged.size === before) await sleep(5);
      await sleep(Math.random() * 400);
      expect(await server.end('SIGKILL')).toBeNull();
      await Promise.all(clients);
      if (kind === 'sqlite') {
        const db = new Database(store);
        expect(db.pragma('integrity_check')).toEqual([{ integrity_check: 'ok' }]);
        db.close();
      }
      const opened = await openStore(store);
      const there = new Set((await opened.eventsAfter(0, 1e7)).map(({ id }) => id));
      await opened.close();
      expect([...acknowledged].filter((id) => !there.has(id))).toEqual([]);
    }
    expect(acknowledged.size).toBeGreaterThan(ROUNDS * CLIENTS);
  });

  it.skipIf(kind === 'postgres' && !postgres)('SIGTERM under load answers every request and ends with 0', async () => {
    const store = kind === 'sqlite' ? join(folder, 'ended.db') : await address();
    const server = await serveCommand(['--model', fixture('sequence'), '--store', store]);
    let ending = false;
    let answered = 0;
    const client = async (own: number): Promise<void> => {
      while (!ending) {
        const body = JSON.stringify({ user: `u${own}`, item: 'i1' });
        const headers = { 'content-type': 'application/json' };
        // What was sent before the signal is answered; what comes after finds a closed door.
        const answer = await fetch(`${server.url}/v1/events`, { method: 'POST', headers, body }).catch(() => null);
        if (answer?.status === 201) answered++;
        else expect(ending).toBe(true);
      }
    };
    const clients = Array.from({ length: CLIENTS }, (_, i) => client(i));
    await sleep(300);
    ending = true;
    expect(await server.end('SIGTERM')).toBe(0);
    await Promise.all(clients);
    const opened = await openStore(store);
    expect((await opened.sizes()).events).toBe(answered);
    await opened.close();
  });
});
