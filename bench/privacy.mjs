#!/usr/bin/env node
/**
 * What differential privacy costs, and what it prevents: trains without and with it, evaluates both on the whole log, and
 * has membership inferred where half of the users were trained on.
 *
 *   npm run bench:privacy -- LOG [--out DIR] [--epsilon 8,4,2] [--set key=value …] [--dp clip=1,steps=100] [--epochs 30]
 *
 * LOG is a text file with a header, whose first column is the user. Trainings without privacy take --epochs and, beside the
 * default settings, those of the private ones. Noise is seeded, so that a run can be repeated.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const main = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    out: { type: 'string', default: 'bench-privacy' },
    epsilon: { type: 'string', default: '8,4,2' },
    set: { type: 'string', multiple: true, default: [] },
    dp: { type: 'string', default: '' },
    epochs: { type: 'string', default: '30' },
  },
});
const [log] = positionals;
if (log === undefined) {
  console.error(
    'usage: npm run bench:privacy -- LOG [--out DIR] [--epsilon 8,4,2] [--set key=value] [--dp key=value,…] [--epochs N]',
  );
  process.exit(2);
}

/** Every other user, in the order of the file, is an outsider. */
function halves() {
  const [header, ...rows] = readFileSync(log, 'utf8').trimEnd().split(/\r?\n/);
  const separator = header.includes('\t') ? '\t' : ',';
  const numbers = new Map();
  const files = ['members', 'outsiders'].map((name) => join(values.out, `${name}${extname(log)}`));
  const parts = [[], []];
  for (const row of rows) {
    const user = row.split(separator, 1)[0];
    if (!numbers.has(user)) numbers.set(user, numbers.size);
    parts[numbers.get(user) % 2].push(row);
  }
  for (const [i, file] of files.entries()) writeFileSync(file, `${[header, ...parts[i]].join('\n')}\n`);
  return files;
}

function attune(...args) {
  const { status, stdout } = spawnSync(process.execPath, [main, ...args, '--json'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    maxBuffer: 2 ** 28,
  });
  if (status !== 0) throw new Error(`attune ${args.join(' ')} failed`);
  return JSON.parse(stdout);
}

mkdirSync(values.out, { recursive: true });
const [members, outsiders] = halves();
const set = values.set.flatMap((pair) => ['--set', pair]);
const more = values.dp === '' ? '' : `,${values.dp}`;
const plain = ['--set', 'memory=off', '--recipe', 'sasrec', '--epochs', values.epochs];
const SUITED = ['d=16', 'ff=32', 'blocks=1', 'window=50', 'dropout=0', 'learningRate=0.01'];
const kinds = [
  ['plain', plain],
  ['plain, the private settings', [...plain, ...SUITED.flatMap((pair) => ['--set', pair]), ...set]],
  ...values.epsilon
    .split(',')
    .map((epsilon) => [`ε ${epsilon}`, ['--dp', `epsilon=${epsilon},noiseSeed=1${more}`, ...set]]),
];
console.log('| | NDCG@10 | HR@10 | membership: advantage (by chance) | AUC |\n|---|---|---|---|---|');
for (const [i, [name, how]] of kinds.entries()) {
  const [whole, half] = [join(values.out, `whole-${i}`), join(values.out, `half-${i}`)];
  attune('train', '--data', log, '--out', whole, '--overwrite', ...how);
  const { metrics, intervals } = attune('evaluate', '--model', whole, '--data', log, '--no-baselines');
  attune('train', '--data', members, '--out', half, '--overwrite', ...how);
  const { membership: m } = attune('evaluate', '--model', half, '--data', members, '--membership', outsiders);
  const cell = (metric) => `${metrics[metric].toFixed(4)} (${intervals[metric].map((x) => x.toFixed(4)).join(' to ')})`;
  console.log(
    `| ${name} | ${cell('NDCG@10')} | ${cell('HR@10')} | ${m.advantage.toFixed(3)} (${m.chance.toFixed(3)}) | ${m.auc.toFixed(3)} (${m.low.toFixed(3)} to ${m.high.toFixed(3)}) |`,
  );
}
