/**
 * What attacks do to a log and what defends it (docs/attacks.md): for each kind of profiles, item and seed how well the
 * detector tells profiles apart, and with --transitions what item transitions recommend to honest users when they are
 * learned from the attacked log, and from it with the guard. Where no item is named, three are taken: with 6 events, with
 * 30, and at the 97th percentile.
 *
 *   node dist/bench/attacks.js LOG [--kinds random,average] [--items ID,ID] [--size 0.01] [--seeds 1,2] [--transitions]
 *
 * LOG is ml-100k, ml-1m, games or yelp (under ATTUNE_DATA), or shop:SEED. `attune attack` trains whole models.
 */
import { parseArgs } from 'node:util';
import { makeShop } from '../data/demo-shop/shop.ts';
import { prepare } from '../data/dataset.ts';
import type { Log } from '../data/log.ts';
import { type Split, splitDataset } from '../data/splits/split.ts';
import { Device } from '../engine/index.ts';
import { rankAmong } from '../model/inference/ranks.ts';
import { recency } from '../model/transitions/transitions.ts';
import { openLog } from '../cli/input/data.ts';
import { detection } from '../train/attack/attack.ts';
import { detectProfiles } from '../train/attack/detect.ts';
import { injectProfiles, PROFILE_KINDS, type ProfileKind } from '../train/attack/profiles.ts';
import { usersWithTarget } from '../train/evaluation/evaluate.ts';
import { metricsAt, MISS } from '../train/evaluation/metrics.ts';
import { paired } from '../train/evaluation/statistics.ts';
import { chooseTransitions } from '../train/transitions/choose.ts';

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    kinds: { type: 'string', default: PROFILE_KINDS.join(',') },
    items: { type: 'string' },
    size: { type: 'string', default: '0.01' },
    seeds: { type: 'string', default: '1,2,3' },
    transitions: { type: 'boolean', default: false },
  },
});

const FILES: Record<string, string> = {
  'ml-100k': 'ml-100k/ml-100k.inter',
  'ml-1m': 'ml-1m/ratings.csv',
  games: 'games/games.txt',
  yelp: 'yelp/yelp.seq.txt',
};
const LEAST = 5;
/** Events of the items that are pushed, and the share of items with fewer events. */
const EVENTS = [6, 30];
const POPULAR = 0.97;

/** By user ID. */
interface Lists {
  /** Whether the item is in the list of ten, of users who lack it. */
  hits: Map<string, number>;
  ndcg: Map<string, number>;
  top: Map<string, Set<string>>;
}

const device = flags.transitions ? await Device.open() : null;
/** Of the log as it is, by item. */
const known: Record<string, Lists> = {};
const print = (line: string) => process.stdout.write(`${line}\n`);
const [name = 'ml-100k'] = positionals;
const log = await openNamed(name);
const split = splitDataset(prepare(log, { minInteractions: LEAST }));
const { injected } = detectProfiles(split);
print(
  `${name}: ${split.users} users, ${split.items} items; of the log as it is, the guard leaves out ${injected.reduce((sum, x) => sum + x, 0)}`,
);
const counts = new Uint32Array(log.itemIds.length);
for (const item of log.item) counts[item]++;
const items = flags.items?.split(',') ?? drawn();
print('kind         events  AUC    found at 1 %   left out: injected, honest');
for (const kind of flags.kinds.split(',') as ProfileKind[])
  for (const item of items)
    for (const seed of flags.seeds.split(',').map(Number)) {
      const { log: more, users } = injectProfiles(log, { item, kind, size: Number(flags.size), seed });
      const attacked = splitDataset(prepare(more, { minInteractions: LEAST }));
      const { AUC, recallAt1, leftOut, users: all } = detection(attacked, new Set(users));
      print(
        [
          kind.padEnd(12),
          String(counts[log.itemIds.indexOf(item)]).padStart(6),
          ` ${AUC.toFixed(3)}`,
          `${(100 * recallAt1).toFixed(0)} %`.padStart(8),
          `      ${leftOut.injected} of ${all.injected}, ${leftOut.honest} of ${all.honest}`,
        ].join(' '),
      );
      if (device) {
        const guarded = attacked.without(detectProfiles(attacked).injected);
        await compare('attacked', attacked, attacked, item);
        await compare('guarded', guarded, attacked, item);
      }
    }
