/**
 * The sequences of sasrec-step: of 512 users the last 201 training events each, as SASRec's batches are commonly made.
 * From MovieLens 1M where ATTUNE_DATA names a folder with it, else made up with as many items and lengths alike.
 */
import { createReadStream, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { prepare } from '../../dist/data/dataset.js';
import { splitDataset } from '../../dist/data/splits/split.js';
import { readLog } from '../../dist/data/formats/reader.js';
import { Device } from '../../dist/engine/index.js';
import { settingsFor } from '../../dist/model/recipes/recipes.js';
import { parametersOf } from '../../dist/model/encoders/network.js';
import { makeInput, sample } from './data.mjs';
import { makeSasrec } from './peers/attune-sasrec.mjs';

const USERS = 512;
const ITEMS = 3416;
const SEED = 1;
/** Real tokens that are timed: a full batch of the recipe. */
export const STEP_TOKENS = 4096;
const CHECK_STEPS = 3;

/** Histories of MovieLens 1M, 5-core, without each user's last two events. */
async function realHistories(path) {
  const split = splitDataset(prepare(await readLog(createReadStream(path), path), { minInteractions: 5 }));
  const histories = Array.from({ length: split.users }, (_, u) => [...split.history(u, 'train')]);
  return { items: split.items, histories };
}

/** Log-normal lengths of median 94 and mean 163, at least 18, as there; items by Zipf's law. */
function syntheticHistories() {
  const users = 6040;
  const u = makeInput({ shape: [users * 2], seed: 11, offset: 0.5 });
  const histories = Array.from({ length: users }, (_, i) => {
    const normal = Math.sqrt(-2 * Math.log(1 - u[2 * i] + 1e-9)) * Math.cos(2 * Math.PI * u[2 * i + 1]);
    const length = Math.min(2300, Math.max(18, Math.round(94 * Math.exp(1.04 * normal))));
    const draws = makeInput({ shape: [length], seed: 100 + i, offset: 0.5 });
    return Array.from(draws, (x) => Math.min(ITEMS - 1, Math.floor(ITEMS ** x) - 1));
  });
  return { items: ITEMS, histories };
}

/**
 * Writes the pool to a temporary folder, removed when the process ends.
 * @param {Record<string, string>} given settings other than the recipe's
 */
export async function sasrecPool(users = USERS, given = {}) {
  const path = process.env.ATTUNE_DATA && join(process.env.ATTUNE_DATA, 'ml-1m/ratings.csv');
  const real = path && existsSync(path);
  const { items, histories } = real ? await realHistories(path) : syntheticHistories();
  const settings = settingsFor('sasrec', given);
  const { window } = settings;
  const sequences = sample(histories.length, users).map((u) => histories[u].slice(-window - 1));
  const check = sequences.filter((s) => s.length > 20 && s.length < 60).slice(0, 5);

  const folder = mkdtempSync(join(tmpdir(), 'attune-peers-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const specs = parametersOf(settings, items).specs(SEED);
  const weights = join(folder, 'weights.f32');
  writeFileSync(weights, Buffer.concat(specs.map(({ init }) => Buffer.from(Float32Array.from(init).buffer))));
  const parameters = specs.map(({ name, shape, decay }) => ({ name, shape, decay }));
  const file = join(folder, 'pool.json');
  const pool = { items, seed: SEED, settings, sequences, check, weights: { file: weights, parameters } };
  writeFileSync(file, JSON.stringify(pool));

  const tokens = sequences.reduce((sum, s) => sum + s.length - 1, 0);
  const about = `${real ? 'MovieLens 1M' : 'made-up sequences (ATTUNE_DATA names no ml-1m)'}: ${tokens} tokens of ${users} users, ${items} items`;
  return { file, items, settings, sequences, tokens, about };
}

/**
 * @returns {Promise<{ spec: object, check: object, expected: object, about: string }>} the timed case, the small one
 *   whose first losses are compared, and those losses by Attune's CPU device (double arithmetic)
 */
export async function sasrecCase() {
  const { file, items, settings, sequences, tokens, about } = await sasrecPool();
  const { d, ff, blocks } = settings;
  const pairs = sequences.reduce((sum, s) => sum + ((s.length - 1) * s.length) / 2, 0);
  const perToken = 6 * blocks * (4 * d * d + 2 * d * ff) + 6 * d * items;
  const attention = 3.5 * 4 * d * blocks * (pairs / tokens);
  const common = { name: 'sasrec-step', kind: 'sasrec', file, inputs: {} };
  const small = { ...common, checkSteps: CHECK_STEPS };
  return {
    spec: { ...common, tokens, flop: STEP_TOKENS * (perToken + attention) },
    check: small,
    expected: await cpuLosses(small),
    about,
  };
}

async function cpuLosses(spec) {
  const device = await Device.open({ backend: 'cpu' });
  const { losses } = await makeSasrec(device, spec).outputs();
  return { losses: { indices: [...losses.keys()], expected: [...losses] } };
}
