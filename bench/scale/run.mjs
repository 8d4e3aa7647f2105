#!/usr/bin/env node
/**
 * How preparing and training grow with the log:
 *
 *   npm run bench:scale -- [--rows 1e6,2e7] [--items 200000] [--minutes 3] [--dir DIR] [--quick] [--json]
 *
 * Makes a synthetic log of each size (log.mjs), prepares it and trains on the dataset for some minutes, each in a process
 * of its own: seconds, the process's peak memory, tokens a second, how far the time limit was missed. The log and the
 * dataset stay in --dir, if it is given, and are made once.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
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
const sizes = (flags.rows ?? (flags.quick ? '4000' : '1e6,2e7')).split(',').map(Number);
const items = Number(flags.items ?? (flags.quick ? 200 : 200_000));
const minutes = Number(flags.minutes ?? (flags.quick ? 0.1 : 3));
if (![...sizes, items].every((n) => Number.isInteger(n) && n > 0) || !(minutes > 0)) {
  process.stderr.write('bench:scale: expected --rows N,N --items N --minutes M, all above 0\n');
  process.exit(2);
}
/** Rows of a user, on average. */
const HISTORY = 40;
const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const child = fileURLToPath(new URL('child.mjs', import.meta.url));
const dir = flags.dir ?? mkdtempSync(join(tmpdir(), 'attune-scale-'));
mkdirSync(dir, { recursive: true });

/** Runs the command; its peak memory in MB, its seconds, its JSON. */
function run(args) {
  const started = performance.now();
  const process_ = spawn(process.execPath, ['--import', child, main, ...args, '--json'], {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  let [out, err, peak] = ['', '', 0];
  process_.stdout.on('data', (text) => (out += text));
  process_.stderr.on('data', (text) => (err += text));
  process_.on('message', (kilobytes) => (peak = kilobytes));
  return new Promise((resolve, reject) => {
    process_.on('close', (code) => {
      if (code !== 0) reject(new Error(`attune ${args.join(' ')}: ${code} ${err}`));
      else resolve({ seconds: (performance.now() - started) / 1000, peak: peak / 1000, result: JSON.parse(out) });
    });
  });
}

const results = [];
try {
  for (const rows of sizes) {
    const log = join(dir, `${rows}.csv`);
    if (!existsSync(log)) writeLog(log, { rows, users: Math.ceil(rows / HISTORY), items });
    const [data, model] = [join(dir, `${rows}.dataset`), join(dir, `${rows}.model`)];
    const prepared = await run(['prepare', '--data', log, '--out', data, '--overwrite']);
    const limit = ['--max-minutes', `${minutes}`, '--device', flags.device];
    const trained = await run(['train', '--data', data, '--out', model, '--overwrite', ...limit]);
    // The pace of the last interval between validations, in which nothing is compiled.
    const pace = readFileSync(join(model, 'metrics.jsonl'), 'utf8').trimEnd().split('\n').at(-1);
    results.push({
      rows,
      megabytes: statSync(log).size / 1e6,
      prepareSeconds: prepared.seconds,
      prepareMegabytes: prepared.peak,
      trainSeconds: trained.seconds,
      trainMegabytes: trained.peak,
      steps: trained.result.step,
      tokens: trained.result.tokens,
      tokensPerSecond: JSON.parse(pace).tokensPerSecond,
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
    '| rows | CSV | prepared in | peak | trained for | peak | steps | tokens a second | over the limit |\n|---|---|---|---|---|---|---|---|---|\n',
  );
  for (const r of results) {
    process.stdout.write(
      `| ${n(r.rows)} | ${n(r.megabytes)} MB | ${r.prepareSeconds.toFixed(1)} s | ${n(r.prepareMegabytes)} MB | ${n(r.trainSeconds)} s | ${n(r.trainMegabytes)} MB | ${n(r.steps)} | ${n(r.tokensPerSecond)} | ${(100 * r.over).toFixed(1)} % |\n`,
    );
  }
}
