/**
 * Events a second that the stores acknowledge, one an addition, from clients that each wait for the answer:
 *
 *   node bench/serve/store.mjs [--seconds 3] [--json]
 *
 * Each measurement is bounded by time and by a million events. PostgreSQL is started here, from the system's package.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { startPostgres } from '../../scripts/postgres.mjs';

const CLIENTS = [1, 16, 64];
const MOST = 1_000_000;

/** Adds events for some time. @returns {Promise<{ events: number, p50: number, p99: number }>} events a second, milliseconds */
async function measure(store, clients, seconds) {
  const latencies = [];
  const started = performance.now();
  const until = started + seconds * 1000;
  const client = async () => {
    while (performance.now() < until && latencies.length < MOST) {
      const n = latencies.length;
      const event = { user: `user ${(n * 7919) % 10_000}`, item: `item ${(n * 104_729) % 3650}`, type: 'view' };
      const before = performance.now();
      await store.addEvents([{ ...event, time: Date.now(), rating: null, context: null, id: null }]);
      latencies.push(performance.now() - before);
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  const took = (performance.now() - started) / 1000;
  latencies.sort((a, b) => a - b);
  const at = (share) => latencies[Math.floor(share * (latencies.length - 1))];
  return { events: Math.round(latencies.length / took), p50: at(0.5), p99: at(0.99) };
}

/** Rows of store, clients, events a second, p50 and p99 in milliseconds. */
export async function benchStores(seconds) {
  const { openStore } = await import('../../dist/server/store/open.js');
  const folder = mkdtempSync(join(tmpdir(), 'attune-bench-'));
  const postgres = await startPostgres();
  const rows = [];
  try {
    for (const [name, address] of [
      ['sqlite', join(folder, 'store.db')],
      ['postgres', await postgres?.database()],
    ]) {
      if (address === undefined) continue;
      const store = await openStore(address);
      await measure(store, 4, 0.3); // statements are prepared, code is compiled
      for (const clients of CLIENTS) rows.push({ store: name, clients, ...(await measure(store, clients, seconds)) });
      await store.close();
    }
  } finally {
    await postgres?.stop();
    rmSync(folder, { recursive: true, force: true });
  }
  return rows;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({ options: { seconds: { type: 'string', default: '3' }, json: { type: 'boolean' } } });
  const rows = await benchStores(Number(values.seconds));
  if (values.json) console.log(JSON.stringify(rows));
  else
    console.table(rows.map(({ p50, p99, ...row }) => ({ ...row, 'p50 ms': p50.toFixed(2), 'p99 ms': p99.toFixed(2) })));
}
