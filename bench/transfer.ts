/**
 * A training that starts from another model beside one from nothing: the same log, the same steps, the same test users, a
 * share of the users to learn from.
 *
 *   node dist/bench/transfer.js titles --init MODEL --data FOLDER   MovieLens 100K from a model of MovieLens 1M, by titles
 *   node dist/bench/transfer.js halves --data FOLDER                half of MovieLens 100K's movies from the other half,
 *                                                                   of other users, by attributes
 *
 * FOLDER holds ml-100k.inter and ml-100k.item. --sizes 1,5,20,100 (percent of users), --steps 60,120,120,240 (for each
 * size), --rows map,frozen,encoder (beside the training from nothing: all weights trained from the start, the item table
 * alone for a quarter of the epochs, and an encoder without rows of items), --rate 0.0005 (learning rate of those rows),
 * --epochs 15 (of the first half), --seed 1. Users beyond the share are tested on, and train nothing. The item catalog is
 * that of the whole log.
 */
import { createReadStream } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { type ItemInfo, readItems } from '../data/formats/catalog.ts';
import { readLog } from '../data/formats/reader.ts';
import type { Log } from '../data/log.ts';
import { emptyBounds } from '../data/splits/bounds.ts';
import { Split } from '../data/splits/split.ts';
import { Device, permutation } from '../engine/index.ts';
import { RankingModel } from '../model/inference/ranking-model.ts';
import { type Files, MemoryFiles } from '../model/storage/files.ts';
import { loadModel } from '../model/storage/load-model.ts';
import { NodeFiles } from '../recommend/sources/files.node.ts';
import type { PerUser } from '../train/evaluation/collector.ts';
import { evaluate } from '../train/evaluation/evaluate.ts';
import { paired } from '../train/evaluation/statistics.ts';
import { planTraining, planTransfer, type RankingPlan, runPlan, type TrainingSource } from '../train/index.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    data: { type: 'string' },
    init: { type: 'string' },
    sizes: { type: 'string', default: '1,5,20,100' },
    steps: { type: 'string', default: '60,120,120,240' },
    rows: { type: 'string', default: 'map,frozen,encoder' },
    rate: { type: 'string' },
    epochs: { type: 'string', default: '15' },
    seed: { type: 'string', default: '1' },
  },
});
const [mode] = positionals;
const { data, init } = values;
if (!data || (mode !== 'titles' && mode !== 'halves') || (mode === 'titles' && !init)) {
  console.error('usage: node dist/bench/transfer.js titles --init MODEL --data FOLDER | halves --data FOLDER');
  process.exit(2);
}
const numbers = (text: string): number[] => text.split(',').map(Number);
const seed = Number(values.seed);
const device = await Device.open({ backend: 'auto' });

/** MovieLens 100K with titles as MovieLens 1M writes them. */
async function readMovies(folder: string): Promise<{ log: Log; items: Map<string, ItemInfo> }> {
  const at = (name: string): string => path.join(folder, name);
  const log = await readLog(createReadStream(at('ml-100k.inter')), 'ml-100k');
  const raw = await readItems(createReadStream(at('ml-100k.item')), 'ml-100k.item');
  const items = Array.from(raw, ([id, { title, attributes }]): [string, ItemInfo] => {
    const { release_year: year = '', class: genres = '' } = attributes;
    return [id, { title: `${title} (${year})`, attributes: { genres: genres.replaceAll(' ', '|') } }];
  });
  return { log, items: new Map(items) };
}

/** The rows of a log that are kept. */
function rowsWhere(log: Log, keep: (user: number, item: number) => boolean): Log {
  const rows = Array.from({ length: log.size }, (_, row) => row).filter((row) => keep(log.user[row], log.item[row]));
  return {
    ...log,
    user: Uint32Array.from(rows, (row) => log.user[row]),
    item: Uint32Array.from(rows, (row) => log.item[row]),
    rating: log.rating && Float64Array.from(rows, (row) => log.rating?.[row] ?? Number.NaN),
    time: log.time && Float64Array.from(rows, (row) => log.time?.[row] ?? Number.NaN),
    size: rows.length,
  };
}

/** The plan with a share of the users alone to train and to validate on; all of them are tested on. */
function onShare(plan: RankingPlan, percent: number, steps: number): RankingPlan {
  const { split, settings } = plan;
  const users = permutation(split.users, seed, 99);
  const mine = new Set(users.slice(0, Math.max(1, Math.round((split.users * percent) / 100))));
  const bounds = emptyBounds(split.users);
  for (let u = 0; u < split.users; u++) {
    [bounds.testFrom[u], bounds.testTo[u]] = split.targetRange(u, 'test');
    if (!mine.has(u)) continue;
    bounds.train[u] = split.trainLength(u);
    [bounds.validFrom[u], bounds.validTo[u]] = split.targetRange(u, 'valid');
  }
  const own = new Split(split.dataset, split.protocol, bounds);
  const anEpoch = Math.ceil(own.trainPositions() / settings.budget);
  const more = { validateSteps: Math.max(5, Math.min(50, Math.round(steps / 8))), patience: 1_000_000 };
  return plan.with({ split: own, settings: { ...settings, ...more }, epochs: Math.ceil(steps / anEpoch) });
}

