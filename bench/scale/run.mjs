#!/usr/bin/env node
/**
 * How preparing and training grow with the log:
 *
 *   npm run bench:scale -- [--rows 1e6,2e7] [--items 200000] [--minutes 3] [--dir DIR] [--quick] [--json]
 *
 * Makes a synthetic log of each size (log.mjs), prepares it and trains on the dataset for some minutes, each in a process
 * of its own: seconds, the process's peak memory, tokens a second, milliseconds a step, how far the time limit was missed.
 * Beside preparing, what DuckDB alone takes to read the log, sort it by user and time, and write it as Parquet
 * (duckdb.mjs). The log and the dataset stay in --dir, if it is given, and are made once.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { letterPlot } from '../../dist/cli/output/letter-plot.js';
import { writeLog } from './log.mjs';

const { values: flags } = parseArgs({
  options: {
    rows: { type: 'string' },
    items: { type: 'string' },
    minutes: { type: 'string' },
    dir: { type: 'string' },
    device: { type: 'string', default: 'auto' },
    quick: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});
const sizes = (flags.rows ?? (flags.quick ? '2e3,4e3' : '1e6,2e7')).split(',').map(Number);
const items = Number(flags.items ?? (flags.quick ? 200 : 200_000));
const minutes = Number(flags.minutes ?? (flags.quick ? 0.5 : 3));
if (![...sizes, items].every((n) => Number.isInteger(n) && n > 0) || !(minutes > 0)) {
  process.stderr.write('bench:scale: expected --rows N,N --items N --minutes M, all above 0\n');
  process.exit(2);
}
/** The same model for logs of all sizes, from which the default would follow; and one that the suite trains in seconds. */
const LARGE = ['loss=sampled-softmax', 'negatives=1024', 'window=50', 'ema=0.998'];
const SMALL = ['d=16', 'ff=16', 'blocks=1', 'budget=512'];
/** Rows of a user, on average. */
const HISTORY = 40;
const pathOf = (file) => fileURLToPath(new URL(file, import.meta.url));
const [main, duckdb, child] = ['../../dist/cli/main.js', 'duckdb.mjs', 'child.mjs'].map(pathOf);
const dir = flags.dir ?? mkdtempSync(join(tmpdir(), 'attune-scale-'));
mkdirSync(dir, { recursive: true });

/** Runs a script; its peak memory in MB, its seconds, what it wrote. */
function runScript(script, args) {
  const started = performance.now();
  const process_ = spawn(process.execPath, ['--import', child, script, ...args], {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  let [out, err, peak] = ['', '', 0];
  process_.stdout.on('data', (text) => (out += text));
  process_.stderr.on('data', (text) => (err += text));
  process_.on('message', (kilobytes) => (peak = kilobytes));
  return new Promise((resolve, reject) => {
    process_.on('close', (code) => {
      if (code !== 0) reject(new Error(`${script} ${args.join(' ')}: ${code} ${err}`));
      else resolve({ seconds: (performance.now() - started) / 1000, peak: peak / 1000, out });
    });
  });
}

/** The same of a command of Attune's, with its JSON. */
async function run(args) {
  const { out, ...measured } = await runScript(main, [...args, '--json']);
  return { ...measured, result: JSON.parse(out) };
}

/** How cost grows with the rows, relative to the first size: powers of two. */
function plotOf(measured) {
  const growth = (value) =>
    measured.map((r) => (value(r) > 0 && value(measured[0]) > 0 ? Math.log2(value(r) / value(measured[0])) : null));
  return letterPlot(
    {
      'rows of the log': growth((r) => r.rows),
      'seconds to prepare': growth((r) => r.prepareSeconds),
      'memory of preparing': growth((r) => r.prepareMegabytes),
      'training memory': growth((r) => r.trainMegabytes),
      'length of a step': growth((r) => r.stepMilliseconds),
    },
    measured.map((r) => r.rows.toExponential(0)),
  );
}

const results = [];
try {
  for (const rows of sizes) {
    const log = join(dir, `${rows}.csv`);
    if (!existsSync(log)) writeLog(log, { rows, users: Math.ceil(rows / HISTORY), items });
    const [data, model] = [join(dir, `${rows}.dataset`), join(dir, `${rows}.model`)];
    const prepared = await run(['prepare', '--data', log, '--out', data, '--overwrite']);
    const alone = await runScript(duckdb, [log, join(dir, `${rows}.parquet`)]);
    const limit = ['--max-minutes', `${minutes}`, '--device', flags.device, '--recipe', 'sasrec'];
    for (const set of flags.quick ? SMALL : LARGE) limit.push('--set', set);
    const trained = await run(['train', '--data', data, '--out', model, '--overwrite', ...limit]);
    // The pace of the last interval between validations, in which nothing is compiled.
    // Validations are left out where they would take most of the time.
    const metrics = join(model, 'metrics.jsonl');
    const last = existsSync(metrics) ? readFileSync(metrics, 'utf8').trimEnd().split('\n').at(-1) : '{}';
    const { tokensPerSecond = 0 } = JSON.parse(last);
    results.push({
      rows,
      megabytes: statSync(log).size / 1e6,
      prepareSeconds: prepared.seconds,
      prepareMegabytes: prepared.peak,
      duckdbSeconds: alone.seconds,
      duckdbMegabytes: alone.peak,
      trainSeconds: trained.seconds,
      trainMegabytes: trained.peak,
      steps: trained.result.step,
      tokens: trained.result.tokens,
      tokensPerSecond,
      // There is no pace where the time ends with the first step.
      stepMilliseconds: tokensPerSecond && (1000 * trained.result.tokens) / trained.result.step / tokensPerSecond,
      over: trained.seconds / (60 * minutes) - 1,
    });
  }
} finally {
  if (flags.dir === undefined) rmSync(dir, { recursive: true, force: true });
}
if (flags.json) process.stdout.write(`${JSON.stringify({ items, minutes, results })}\n`);
else {
  const n = (x) => Math.round(x).toLocaleString('en-US');
  process.stdout.write(
    '| rows | CSV | prepared in | peak | DuckDB alone | peak | trained for | peak | steps | tokens a second | a step | over the limit |\n|---|---|---|---|---|---|---|---|---|---|---|---|\n',
  );
  for (const r of results) {
    process.stdout.write(
      `| ${n(r.rows)} | ${n(r.megabytes)} MB | ${r.prepareSeconds.toFixed(1)} s | ${n(r.prepareMegabytes)} MB | ${r.duckdbSeconds.toFixed(1)} s | ${n(r.duckdbMegabytes)} MB | ${n(r.trainSeconds)} s | ${n(r.trainMegabytes)} MB | ${n(r.steps)} | ${n(r.tokensPerSecond)} | ${n(r.stepMilliseconds)} ms | ${(100 * r.over).toFixed(1)} % |\n`,
    );
  }
  const plot = plotOf(results);
  if (plot) process.stdout.write(`\nGrowth from the first size, as powers of two\n${plot}\n`);
}
