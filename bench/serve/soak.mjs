#!/usr/bin/env node
/**
 * A server under mixed load, bounded by a number of requests: lists of stored users and of sessions, events, items put and
 * deleted, users erased, models swapped to and fro. Reports errors, and the server's memory over time.
 *
 *   npm run build && node bench/serve/soak.mjs --requests 100000
 *
 *   --requests N   100,000 by default
 *   --workers N    connections that ask at once, 8 by default
 *   --device NAME  wasm (default: what a server without a GPU takes), webgpu, cpu or auto
 *   --users N      users that ask, 2,000 by default: their histories grow with the requests
 *   --json         one object instead of a table
 *
 * Ends with 1 where a request failed, or memory grew: the least of the last quarter of the samples against that of the
 * second one (the first is warm-up), by more than a tenth and 16 MiB.
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const COMMAND = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const MIB = 2 ** 20;
const SAMPLES = 40;
const SWAPS = 20;
const ITEMS = 400;
const LOG_USERS = 400;
/** What may be measured in a sample, by the name of the metric. */
const GAUGES = {
  rss: 'process_resident_memory_bytes',
  heap: 'nodejs_heap_size_used_bytes',
  external: 'nodejs_external_memory_bytes',
  device: 'attune_device_bytes',
};

const { values: flags } = parseArgs({
  options: {
    requests: { type: 'string', default: '100000' },
    workers: { type: 'string', default: '8' },
    device: { type: 'string', default: 'wasm' },
    users: { type: 'string', default: '2000' },
    json: { type: 'boolean', default: false },
  },
});
const total = Number(flags.requests);
const say = (text) => process.stderr.write(`${text}\n`);

