/**
 * What federated rounds cost in quality, and what noise, hostile clients and the bound on rows do to them. Each user of a log
 * is a client; all run in this process, with the code that clients and the coordinator run.
 *
 *   node dist/bench/federated.js --data FILE [--epochs N] [--run KEY=VALUE,...] [--run …] [--set k=v,...] [--every N] [--seed S] [--dump FOLDER]
 *
 * --epochs trains the same encoder centrally, by AdamW. Each --run is a federation: terms (rounds, clients, steps, rate, clip,
 * noise, trim, server, serverRate), `rule` (cut, as the coordinator does; or what is not kept: drop, coordinate), and of an attack `hostile` (share of a round's clients), `attack` (profile, boost or row)
 * and `target` (an item ID; by default an item of the 20th percentile by events). Users take turns in a random order, so that
 * each takes part equally often: ε is that of so many rounds, without amplification by sampling.
 *
 * NDCG@10 and HR@10 on the test part, leave-one-out, of the encoder alone; `target` is the share of the users who have not had
 * the target and find it among their first ten. `rows` is the AUC by which the norm of an update's row tells the items of a
 * client's history from all others. --dump keeps each user's NDCG@10, so that trainings of several processes can be paired.
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { openLog } from '../cli/input/data.ts';
import { prepare } from '../data/dataset.ts';
import { seeded, shuffle } from '../data/random.ts';
import { splitDataset } from '../data/splits/split.ts';
import { Device } from '../engine/index.ts';
import { ITEM_WEIGHTS as ITEMS } from '../model/encoders/network.ts';
import { SequenceModel } from '../model/encoders/sequence-model.ts';
import type { History } from '../model/inference/query.ts';
import { settingsFor } from '../model/recipes/recipes.ts';
import { MemoryFiles } from '../model/storage/files.ts';
import { countItems } from '../train/baselines/baselines.ts';
import { evaluate } from '../train/evaluation/evaluate.ts';
import { gainOf } from '../train/evaluation/statistics.ts';
import { aggregate, clientsCut, rowWidth } from '../train/federated/aggregate.ts';
import { normOf, type RandomBytes, type WeightValues } from '../train/federated/clip.ts';
import { makeUpdate } from '../train/federated/join.ts';
import { LocalTrainer } from '../train/federated/local.ts';
import { serverStep, zerosLike } from '../train/federated/server-step.ts';
import { checkTerms, type FederationTerms } from '../train/federated/terms.ts';
import { planTraining } from '../train/plan.ts';
import { runPlan } from '../train/run-plan.ts';
import { loadModel } from '../model/storage/load-model.ts';
import { RankingModel } from '../model/inference/ranking-model.ts';

const { values: flags } = parseArgs({
  options: {
    data: { type: 'string' },
    epochs: { type: 'string' },
    run: { type: 'string', multiple: true, default: [] },
    set: { type: 'string', default: 'd=32,ff=64,blocks=1,window=64,budget=2048' },
    every: { type: 'string', default: '0' },
    seed: { type: 'string', default: '1' },
    dump: { type: 'string' },
  },
});

const print = (line: string) => process.stdout.write(`${line}\n`);
const pairsOf = (text: string): Record<string, string> =>
  Object.fromEntries(
    text
      .split(',')
      .filter(Boolean)
      .map((pair) => pair.split('=')),
  );

const seed = Number(flags.seed);
const settings = settingsFor('sasrec', { memory: 'off', ...pairsOf(flags.set) });
const log = await openLog(flags.data as string, { columns: {}, maxBadRows: 0 });
const split = splitDataset(prepare(log, { minInteractions: 5 }));
const counts = countItems(split);
const device = await Device.open();
const shown = SequenceModel.create(device, settings, split.items, null);
const local = new LocalTrainer(device, settings, split.items);
const initial = await initialWeights();
const RULES: Record<string, (updates: readonly WeightValues[], trim: number) => WeightValues> = {
  cut: (updates, trim) => aggregate(updates, local.shapes, trim),
  drop: (updates, trim) => trimmed(updates, trim, true),
  coordinate: (updates, trim) => trimmed(updates, trim, false),
};
let central: Float64Array | null = null;
print(
  `${split.users} users, ${split.items} items; an update has ${[...local.shapes].length} parameters, ${(numbersOf(initial) * 4) / 1e3} kB`,
);

if (flags.epochs) {
  const started = process.cpuUsage();
  const plan = planTraining(
    { log, name: flags.data as string },
    { recipe: 'sasrec', settings: { memory: 'off', ...pairsOf(flags.set) }, epochs: Number(flags.epochs), seed },
  );
  const files = new MemoryFiles();
  await runPlan(plan, { device, files });
  const model = await RankingModel.load(device, await loadModel(files));
  const { metrics, perUser } = await evaluate(model.encoder, plan.split, { split: 'test' });
  central = perUser['NDCG@10'];
  dump('central', central);
  print(
    `central, ${flags.epochs} epochs: NDCG@10 ${metrics['NDCG@10'].toFixed(4)}, HR@10 ${metrics['HR@10'].toFixed(4)}; ${cpuSince(started)} CPU s`,
  );
  model.dispose();
}
for (const run of flags.run) await federate(run, pairsOf(run));
local.dispose();
shown.dispose();
device.close();

function dump(name: string, perUser: Float64Array): void {
  if (flags.dump !== undefined) writeFileSync(`${flags.dump}/${name}.json`, JSON.stringify([...perUser]));
}

async function initialWeights(): Promise<WeightValues> {
  const model = SequenceModel.create(device, settings, split.items, seed);
  const values = await model.parameters.read();
  model.dispose();
  return values;
}

async function federate(name: string, given: Record<string, string>): Promise<void> {
  const { hostile: share = '0', attack = 'boost', rule = 'cut', target: named, ...rest } = given;
  const terms = checkTerms(
    Object.fromEntries(Object.entries(rest).map(([key, value]) => [key, key === 'server' ? value : Number(value)])),
  );
  const target = named === undefined ? rareItem() : split.dataset.itemIds.indexOf(named);
  const started = process.cpuUsage();
  const weights: WeightValues = new Map(Array.from(initial, ([key, values]) => [key, values.slice()]));
  const moments = { m: zerosLike(weights), v: zerosLike(weights) };
  const random = seeded(seed, 0xfed);
  const bytes = bytesOf(seed);
  const hostile = Math.round(Number(share) * terms.clients);
  const turns = turnsOf(random);
  const norms: number[] = [];
  const aucs: number[] = [];
  let loss = 0;
  for (let round = 1; round <= terms.rounds; round++) {
    const updates: WeightValues[] = [];
    loss = 0;
    for (let i = hostile; i < terms.clients; i++) {
      const user = turns.next().value as number;
      const own = historyOf(user);
      const made = await makeUpdate(local, weights, own, terms, { seed: round * 65_536 + user, random: bytes });
      if (i % 10 === 0) aucs.push(rowsTell(made.update, own.history));
      norms.push(made.norm);
      loss += made.loss / (terms.clients - hostile);
      updates.push(made.update);
    }
    for (let i = 0; i < hostile; i++)
      updates.push(await attackOf(attack, target, weights, terms, round * 65_536 + split.users + i));
    const change = RULES[rule](updates, terms.trim);
    serverStep(weights, moments, change, terms);
    if (Number(flags.every) > 0 && round % Number(flags.every) === 0 && round < terms.rounds) {
      const { metrics, hits } = await measure(weights, 'valid', target);
      print(
        `  round ${round}: loss ${loss.toFixed(3)}, valid NDCG@10 ${metrics['NDCG@10'].toFixed(4)}, target ${percent(hits)}, change ${normOf(change).toPrecision(3)}, ${cpuSince(started)} CPU s`,
      );
    }
  }
  const { metrics, perUser, hits } = await measure(weights, 'test', target);
  dump(name, perUser['NDCG@10']);
  const gain = central && gainOf(central, perUser['NDCG@10']);
  const times = (terms.rounds * (terms.clients - hostile)) / split.users;
  print(
    `${name}: NDCG@10 ${metrics['NDCG@10'].toFixed(4)}, HR@10 ${metrics['HR@10'].toFixed(4)}${gain ? ` (${signed(gain.mean)} ± ${gain.error.toFixed(4)} NDCG over central)` : ''}; target ${percent(hits)}; rows ${mean(aucs).toFixed(3)}; ${times.toFixed(1)} rounds a user, norm ${quantile(norms, 0.5).toPrecision(3)} (90%: ${quantile(norms, 0.9).toPrecision(3)}), loss ${loss.toFixed(3)}; ${cpuSince(started)} CPU s`,
  );
}

/** Of each row, or of each coordinate, the share that is largest is dropped, and of each coordinate the smallest, too. */
function trimmed(updates: readonly WeightValues[], trim: number, byRow: boolean): WeightValues {
  const n = updates.length;
  const cut = clientsCut(trim, n);
  const order = Uint32Array.from({ length: n }, (_, i) => i);
  return new Map(
    Array.from(local.shapes, ([name, shape]) => {
      const parts = updates.map((update) => update.get(name) as Float32Array);
      const out = new Float32Array(parts[0].length);
      const width = byRow ? rowWidth(shape) : 1;
      for (let from = 0; from < out.length; from += width) {
        const keys = parts.map((part) =>
          byRow ? part.subarray(from, from + width).reduce((sum, x) => sum + x * x, 0) : part[from],
        );
        order.sort((a, b) => keys[a] - keys[b]);
        const kept = order.subarray(byRow ? 0 : cut, n - cut);
        for (let c = from; c < from + width; c++) {
          let sum = 0;
          for (const i of kept) sum += parts[i][c];
          out[c] = sum / kept.length;
        }
      }
      return [name, out];
    }),
  );
}

