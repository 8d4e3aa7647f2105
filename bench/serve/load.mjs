/**
 * Load at a constant rate, in a process of its own: whoever forks it sends a task, and gets the latencies.
 *
 * autocannon sends what a connection may send in a second at once, at the second's start. So that requests come evenly, its
 * connections are given their turns here. A latency counts from the time that the request was due, also where no connection
 * was free then (coordinated omission).
 */
import { createHistogram } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import autocannon from 'autocannon';

const CONNECTIONS = 256;

process.once('message', async ({ url, rate, seconds, requests, kinds }) => {
  const took = Object.fromEntries(
    kinds.map((kind) => [kind, createHistogram({ lowest: 1, highest: 60e6, figures: 3 })]),
  );
  let [sent, errors, next, mostLate] = [0, 0, 0, 0];
  let [from, until] = [Number.POSITIVE_INFINITY, 0];
  const free = [];
  const clients = [];
  /** When the request of a connection was due. */
  const due = new Map();
  /** Requests that each connection has sent; it repeats the kinds in their order. */
  const turns = new Map();
  const prepared = kinds.map((_, turn) => ({
    // The context is the connection's.
    setupRequest: (request, context) => {
      if (turn === 0) context.at = next++ % requests.length;
      return { ...request, ...requests[context.at][turn] };
    },
  }));
  const run = autocannon({
    url,
    connections: CONNECTIONS,
    connectionRate: 1,
    duration: seconds + 60, // until this process ends
    requests: prepared,
    setupClient: (client) => clients.push(client),
  });
  run.on('reqError', () => errors++);
  run.on('response', (client, status) => {
    const now = performance.now();
    const turn = turns.get(client) ?? 0;
    turns.set(client, (turn + 1) % kinds.length);
    free.push(client);
    const asked = due.get(client);
    if (asked === undefined || asked < from || asked > until) return;
    sent++;
    if (status >= 300) errors++;
    took[kinds[turn]].record(Math.max(1, Math.round((now - asked) * 1000)));
  });
  await sleep(1500); // each connection has sent a request by itself
  for (const client of clients) clearInterval(client.rateInterval);
  const started = performance.now();
  let given = 0;
  const give = () => {
    const now = performance.now();
    for (; free.length > 0; given++) {
      const at = started + (given * 1000) / rate;
      if (at > now) break;
      if (at > from) mostLate = Math.max(mostLate, now - at);
      const client = free.shift();
      due.set(client, at);
      client.reqsMadeThisSecond = 0;
      client._doRequest();
    }
    setTimeout(give, 1);
  };
  give();
  await sleep(1000);
  from = performance.now();
  until = from + seconds * 1000;
  process.send({ started: true });
  const before = process.cpuUsage();
  await sleep(seconds * 1000);
  const { user, system } = process.cpuUsage(before);
  await sleep(1000); // the last answers
  const latencies = Object.fromEntries(
    kinds.map((kind) => [
      kind,
      Object.fromEntries([50, 90, 99].map((p) => [`p${p}`, took[kind].count ? took[kind].percentile(p) / 1000 : null])),
    ]),
  );
  process.send({ sent, errors, latencies, lagMs: mostLate, cpu: (user + system) / 1e6 }, () => process.exit(0));
});
