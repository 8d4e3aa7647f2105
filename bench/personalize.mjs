#!/usr/bin/env node
/**
 * What `recommender.personalize` gains on users whom the model never saw:
 *
 *   node bench/personalize.mjs --data ml-100k.inter --models DIR [--folds 5] [--minutes 3] [--long 60] [--split test]
 *       [--steps N --rate R --recency X] [--json]
 *
 * Users are dealt to folds; each fold's model trains on the other folds' users (into DIR/foldN, and is taken from there
 * when it is there already). For each held-out user with at least `long` events before the target, the library is asked
 * for the ten best items after the history, as it is and adapted to that very history: NDCG@10 of the target, for the
 * model as it stands and for its transformer alone (the same folder without the blend), with bootstrap intervals over
 * users. `--split valid` is what settings are chosen on. Needs dist/.
 */
import { spawnSync } from 'node:child_process';
import { createReadStream, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createProgress } from '../dist/cli/output/ui.js';
import { prepare } from '../dist/data/dataset.js';
import { readLog } from '../dist/data/formats/reader.js';
import { Device } from '../dist/engine/index.js';
import { MemoryFiles } from '../dist/model/storage/files.js';
import { Snapshot } from '../dist/model/storage/manifest.js';
import { PERSONALIZE } from '../dist/model/inference/personalize.js';
import { NodeFiles, Recommender } from '../dist/recommend/node.js';
import { bootstrap, paired } from '../dist/train/evaluation/statistics.js';

const { values: flags } = parseArgs({
  options: {
    data: { type: 'string' },
    models: { type: 'string' },
    folds: { type: 'string', default: '5' },
    minutes: { type: 'string', default: '3' },
    long: { type: 'string', default: '60' },
    split: { type: 'string', default: 'test' },
    steps: { type: 'string', default: String(PERSONALIZE.steps) },
    rate: { type: 'string', default: String(PERSONALIZE.learningRate) },
    recency: { type: 'string', default: String(PERSONALIZE.recency) },
    json: { type: 'boolean' },
  },
});
if (!flags.data || !flags.models || !['valid', 'test'].includes(flags.split)) {
  process.stderr.write('usage: node bench/personalize.mjs --data PATH --models DIR (see the head of the file)\n');
  process.exit(2);
}
const count = Number(flags.folds);
const options = { steps: Number(flags.steps), learningRate: Number(flags.rate), recency: Number(flags.recency) };

const itemsOf = (u) =>
  Array.from(dataset.items.subarray(dataset.offsets[u], dataset.offsets[u + 1]), (row) => dataset.itemIds[row]);
/** Users, by ID, with the IDs of their items, oldest first. */
const dataset = prepare(await readLog(createReadStream(flags.data), flags.data), { minInteractions: 1 });
const histories = dataset.userIds
  .map((id, u) => ({ id, items: itemsOf(u) }))
  .sort((a, b) => new Intl.Collator('en', { numeric: true }).compare(a.id, b.id));
const foldOf = (i) => (Math.imul(i + 1, 2654435761) >>> 8) % count;