/** Users in a random order, again and again. */
function* turnsOf(random: ReturnType<typeof seeded>): Generator<number, never, undefined> {
  const able = Array.from({ length: split.users }, (_, u) => u).filter((u) => split.trainLength(u) >= 2);
  for (;;) yield* shuffle(able, random);
}

function historyOf(user: number): History {
  return { history: split.history(user, 'train').slice() };
}

/**
 * What a hostile client sends to push the target. `profile`: an honest client's update on a made history, in which the target
 * follows popular items. `boost`: the same without dropping below the largest norm. `row`: of that the target's row alone, at
 * the largest norm.
 */
async function attackOf(
  attack: string,
  target: number,
  weights: WeightValues,
  terms: FederationTerms,
  attackSeed: number,
): Promise<WeightValues> {
  const random = seeded(seed, attackSeed);
  const popular = Array.from(counts, (_, v) => v)
    .sort((a, b) => counts[b] - counts[a])
    .slice(0, 200);
  const history = Uint32Array.from({ length: 60 }, (_, i) => (i % 2 === 1 ? target : popular[random.below(200)]));
  const { update } = await makeUpdate(local, weights, { history }, { ...terms, noise: 0 }, { seed: attackSeed });
  if (attack === 'profile') return update;
  if (attack === 'row') {
    const width = rowWidth(local.shapes.get(ITEMS) as readonly number[]);
    for (const [name, values] of update)
      for (let i = 0; i < values.length; i++) if (name !== ITEMS || Math.floor(i / width) !== target) values[i] = 0;
  }
  const scale = (terms.clip || 1) / normOf(update);
  for (const values of update.values()) for (let i = 0; i < values.length; i++) values[i] *= scale;
  return update;
}

