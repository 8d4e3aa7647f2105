#!/usr/bin/env node
/**
 * Latency of `attune serve` at constant rates of requests:
 *
 *   npm run bench:serve -- --model DIR --data LOG [--rates 100,300,1000] [--seconds 10] [--stores sqlite,postgres]
 *     [--cases sessions,users,cached,events] [--cpu-prof DIR] [--json]
 *
 * The built command runs in one process and the load (load.mjs) in another one, on this machine. Histories are drawn from
 * the log (histories.mjs); lists have 20 items. Cases:
 *
 *   sessions  POST /v1/recommendations with a history of its own for each request; nothing is cached
 *   users     lists of stored users without the cache of lists
 *   cached    the same of users whose lists it has
 *   events    an event of a stored user, then the user's list
 *
 * PostgreSQL is started here, from the system's package.
 */
import { fork, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { startPostgres } from '../../scripts/postgres.mjs';
import { drawHistories } from './histories.mjs';

const K = 20;
const USERS = 5000;
/** Users whose lists the cache has before the first measurement. */
const CACHED = 500;
const HISTORIES = 20_000;
/** Requests a second and seconds before the first measurement: programs are recorded, code is compiled. */
const WARM = { rate: 200, seconds: 4 };

const { values: flags } = parseArgs({
  options: {
    model: { type: 'string' },
    data: { type: 'string' },
    rates: { type: 'string', default: '100,300,1000' },
    seconds: { type: 'string', default: '10' },
    stores: { type: 'string', default: 'sqlite,postgres' },
    cases: { type: 'string', default: 'sessions,users,cached,events' },
    device: { type: 'string', default: 'auto' },
    'cpu-prof': { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});
if (!flags.model || !flags.data) {
  process.stderr.write(
    'usage: npm run bench:serve -- --model DIR --data LOG [--rates 100,300,1000] [--seconds 10] [--json]\n',
  );
  process.exit(2);
}
const file = (name) => fileURLToPath(new URL(name, import.meta.url));
const json = { 'content-type': 'application/json' };
const listOf = (id) => ({ method: 'GET', path: `/v1/users/${id}/recommendations?k=${K}` });

/** Case → whether lists are cached, the kinds of requests that follow each other, and the requests. */
const CASES = {
  sessions: {
    cache: false,
    kinds: ['list'],
    requests: (histories) =>
      histories.map((history) => [
        { method: 'POST', path: '/v1/recommendations', headers: json, body: JSON.stringify({ history, k: K }) },
      ]),
  },
  users: {
    cache: false,
    kinds: ['list'],
    requests: (histories) => histories.slice(0, USERS).map((_, u) => [listOf(u)]),
  },
  cached: {
    cache: true,
    kinds: ['list'],
    requests: (histories) => histories.slice(0, CACHED).map((_, u) => [listOf(u)]),
  },
  events: {
    cache: true,
    kinds: ['event', 'list'],
    requests: (histories) =>
      histories.map(([item], i) => [
        { method: 'POST', path: '/v1/events', headers: json, body: JSON.stringify({ user: `${i % USERS}`, item }) },
        listOf(i % USERS),
      ]),
  },
};

/** Starts the command. @returns its address, CPU seconds so far, and its end */
async function serve(folder, store, cache) {
  const config = join(folder, `cache-${cache}.json`);
  writeFileSync(config, JSON.stringify(cache ? {} : { cache: { lists: 0 } }));
  const profile = flags['cpu-prof'] ? ['--cpu-prof', `--cpu-prof-dir=${resolve(flags['cpu-prof'])}`] : [];
  const args = ['serve', '--model', flags.model, '--port', '0', '--store', store, '--config', config];
  const child = spawn(
    process.execPath,
    [...profile, file('../../dist/cli/main.js'), ...args, '--device', flags.device],
    {
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  );
  process.once('exit', () => child.kill('SIGKILL'));
  const ended = new Promise((done) => child.once('close', done));
  let said = '';
  const url = await new Promise((done, failed) => {
    child.stderr.setEncoding('utf8').on('data', (text) => {
      said += text;
      const [, address] = /serving .* on (http\S+);/.exec(said) ?? [];
      if (address) done(address);
    });
    ended.then(() => failed(new Error(said)));
  });
  const cpu = async () => {
    const text = await (await fetch(`${url}/metrics`)).text();
    return Number(/^process_cpu_seconds_total (\S+)/m.exec(text)[1]);
  };
  const end = async () => {
    child.kill('SIGTERM');
    await ended;
  };
  return { url, cpu, end };
}

/** Each user has a history of the log. */
async function fill(url, histories) {
  const events = histories.slice(0, USERS).flatMap((history, u) => history.map((item) => ({ user: `${u}`, item })));
  for (let from = 0; from < events.length; from += 5000) {
    const body = JSON.stringify(events.slice(from, from + 5000));
    const { status } = await fetch(`${url}/v1/events`, { method: 'POST', headers: json, body });
    if (status !== 201) throw new Error(`events: expected 201, got ${status}`);
  }
}

async function load(server, { kinds, requests }, rate, seconds) {
  const child = fork(file('load.mjs'), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  child.send({ url: server.url, rate, seconds, requests, kinds });
  let cpu = 0;
  const result = await new Promise((done, failed) => {
    child.once('exit', (code) => failed(new Error(`the load ended with ${code}`)));
    child.on('message', async (message) => {
      if (message.started) cpu = await server.cpu();
      else done(message);
    });
  });
  return { ...result, serverCpu: (await server.cpu()) - cpu };
}

/** A row for each kind of request. */
function rowsOf(store, name, rate, seconds, { sent, errors, latencies, lagMs, cpu, serverCpu }) {
  const per1000 = (value) => Number(((1000 * value) / sent).toFixed(3));
  return Object.entries(latencies).map(([kind, { p50, p90, p99 }]) => ({
    store,
    case: name,
    request: kind,
    rate,
    achieved: Number((sent / seconds).toFixed(1)),
    errors,
    'p50 ms': p50,
    'p90 ms': p90,
    'p99 ms': p99,
    'server CPU s/1000': per1000(serverCpu),
    'load CPU s/1000': per1000(cpu),
    'load late ms': Number(lagMs.toFixed(1)),
    'load average': Number(loadavg()[0].toFixed(1)),
  }));
}

const seconds = Number(flags.seconds);
const names = flags.cases.split(',');
const histories = await drawHistories(flags.data, HISTORIES);
const folder = mkdtempSync(join(tmpdir(), 'attune-bench-'));
if (flags['cpu-prof']) mkdirSync(flags['cpu-prof'], { recursive: true });
const postgres = flags.stores.includes('postgres') ? await startPostgres() : null;
const rows = [];
try {
  for (const name of flags.stores.split(',')) {
    for (const cache of [false, true]) {
      const cases = names.filter((one) => CASES[one].cache === cache);
      if (cases.length === 0) continue;
      const store = name === 'sqlite' ? join(folder, `cache-${cache}.db`) : await postgres?.database();
      if (store === undefined) continue;
      const server = await serve(folder, store, cache);
      await fill(server.url, histories);
      for (const one of cases) {
        const { kinds, requests } = CASES[one];
        const made = { kinds, requests: requests(histories) };
        await load(server, made, WARM.rate, WARM.seconds);
        for (const rate of flags.rates.split(',').map(Number)) {
          const found = rowsOf(name, one, rate, seconds, await load(server, made, rate, seconds));
          rows.push(...found);
          if (!flags.json) for (const row of found) process.stderr.write(`${JSON.stringify(row)}\n`);
        }
      }
      await server.end();
    }
  }
} finally {
  await postgres?.stop();
  rmSync(folder, { recursive: true, force: true });
}
const lengths = histories.map(({ length }) => length);
const mean = lengths.reduce((sum, n) => sum + n, 0) / lengths.length;
if (flags.json) console.log(JSON.stringify({ histories: { count: histories.length, mean }, rows }));
else {
  console.log(
    `${histories.length} histories of ${Math.min(...lengths)} to ${Math.max(...lengths)} events, ${mean.toFixed(1)} on average`,
  );
  console.table(rows);
}
