/**
 * Load at a constant rate, in a process of its own: whoever forks it sends a task, and gets the latencies.
 *
 * autocannon sends what a connection may send in a second at the second's start. So that the rate is constant, each
 * connection sends one request a second, and they start one after the other. A connection whose answer takes longer than
 * that could not send the next one in time: each request that it held up counts with the time that it would have waited
 * (coordinated omission).
 */
import { createHistogram, monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import autocannon from 'autocannon';

/** Instances that start at even distances. */
const STARTS = 100;
/** Milliseconds between two requests of a connection. */
const INTERVAL = 1000;

process.once('message', async (task) => {
  const { url, rate, seconds, requests, kinds } = task;
  const took = Object.fromEntries(
    kinds.map((kind) => [kind, createHistogram({ lowest: 1, highest: 60e6, figures: 3 })]),
  );
  const statuses = {};
  let [errors, sent, from, until, next] = [0, 0, Number.POSITIVE_INFINITY, 0, 0];
  /** Requests that each connection has sent; it repeats the kinds in their order. */
  const turns = new Map();
  const prepared = kinds.map((_, turn) => ({
    setupRequest: (request) => ({ ...request, ...requests[(turn === 0 ? next++ : next) % requests.length][turn] }),
  }));
  const starts = Math.min(STARTS, rate);
  const lag = monitorEventLoopDelay({ resolution: 5 });
  const runs = [];
  for (let i = 0; i < starts; i++) {
    const connections = Math.floor(rate / starts) + (i < rate % starts ? 1 : 0);
    // Until this process ends.
    const run = autocannon({
      url,
      connections,
      connectionRate: 1,
      duration: seconds + 60,
      requests: prepared,
      timeout: 30,
      ignoreCoordinatedOmission: true,
    });
    run.on('response', (client, status, _bytes, ms) => {
      const turn = turns.get(client) ?? 0;
      turns.set(client, (turn + 1) % kinds.length);
      const now = performance.now();
      if (now < from || now > until) return;
      sent++;
      statuses[status] = (statuses[status] ?? 0) + 1;
      if (status >= 300) errors++;
      for (let waited = ms; waited > 0; waited -= INTERVAL)
        took[kinds[turn]].record(Math.max(1, Math.round(waited * 1000)));
    });
    run.on('reqError', () => errors++);
    runs.push(run);
    await sleep(INTERVAL / starts);
  }
  await sleep(INTERVAL);
  from = performance.now();
  until = from + seconds * 1000;
  process.send({ started: true });
  lag.enable();
  const before = process.cpuUsage();
  await sleep(seconds * 1000);
  const { user, system } = process.cpuUsage(before);
  lag.disable();
  const latencies = Object.fromEntries(
    kinds.map((kind) => [
      kind,
      Object.fromEntries([50, 90, 99].map((p) => [`p${p}`, took[kind].count ? took[kind].percentile(p) / 1000 : null])),
    ]),
  );
  process.send(
    { sent, errors, statuses, latencies, lagMs: (lag.percentile(99) - 5e6) / 1e6, cpu: (user + system) / 1e6 },
    () => process.exit(0),
  );
});