mkdirSync(flags.models, { recursive: true });
const results = [];
const device = await Device.open({ backend: 'webgpu' });
for (let fold = 0; fold < count; fold++) {
  const folder = path.join(flags.models, `fold${fold}`);
  if (!existsSync(path.join(folder, 'config.json'))) train(folder, fold);
  const files = await NodeFiles.open(folder);
  const held = histories.filter((_, i) => foldOf(i) === fold);
  const bar = createProgress({ total: held.length });
  const models = { blend: await Recommender.load(files, { device }) };
  const blended = models.blend.loaded.remembering !== null;
  if (blended) models.transformer = await Recommender.load(await withoutBlend(files), { device });
  else models.transformer = models.blend;
  const known = new Set(models.blend.items.map(({ id }) => id));
  for (const [n, { id, items }] of held.entries()) {
    bar.update(n, { phase: `fold ${fold + 1} of ${count}` });
    const events = items.filter((item) => known.has(item));
    const at = events.length - (flags.split === 'test' ? 1 : 2);
    if (at < Number(flags.long)) continue;
    const [history, target] = [events.slice(0, at), events[at]];
    const row = { user: id, events: at };
    for (const [name, recommender] of Object.entries(models)) {
      if (name === 'blend' && !blended) continue;
      recommender.forget();
      row[name] = gain(await recommender.recommend({ history }), target);
      const started = performance.now();
      await recommender.personalize(history, options);
      row[`${name} ms`] = performance.now() - started;
      row[`${name} adapted`] = gain(await recommender.recommend({ history }), target);
    }
    results.push(row);
  }
  bar.stop();
  for (const recommender of new Set(Object.values(models))) recommender.close();
}
const report = { device: device.name, split: flags.split, long: Number(flags.long), ...options, users: results.length };
device.close();
for (const name of ['blend', 'transformer']) {
  const rows = results.filter((row) => row[name] !== undefined);
  if (rows.length === 0) continue;
  const [as, adapted] = [name, `${name} adapted`].map((key) => rows.map((row) => row[key]));
  const ms = rows.map((row) => row[`${name} ms`]).sort((a, b) => a - b);
  report[name] = {
    asItIs: bootstrap(as, 1),
    adapted: bootstrap(adapted, 1),
    difference: paired(adapted, as, 1),
    medianMs: ms[ms.length >> 1],
  };
}
if (flags.json) process.stdout.write(`${JSON.stringify(report)}\n`);
else {
  process.stdout.write(
    `${report.users} held-out users with at least ${report.long} events, ${flags.split} target, seen items excluded; ${options.steps} steps at ${options.learningRate}, recency ${options.recency}; ${report.device}\n`,
  );
  const text = ({ mean, low, high }) => `${mean.toFixed(4)} (${low.toFixed(4)} to ${high.toFixed(4)})`;
  for (const name of ['blend', 'transformer']) {
    if (!report[name]) continue;
    const { asItIs, adapted, difference, medianMs } = report[name];
    process.stdout.write(
      `${name === 'blend' ? 'with the transitions' : 'transformer alone'}: NDCG@10 ${text(asItIs)}, adapted ${text(adapted)}; difference ${text(difference)}, p ${difference.p.toFixed(4)}; ${medianMs.toFixed(0)} ms to adapt\n`,
    );
  }
}

/** DCG of the one relevant item among the ten: 1 / log2(1 + rank), 0 beyond. */
function gain({ items }, target) {
  const at = items.findIndex(({ id }) => id === target);
  return at < 0 ? 0 : 1 / Math.log2(2 + at);
}

/** Trains on the users of the other folds, by the command. */
function train(folder, fold) {
  const log = `${folder}.csv`;
  const rows = histories.flatMap(({ id, items }, i) =>
    foldOf(i) === fold ? [] : items.map((item, t) => `${JSON.stringify(id)},${JSON.stringify(item)},${t}`),
  );
  writeFileSync(log, `user,item,timestamp\n${rows.join('\n')}\n`);
  const command = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
  const args = [command, 'train', '--data', log, '--out', folder, '--max-minutes', flags.minutes];
  const { status } = spawnSync(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  if (status !== 0) process.exit(status ?? 3);
}

/** The same folder, its transformer scoring alone. */
async function withoutBlend(files) {
  const snapshot = await Snapshot.open(files);
  const copy = new MemoryFiles(files.where);
  for (const name of ['config.json', 'items.json', 'model.safetensors']) {
    const bytes = await snapshot.read(name);
    if (name !== 'config.json') await copy.write(name, bytes);
    else {
      const { blend: _, ...config } = JSON.parse(new TextDecoder().decode(bytes));
      await copy.write(name, JSON.stringify(config));
    }
  }
  return copy;
}
