/**
 * How the training step and top-k grow with the catalog, and the step with the length of the histories. Run it by
 *
 *   node dist/bench/catalog.js step 1e4,1e6 [dense|adagrad|codes]
 *   node dist/bench/catalog.js history 512,2048,8192 [transformer,recurrent]
 *   node dist/bench/catalog.js topk 1e6,1e7 [int8]
 *
 * `step`: milliseconds of a step as `attune train` chooses it (batches of 4,096 tokens, 1,024 negatives, a moving average
 * of the weights), of a catalog of each size, one after the other in turns; with `dense` by a gradient of the whole
 * table, with `adagrad` by row-wise Adagrad where the table is trained by row, with `codes` of items=codes.
 * `history`: the same for histories of each length, 8,192 tokens of them a step, of 1,000 items with a softmax over all,
 * by each kind of block (default: transformer).
 * `topk`: the best 100 items of 4 users by vectors of width 64, and the user's time. Memory is that of the device. With `int8`
 * by a table of width 32 in int8, and the first user's items are compared with those that the host finds among all.
 */
import { prepare } from '../data/dataset.ts';
import { seeded } from '../data/random.ts';
import { type Split, splitDataset } from '../data/splits/split.ts';
import { Device, normal, type PackedRows, sizeOf } from '../engine/index.ts';
import { SequenceModel } from '../model/encoders/sequence-model.ts';
import { Scorer } from '../model/inference/scorer.ts';
import { touchedRows } from '../model/recipes/derived.ts';
import { settingsFor } from '../model/recipes/recipes.ts';
import type { Settings } from '../model/recipes/settings.ts';
import { logOf } from '../train/events.ts';
import { firstStep, type MadeStep, makeStep } from './step.ts';

/** As the choice for a large catalog (model/recipes/defaults.ts). */
const SETTINGS = { loss: 'sampled-softmax', negatives: '1024', window: '50', ema: '0.998', learningRate: '0.002' };
const EVENTS = 50;
/** Of a step with long histories, and their catalog. */
const TOKENS = 8192;
const LONG_ITEMS = 1_000;
/** Rows that come back have been idle for some 25 steps then; long histories have none that do, and slow steps. */
const BY_ROW = { warmUp: 40, timed: 10 };
const LONG = { warmUp: 1, timed: 3 };

const mib = (bytes: number): string => `${Math.round(bytes / 2 ** 20).toLocaleString('en-US')} MiB`;
const median = (values: number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1];

/** Users whose next item is near the last one or popular, until every item occurred. */
function logOfCatalog(items: number): Split {
  const random = seeded(1, items);
  const users = Math.max(2_000, Math.ceil((1.2 * items) / EVENTS));
  const events = Array.from({ length: users * EVENTS }, (_, i) => {
    const far = random.chance(0.4) ? Math.floor(items * random.next() ** 2.2) : (i * 7) % items;
    return { user: `u${Math.floor(i / EVENTS)}`, item: `i${i < items ? i : far}`, time: i };
  });
  return splitDataset(prepare(logOf(events, 'log'), { minInteractions: 1 }));
}

interface Case {
  name: string;
  settings: Settings;
  split: Split;
  rows?: number;
}

/** Cases are made one by one: logs are large. */
function* catalogs(sizes: readonly number[], by: string | undefined): Generator<Case> {
  const adamw = settingsFor('sasrec', SETTINGS);
  const adagrad = settingsFor('sasrec', { ...SETTINGS, tableOptimizer: 'adagrad' });
  const codes = settingsFor('sasrec', { ...SETTINGS, items: 'codes' });
  for (const size of sizes) {
    const split = logOfCatalog(size);
    const rows = by === 'dense' ? undefined : touchedRows(by === 'codes' ? codes : adamw, split.items);
    const settings = by === 'codes' ? codes : by === 'adagrad' && rows !== undefined ? adagrad : adamw;
    const how =
      rows === undefined
        ? by === 'codes'
          ? 'all rows'
          : 'a dense gradient'
        : `at most ${rows.toLocaleString('en-US')} rows`;
    yield { name: `${split.items.toLocaleString('en-US')} items, ${how}`, settings, split, rows };
  }
}

/** Few users with long histories; all of them hold as many events. */
function* histories(lengths: readonly number[], blocks = 'transformer'): Generator<Case> {
  const random = seeded(1, TOKENS);
  for (const length of lengths) {
    // The last two events are held out; a history is its items but the last, and their targets.
    const own = length + 3;
    const events = Array.from({ length: own * Math.max(2, Math.ceil(TOKENS / length)) }, (_, i) => {
      const far = random.chance(0.4) ? Math.floor(LONG_ITEMS * random.next() ** 2.2) : (i * 7) % LONG_ITEMS;
      return { user: `u${Math.floor(i / own)}`, item: `i${far}`, time: i };
    });
    const split = splitDataset(prepare(logOf(events, 'log'), { minInteractions: 1 }));
    for (const block of blocks.split(',')) {
      const settings = settingsFor('sasrec', { block, window: `${length}`, budget: `${TOKENS}` });
      yield { name: `histories of ${length.toLocaleString('en-US')}, ${block}`, settings, split };
    }
  }
}