device?.close();

/** What transitions recommend to users of the log as it is. @param read the split whose histories are read */
async function lists(learned: Split, read: Split, item: string): Promise<Lists> {
  const users = usersWithTarget(learned, 'valid');
  const { settings, rows } = await chooseTransitions(device as Device, learned, { users, seen: 'excluded' });
  const r = recency(settings);
  const { itemIds, userIds } = read.dataset;
  const target = itemIds.indexOf(item);
  const honest = new Set(split.dataset.userIds);
  const scores = new Float64Array(read.items);
  const found: Lists = { hits: new Map(), ndcg: new Map(), top: new Map() };
  for (let u = 0; u < read.users; u++) {
    const history = read.history(u, 'test');
    const wanted = read.testTarget(u);
    if (!honest.has(userIds[u]) || wanted < 0) continue;
    scores.fill(0);
    for (let k = 0; k < Math.min(settings.last, history.length); k++) {
      const row = history[history.length - 1 - k];
      for (let e = rows.starts[row]; e < rows.starts[row + 1]; e++) scores[rows.columns[e]] += r[k] * rows.values[e];
    }
    for (const seen of history) scores[seen] = Number.NEGATIVE_INFINITY;
    const rankOf = (row: number) => (scores[row] > Number.NEGATIVE_INFINITY ? rankAmong(scores, scores[row]) : MISS);
    found.ndcg.set(userIds[u], metricsAt(10, [rankOf(wanted)], 1).NDCG);
    if (target >= 0 && !history.includes(target) && wanted !== target)
      found.hits.set(userIds[u], Number(rankOf(target) <= 10));
    const best = Uint32Array.from(scores.keys()).sort((a, b) => scores[b] - scores[a] || a - b);
    found.top.set(userIds[u], new Set(Array.from(best.subarray(0, 10), (row) => itemIds[row])));
  }
  return found;
}

async function compare(label: string, learned: Split, read: Split, item: string): Promise<void> {
  const clean = (known[item] ??= await lists(split, split, item));
  const own = await lists(learned, read, item);
  const mean = (values: Iterable<number>) => {
    const all = [...values];
    return all.reduce((sum, x) => sum + x, 0) / Math.max(1, all.length);
  };
  const both = [...clean.ndcg.keys()].filter((id) => own.ndcg.has(id));
  const values = (of: Lists) => Float64Array.from(both, (id) => of.ndcg.get(id) as number);
  const { mean: change, low, high } = paired(values(own), values(clean), 1);
  const overlap = mean(
    both.map((id) => [...(own.top.get(id) as Set<string>)].filter((one) => clean.top.get(id)?.has(one)).length / 10),
  );
  print(
    `    ${label.padEnd(10)} item in list ${mean(clean.hits.values()).toFixed(4)} → ${mean(own.hits.values()).toFixed(4)}; ` +
      `NDCG@10 ${mean(clean.ndcg.values()).toFixed(4)} ${change < 0 ? '-' : '+'}${Math.abs(change).toFixed(4)} (${low.toFixed(4)} to ${high.toFixed(4)}); lists kept ${(100 * overlap).toFixed(1)} %`,
  );
}

async function openNamed(given: string): Promise<Log> {
  const [kind, seed = '1'] = given.split(':');
  if (kind === 'shop') return makeShop({ seed: Number(seed) }).log;
  const file = FILES[given];
  if (!file || !process.env.ATTUNE_DATA)
    throw new Error(`${given}: expected shop:SEED, or with ATTUNE_DATA ${Object.keys(FILES).join(', ')}`);
  return openLog(`${process.env.ATTUNE_DATA}/${file}`, { columns: {}, maxBadRows: 0 });
}

/** IDs, each the first item of the log with so many events. */
function drawn(): string[] {
  const rising = Array.from(counts.keys()).sort((a, b) => counts[a] - counts[b] || a - b);
  const at = (events: number) => rising.find((item) => counts[item] >= events) as number;
  return [...EVENTS.map(at), rising[Math.floor(POPULAR * rising.length)]].map((item) => log.itemIds[item]);
}