const folder = mkdtempSync(path.join(tmpdir(), 'attune-soak-'));
let child = null;
process.on('exit', () => {
  child?.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

/** Two models of one log, which differ by their seed. */
function train() {
  const rows = ['user,item,timestamp'];
  for (let u = 0; u < LOG_USERS; u++)
    for (let t = 0; t < 20; t++) rows.push(`u${u},i${(u * 7 + t * (1 + (u % 3))) % ITEMS},${1577836800 + t * 60 + u}`);
  writeFileSync(path.join(folder, 'log.csv'), `${rows.join('\n')}\n`);
  const items = ['item,title,genre', ...Array.from({ length: ITEMS }, (_, i) => `i${i},Title ${i},g${i % 7}`)];
  writeFileSync(path.join(folder, 'items.csv'), `${items.join('\n')}\n`);
  const settings = ['d=32', 'ff=64', 'blocks=1', 'window=50', 'budget=512'].flatMap((set) => ['--set', set]);
  for (const [name, seed] of [
    ['one', '1'],
    ['two', '2'],
  ]) {
    say(`training ${name}`);
    const args = ['train', '--data', 'log.csv', '--items', 'items.csv', '--out', `models/${name}`, '--epochs', '1'];
    const done = spawnSync(
      process.execPath,
      [COMMAND, ...args, '--recipe', 'sasrec', '--seed', seed, ...settings, '--device', flags.device],
      { cwd: folder, encoding: 'utf8' },
    );
    if (done.status !== 0) throw new Error(done.stderr);
  }
}

async function serve() {
  // What else runs on this machine may make the event loop lag: that is no error of the server.
  writeFileSync(path.join(folder, 'serve.json'), JSON.stringify({ limits: { delay: 0 } }));
  const args = ['serve', '--model', 'models/one', '--port', '0', '--device', flags.device, '--log', 'error'];
  args.push('--config', 'serve.json');
  child = spawn(process.execPath, [COMMAND, ...args], { cwd: folder, stdio: ['ignore', 'inherit', 'pipe'] });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text) => (said += text));
  for (;;) {
    const url = /serving .* (http:\/\/[\d.]+:\d+)/.exec(said)?.[1];
    if (url) return url;
    if (child.exitCode !== null) throw new Error(`the server ended: ${said}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const agent = new http.Agent({ keepAlive: true, maxSockets: Number(flags.workers) + 2 });

function ask(url, method, where, body) {
  return new Promise((resolve, reject) => {
    const headers = body === undefined ? {} : { 'content-type': 'application/json' };
    const request = http.request(`${url}${where}`, { agent, method, headers }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (piece) => (text += piece));
      response.on('end', () => resolve({ status: response.statusCode, text }));
    });
    request.on('error', reject);
    request.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

/** The n-th request, by fixed shares of 100: name, method, address, body, statuses that are no errors. */
function requestOf(n) {
  const user = `s${(n * 2654435761) % Number(flags.users)}`;
  const item = `i${(n * 40503) % ITEMS}`;
  const part = n % 100;
  if (part < 40) return ['list', 'GET', `/v1/users/${user}/recommendations?k=20`];
  if (part < 55) return ['session', 'POST', '/v1/recommendations', { history: [item, `i${n % ITEMS}`], k: 20 }];
  if (part < 58) return ['filtered', 'GET', `/v1/users/${user}/recommendations?where=genre%3Dg${n % 7}&diversity=0.3`];
  if (part < 85) return ['event', 'POST', '/v1/events', { user, item, id: `n${n}`, type: n % 9 ? 'view' : 'dislike' }];
  if (part < 88) return ['similar', 'GET', `/v1/items/${item}/similar`, undefined, [404]];
  if (part < 91) return ['popular', 'GET', '/v1/popular?days=7'];
  if (part < 93) return ['latest', 'GET', '/v1/latest'];
  if (part < 96)
    return ['put', 'PUT', '/v1/items', { id: `new${n % 50}`, title: `New ${n}`, attributes: { genre: 'g1' } }];
  if (part < 97) return ['delete', 'DELETE', `/v1/items/new${n % 50}`, undefined, [404]];
  if (part < 99) return ['erase', 'DELETE', `/v1/users/${user}`, undefined, [404]];
  return ['refused', 'GET', '/v1/users/x/recommendations?k=0', undefined, [400]];
}

async function sample(url, done) {
  const { text } = await ask(url, 'GET', '/metrics');
  const value = (name) => Number(new RegExp(`^${name} (\\S+)`, 'm').exec(text)?.[1] ?? Number.NaN);
  return { requests: done, ...Object.fromEntries(Object.entries(GAUGES).map(([key, name]) => [key, value(name)])) };
}

async function load(url) {
  const counts = {};
  const errors = [];
  const samples = [await sample(url, 0)];
  let next = 0;
  let swaps = 0;
  const worker = async () => {
    for (let n = next++; n < total; n = next++) {
      const [name, method, where, body, others = []] = requestOf(n);
      try {
        const { status, text } = await ask(url, method, where, body);
        if (status >= 300 && !others.includes(status)) errors.push(`${name}: ${status} ${text}`);
      } catch (error) {
        errors.push(`${name}: ${error.message}`);
      }
      counts[name] = (counts[name] ?? 0) + 1;
      if (n > 0 && n % Math.ceil(total / SAMPLES) === 0) {
        samples.push(await sample(url, n));
        say(`${n} requests, ${(samples.at(-1).rss / MIB).toFixed(0)} MiB, ${errors.length} errors`);
      }
      if (n > 0 && n % Math.ceil(total / SWAPS) === 0) {
        const folder = swaps++ % 2 ? 'one' : 'two';
        const { status, text } = await ask(url, 'POST', '/v1/models', { folder, force: true });
        if (status !== 200) errors.push(`swap: ${status} ${text}`);
      }
    }
  };
  const started = performance.now();
  await Promise.all(Array.from({ length: Number(flags.workers) }, worker));
  const seconds = (performance.now() - started) / 1000;
  samples.push(await sample(url, total));
  return { counts, swaps, errors, samples, seconds };
}

/** The least of the second quarter and of the last one: what is held whatever was collected when. */
function growthOf(samples, key) {
  const part = (from, to) =>
    Math.min(...samples.slice(Math.floor(samples.length * from), Math.ceil(samples.length * to)).map((s) => s[key]));
  const [before, after] = [part(0.25, 0.5), part(0.75, 1)];
  return { before, after, grew: after > 1.1 * before + 16 * MIB };
}

train();
const url = await serve();
const { counts, swaps, errors, samples, seconds } = await load(url);
child.kill('SIGTERM');
const code = await new Promise((resolve) => child.once('exit', resolve));
const memory = Object.fromEntries(Object.keys(GAUGES).map((key) => [key, growthOf(samples, key)]));
const failed = errors.length > 0 || code !== 0 || Object.values(memory).some(({ grew }) => grew);
const report = {
  requests: total,
  seconds,
  swaps,
  counts,
  errors: errors.slice(0, 10),
  errorCount: errors.length,
  exitCode: code,
  memory,
  samples,
};
if (flags.json) process.stdout.write(`${JSON.stringify(report)}\n`);
else {
  console.log(
    `${total} requests in ${seconds.toFixed(0)} s (${(total / seconds).toFixed(0)} a second), ${swaps} swaps`,
  );
  console.log(
    Object.entries(counts)
      .map(([name, count]) => `${name} ${count}`)
      .join(', '),
  );
  console.log(`errors: ${errors.length}; exit code of the server: ${code}`);
  for (const error of report.errors) console.log(`  ${error}`);
  for (const [key, { before, after, grew }] of Object.entries(memory))
    console.log(
      `${key}: ${(before / MIB).toFixed(1)} MiB, then ${(after / MIB).toFixed(1)} MiB${grew ? ': it grew' : ''}`,
    );
}
process.exitCode = failed ? 1 : 0;