async function measure(weights: WeightValues, part: 'valid' | 'test', target: number) {
  shown.parameters.load('params', weights);
  shown.touch();
  let [hits, able] = [0, 0];
  const { metrics, perUser } = await evaluate(shown, split, {
    split: part,
    onUser(user, _targets, _ranks, { items }) {
      if (split.history(user, part).includes(target)) return;
      able++;
      if (items.subarray(0, 10).includes(target)) hits++;
    },
  });
  return { metrics, perUser, hits: hits / able };
}

/** An item that a fifth of the catalog has fewer events than. */
function rareItem(): number {
  const order = Array.from(counts, (_, v) => v).sort((a, b) => counts[a] - counts[b] || a - b);
  return order[Math.floor(order.length / 5)];
}

/** AUC of the norms of item rows: own items against all others. */
function rowsTell(update: WeightValues, history: Uint32Array): number {
  const values = update.get(ITEMS) as Float32Array;
  const width = rowWidth(local.shapes.get(ITEMS) as readonly number[]);
  const own = new Set(history);
  const rows = Array.from({ length: split.items }, (_, v) => ({
    mine: own.has(v),
    norm: values.subarray(v * width, (v + 1) * width).reduce((sum, x) => sum + x * x, 0),
  })).sort((a, b) => a.norm - b.norm);
  let [below, pairs] = [0, 0];
  for (const { mine } of rows) {
    if (mine) pairs += below;
    else below++;
  }
  return pairs / (below * (rows.length - below));
}

/** Reproducible bytes: of a measurement, not of a client. */
function bytesOf(streamSeed: number): RandomBytes {
  const random = seeded(streamSeed, 0xb17e5);
  return (bytes) => {
    const words = new Uint32Array(bytes.buffer, 0, bytes.length >> 2);
    for (let i = 0; i < words.length; i++) words[i] = random.next() * 2 ** 32;
  };
}

function numbersOf(values: WeightValues): number {
  return Array.from(values.values(), ({ length }) => length).reduce((a, b) => a + b, 0);
}

function cpuSince(before: NodeJS.CpuUsage): string {
  const { user, system } = process.cpuUsage(before);
  return ((user + system) / 1e6).toFixed(0);
}

function mean(of: readonly number[]): number {
  return of.reduce((a, b) => a + b, 0) / of.length;
}

function quantile(of: readonly number[], q: number): number {
  return of.toSorted((a, b) => a - b)[Math.floor(q * (of.length - 1))];
}

function percent(x: number): string {
  return `${(100 * x).toFixed(1)} %`;
}

function signed(x: number): string {
  return `${x < 0 ? '−' : '+'}${Math.abs(x).toFixed(4)}`;
}