async function steps(device: Device, cases: Iterable<Case>, { warmUp, timed }: typeof BY_ROW): Promise<void> {
  const made: { name: string; bytes: number; times: number[]; step: MadeStep }[] = [];
  for (const { name, settings, split, rows } of cases) {
    const before = device.stats().bytes;
    const step = await makeStep(device, settings, split, rows);
    await firstStep(device, step);
    console.log(`  ${name}: ready`);
    made.push({ name, bytes: device.stats().bytes - before, times: [], step });
  }
  for (let i = 0; i < warmUp + timed; i++) {
    for (const { step, times } of made) {
      const started = performance.now();
      step.stage();
      step.program.run();
      await step.program.pace();
      await step.program.settle();
      if (i >= warmUp) times.push(performance.now() - started);
    }
  }
  for (const { name, bytes, times, step } of made) {
    const ms = median(times);
    const share = (ms / median(made[0].times)).toFixed(2);
    console.log(
      `${name}: a step ${ms.toFixed(0)} ms (${share} times the first; ${Math.min(...times).toFixed(0)} to ${Math.max(...times).toFixed(0)}), ${mib(bytes)}`,
    );
    step.dispose();
  }
}

/** Rows of random bytes; those of one row have one scale. */
function randomRows(items: number, width: number): PackedRows {
  const { next } = seeded(1, items);
  const words = Uint32Array.from({ length: (items * width) / 4 }, () => next() * 2 ** 32);
  const scales = Float32Array.from({ length: items }, () => (0.5 + next()) / 1000);
  return { format: 'int8', width, words, scales };
}

/** The k largest scores of all rows of int8, in f64, falling. */
function largest({ width, words, scales }: PackedRows, vector: Float32Array, k: number): number[] {
  const bytes = new Int8Array(words.buffer);
  let best: number[] = [];
  for (const [row, scale] of scales.entries()) {
    let sum = 0;
    for (let c = 0; c < width; c++) sum += bytes[row * width + c] * vector[c];
    sum *= scale;
    if (best.length < k || sum > best[k - 1]) best = [...best, sum].sort((a, b) => b - a).slice(0, k);
  }
  return best;
}

async function topk(device: Device, sizes: readonly number[], how: string | undefined): Promise<void> {
  const light = how === 'int8';
  const settings = settingsFor('sasrec', { window: '50', ...(light ? { d: '32' } : {}) });
  for (const items of sizes) {
    const packed = light ? randomRows(items, settings.d) : undefined;
    const model = SequenceModel.create(device, settings, items, null, { packed });
    const draw = (size: number, stream: number): Float32Array => normal(size, 1, stream, 0.02);
    const { parameters } = model;
    const values = parameters.names.map((name, i) => [name, draw(sizeOf(parameters.shapeOf(name)), i)] as const);
    parameters.load('params', new Map(values));
    const scorer = new Scorer(model, { k: 100, userVectors: light });
    const queries = Array.from({ length: 4 }, (_, u) => ({
      history: Uint32Array.of(u, (u * 7919) % items, items - 1 - u),
    }));
    const times: number[] = [];
    for (let i = 0; i < 5; i++) {
      const started = performance.now();
      await scorer.score(queries);
      times.push(performance.now() - started);
    }
    console.log(
      `${items.toLocaleString('en-US')} items: the best 100 of 4 users ${median(times.slice(1)).toFixed(0)} ms, first ${times[0].toFixed(0)} ms; ${mib(device.stats().bytes)}, at most ${mib(device.stats().peakBytes)}`,
    );
    if (packed) {
      const [{ items: found, scores, userVector = new Float32Array(0) }] = await scorer.score(queries.slice(0, 1));
      const exact = largest(packed, userVector, 100);
      const off = exact.reduce((most, x, i) => Math.max(most, Math.abs(x - scores[i])), 0);
      if (!(off < 1e-5 * exact[0]) || new Set(found).size !== 100)
        throw new Error(`the best 100 of ${items} items: scores are off by ${off}`);
      console.log(
        `the scores of the best 100 of the first user are those of the host to ${off.toExponential(0)} of ${exact[0].toFixed(3)}`,
      );
    }
    scorer.dispose();
    model.dispose();
    device.gpu?.buffers.trim();
  }
}

async function main(): Promise<void> {
  const [what, list = '', how] = process.argv.slice(2);
  const sizes = list.split(',').map(Number);
  const runs: Readonly<Record<string, (device: Device) => Promise<void>>> = {
    step: (device) => steps(device, catalogs(sizes, how), BY_ROW),
    history: (device) => steps(device, histories(sizes, how), LONG),
    topk: (device) => topk(device, sizes, how),
  };
  if (!Object.hasOwn(runs, what) || !sizes.every((n) => Number.isInteger(n) && n >= 100 && n <= 1e8))
    throw new Error(`expected ${Object.keys(runs).join(', ')}, and sizes from 100 on, such as 1e4,1e6`);
  const device = await Device.open({ backend: 'webgpu' });
  console.log(`${device.name}; largest binding ${mib(device.maxBindingBytes)}`);
  await runs[what](device);
  device.check();
  device.close();
}

await main();