interface Trained {
  whole: PerUser;
  alone: PerUser;
  steps: number;
  best: number | null;
  /** On the validation users, before the first step; null without another model's weights. */
  start: number | null;
  cpu: number;
  files: Files;
}

async function trained(plan: RankingPlan): Promise<Trained> {
  const before = process.cpuUsage();
  const files = new MemoryFiles(mode);
  // The same for every row, and half of the time of the short trainings.
  Object.defineProperty(plan, 'baselines', { value: () => [].values() });
  const { result } = await runPlan(plan, { device, files });
  const { user, system } = process.cpuUsage(before);
  const loaded = await loadModel(files);
  const model = await RankingModel.load(device, loaded);
  try {
    const of = async (blend: typeof model.blend): Promise<PerUser> =>
      (await evaluate(model.encoder, plan.split, { split: 'test', blend, components: false })).perUser;
    const [whole, alone] = [await of(model.blend), await of(null)];
    const [first] = result.validations;
    const start = first?.step === 0 ? first.metrics['NDCG@10'] : null;
    return { whole, alone, start, steps: result.step, best: result.bestStep, cpu: (user + system) / 1e6, files };
  } finally {
    model.dispose();
  }
}

const digits = (x: number): string => x.toFixed(4).replace('0.', '.');
const mean = (of: Float64Array): number => of.reduce((sum, x) => sum + x, 0) / of.length;

/** One row of the table, beside the training from nothing. */
function report(size: number, name: string, own: Trained, nothing: Trained): void {
  const against = (of: 'whole' | 'alone'): string => {
    if (own === nothing) return '';
    const { mean, low, high, p } = paired(own[of]['NDCG@10'], nothing[of]['NDCG@10'], seed);
    return ` ${mean < 0 ? '' : '+'}${digits(mean)} (${digits(low)} to ${digits(high)}), p ${p.toFixed(3)}`;
  };
  const cell = (of: 'whole' | 'alone'): string => `${digits(mean(own[of]['NDCG@10']))}${against(of)}`;
  const { steps, best, start, cpu } = own;
  const at = start === null ? '' : digits(start);
  console.log(
    `| ${size} % | ${name} | ${cell('alone')} | ${cell('whole')} | ${at} | ${best} of ${steps} | ${cpu.toFixed(0)} |`,
  );
}

async function compareSizes(source: TrainingSource, from: Files, map: string): Promise<void> {
  const steps = numbers(values.steps);
  console.log('| users | start | NDCG@10 alone | with transitions | validation at step 0 | best step | CPU s |');
  console.log('|---|---|---|---|---|---|---|');
  for (const [i, size] of numbers(values.sizes).entries()) {
    const take = (plan: RankingPlan) => onShare(plan, size, steps[i] ?? steps[steps.length - 1]);
    // The encoder's shape is that of the model in all rows.
    const settingsOf = (rate: string | undefined): Record<string, string> => (rate ? { learningRate: rate } : {});
    const given = { map, seed, settings: settingsOf(values.rate) };
    const carried = take(await planTransfer(from, source, given));
    const { d, ff, blocks, heads, window } = carried.settings;
    const settings = { d: `${d}`, ff: `${ff}`, blocks: `${blocks}`, heads: `${heads}`, window: `${window}` };
    const nothing = await trained(take(planTraining(source, { settings, seed })));
    report(size, 'nothing', nothing, nothing);
    const rows = values.rows.split(',');
    if (rows.includes('map')) report(size, `--map ${map}`, await trained(carried), nothing);
    if (rows.includes('frozen')) {
      const frozenEpochs = Math.max(1, Math.round((carried.epochs ?? 1) / 4));
      const frozen = take(await planTransfer(from, source, { ...given, freezeEpochs: frozenEpochs }));
      report(size, `and frozen for ${frozenEpochs} of ${carried.epochs} epochs`, await trained(frozen), nothing);
    }
    if (carried.init && rows.includes('encoder')) {
      const V = carried.items.length;
      const findRows = async () => ({ rows: new Float32Array(V * d), mapped: new Uint8Array(V) });
      const encoder = carried.with({ init: { ...carried.init, findRows, readsTower: false } });
      report(size, 'its encoder alone, no rows', await trained(encoder), nothing);
    }
  }
}

try {
  const { log, items } = await readMovies(data);
  if (mode === 'titles') {
    await compareSizes({ log, name: 'ml-100k', items }, await NodeFiles.open(init as string), 'ids:title');
  } else {
    const half = new Uint8Array(log.itemIds.length);
    const shuffled = permutation(half.length, seed, 98);
    for (const item of shuffled.slice(0, Math.floor(half.length / 2))) half[item] = 1;
    const part = (which: number): TrainingSource => ({
      log: rowsWhere(log, (user, item) => user % 2 === which && half[item] === which),
      name: `half ${which}`,
      items,
    });
    const first = planTraining(part(0), { seed, epochs: Number(values.epochs) });
    const before = process.cpuUsage();
    const files = new MemoryFiles('half');
    const { metrics, result } = await runPlan(first, { device, files });
    const { user, system } = process.cpuUsage(before);
    console.log(
      `first half: validation NDCG@10 ${digits(metrics?.['NDCG@10'] ?? 0)}, ${result.step} steps, ${((user + system) / 1e6).toFixed(0)} CPU s`,
    );
    await compareSizes(part(1), files, 'attributes');
  }
} finally {
  device.close();
}
