/** Features of profiles that tell injected ones from honest ones. What a user adds to counts is taken out of them first. */
import type { Split } from '../../data/splits/split.ts';

/** Different items of a profile that are paired: its latest ones. */
const LONGEST = 64;
/** Items apart within which one leads to the other. */
const LAGS = 3;
const SMOOTHING = 0.5;
/** Users of a triple, beyond whom it is too common to be a copy. */
const COMMON = 20;

/** Profiles as sets and sequences. */
export interface Profiles {
  /** All training events of a user. */
  history(u: number): Uint32Array;
  users: number;
  items: number;
  /** Different items of each user in order of their last event, the latest `LONGEST`. */
  sets: Uint32Array[];
  /** Users of each item, by those sets. */
  holders: { starts: Uint32Array; users: Uint32Array };
}

export function profilesOf(split: Split): Profiles {
  const { users, items } = split;
  const sets = Array.from({ length: users }, (_, u) => {
    const last = new Set<number>();
    const history = split.history(u, 'train');
    for (let t = history.length - 1; t >= 0 && last.size < LONGEST; t--) last.add(history[t]);
    return Uint32Array.from(last).reverse();
  });
  const starts = new Uint32Array(items + 1);
  for (const set of sets) for (const item of set) starts[item + 1]++;
  for (let i = 0; i < items; i++) starts[i + 1] += starts[i];
  const next = starts.slice();
  const holders = new Uint32Array(starts[items]);
  sets.forEach((set, u) => {
    for (const item of set) holders[next[item]++] = u;
  });
  return { history: (u) => split.history(u, 'train'), users, items, sets, holders: { starts, users: holders } };
}

/**
 * Mean over pairs of a user's items of log((c + ½) / (e + ½)): c is how often other users have the pair, e how often they
 * would if items were independent of each other.
 * @param visit calls `pair` with every item that is paired with the one at a position of a set
 */
function lift(
  { users, items, sets, holders }: Profiles,
  visit: (set: Uint32Array, at: number, pair: (item: number) => void) => void,
): Float64Array {
  const { starts } = holders;
  const sums = new Float64Array(users);
  const pairs = new Uint32Array(users);
  // Independent items: each of these pairs of positions holds (i, j) with the product of their frequencies.
  let visited = 0;
  for (const set of sets)
    for (let at = 0; at < set.length; at++)
      visit(set, at, () => {
        visited++;
      });
  const total = holders.users.length;
  const row = new Uint32Array(items);
  let touched: number[] = [];
  for (let i = 0; i < items; i++) {
    const own = (u: number, use: (j: number) => void) => visit(sets[u], sets[u].indexOf(i), use);
    for (let h = starts[i]; h < starts[i + 1]; h++)
      own(holders.users[h], (j) => {
        if (row[j]++ === 0) touched.push(j);
      });
    const frequency = (starts[i + 1] - starts[i]) / total;
    for (let h = starts[i]; h < starts[i + 1]; h++) {
      const u = holders.users[h];
      own(u, (j) => {
        const expected = visited * frequency * ((starts[j + 1] - starts[j]) / total);
        sums[u] += Math.log((row[j] - 1 + SMOOTHING) / (expected + SMOOTHING));
        pairs[u]++;
      });
    }
    for (const j of touched) row[j] = 0;
    touched = [];
  }
  return sums.map((sum, u) => sum / pairs[u]);
}

/** Whether the items of a profile go together. */
const coherence = (profiles: Profiles): Float64Array =>
  lift(profiles, (set, at, pair) => {
    for (let q = 0; q < set.length; q++) if (q !== at) pair(set[q]);
  });

/** Whether they follow each other as in other histories. */
const order = (profiles: Profiles): Float64Array =>
  lift(profiles, (set, at, pair) => {
    for (let q = at + 1; q < Math.min(set.length, at + 1 + LAGS); q++) pair(set[q]);
  });

/** Largest share of a history's triples of successive items that one other history has, too. */
function copied({ history, users }: Profiles): Float64Array {
  const who = new Map<number, number[]>();
  for (let u = 0; u < users; u++)
    for (const key of triples(history(u))) {
      const list = who.get(key);
      if (!list) who.set(key, [u]);
      else if (list.length < COMMON) list.push(u);
    }
  return Float64Array.from({ length: users }, (_, u) => {
    const keys = triples(history(u));
    const shared = new Map<number, number>();
    let most = 0;
    for (const key of keys)
      for (const v of who.get(key) as number[]) {
        if (v === u) continue;
        const n = (shared.get(v) ?? 0) + 1;
        shared.set(v, n);
        most = Math.max(most, n);
      }
    return most / keys.size; // NaN without a triple
  });
}

/** Hashes of 53 bits. */
function triples(events: Uint32Array): Set<number> {
  const keys = new Set<number>();
  for (let t = 0; t + 2 < events.length; t++) {
    const [a, b, c] = [events[t], events[t + 1], events[t + 2]];
    const hash = (seed: number) =>
      Math.imul(Math.imul(Math.imul(a ^ seed, 0x85ebca6b) ^ b, 0xc2b2ae35) ^ c, 0x27d4eb2f);
    const mixed = (h: number) => (h ^ (h >>> 15)) >>> 0;
    keys.add(mixed(hash(0x9e3779b1)) * 2 ** 21 + (mixed(hash(0x7f4a7c15)) >>> 11));
  }
  return keys;
}

/** What makes a profile odd; of each, higher is odder, and NaN where a profile is too short. [users] each */
export function featuresOf(profiles: Profiles) {
  const together = coherence(profiles);
  const following = order(profiles);
  return {
    /** Its items do not go together. */
    mixed: together.map((x) => -x),
    /** They do not follow each other as elsewhere. */
    disordered: following.map((x) => -x),
    /** They go together better than they follow each other. */
    shuffled: together.map((x, u) => x - following[u]),
    /** They are in another profile, one after the other. */
    copied: copied(profiles),
  };
}
export type Feature = keyof ReturnType<typeof featuresOf>;
export const FEATURE_NAMES: readonly Feature[] = ['mixed', 'disordered', 'shuffled', 'copied'];
