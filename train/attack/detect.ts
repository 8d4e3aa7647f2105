/**
 * Finds injected profiles without labels, from training events alone, in two steps:
 *
 *   1. How odd each user is, from features of the profile, each as a robust z-score among users with profiles of like length.
 *   2. What the odd users have in common. Injected profiles share the item that they push, so that among its users odd ones
 *      are more frequent than chance allows (as target item analysis: Zhou et al., Neurocomputing 2016). An odd user whose
 *      items are nobody's target in this sense is an honest user with a rare taste.
 *
 * How far chance goes follows from the log: the number of odd users of an item is negative binomial, with the dispersion of
 * all items. A log in which many items stand out in spite of that is one of short histories or close circles, where injected
 * profiles cannot be told apart; nobody looks injected then.
 */
import type { Split } from '../../data/splits/split.ts';
import { type Feature, FEATURE_NAMES, featuresOf, type Profiles, profilesOf } from './features.ts';

export interface Suspicion {
  /** [users] higher is more suspect; −∞ for users whose training events are too few to judge. */
  score: Float64Array;
  /** [users] 1 for those who look injected. */
  injected: Uint8Array;
  /** How odd a profile is by each feature, [users] each: higher is odder. */
  z: Record<Feature, Float64Array>;
  /** The item that a user shares with others as odd, −1 for none, and how unlikely that is: see `Suspect`. */
  target: Int32Array;
  evidence: Float64Array;
  /** Whether so many items look pushed that it is how this log is: nobody looks injected then. */
  unclear: boolean;
}

/** Shares of users, by falling oddness, in which targets are looked for. */
const SHARES = [0.01, 0.02, 0.05, 0.1];
/** Users of like length that a z-score compares with, at least. */
const LIKE = 100;
const TESTS = SHARES.length * FEATURE_NAMES.length;
/** Odd users with an item, from which on it can be a target. */
const FEWEST = 3;
/** Items that may be pushed at once. */
const MOST_TARGETS = 5;
/** Share of the users, by falling oddness, in which those of a known target are looked for, and honest users among them. */
const WIDEST = 0.25;
const MISTAKEN = 2;
/**
 * −log10 p, over all items and tests together, from which on users are left out: at least so much, and so much for each
 * thousand users. What honest users have in common by taste is as clear as the log is large; so is an attack of 1 %.
 */
const LEAST_EVIDENCE = 2;
const EVIDENCE_PER_THOUSAND = 1.5;

export function detectProfiles(split: Split): Suspicion {
  const profiles = profilesOf(split);
  const lengths = profiles.sets.map(({ length }) => length);
  const raw = featuresOf(profiles);
  const z = Object.fromEntries(FEATURE_NAMES.map((name) => [name, robust(raw[name], lengths)])) as Suspicion['z'];
  const users = Uint32Array.from(profiles.sets.keys()).filter((u) =>
    FEATURE_NAMES.every((name) => Number.isFinite(z[name][u])),
  );
  const found: Suspicion = {
    score: new Float64Array(split.users).fill(Number.NEGATIVE_INFINITY),
    injected: new Uint8Array(split.users),
    z,
    target: new Int32Array(split.users).fill(-1),
    evidence: new Float64Array(split.users),
    unclear: false,
  };
  for (const name of FEATURE_NAMES) {
    const order = users.slice().sort((a, b) => z[name][b] - z[name][a] || a - b);
    order.forEach((u, i) => {
      found.score[u] = Math.max(found.score[u], -Math.log10((i + 1) / order.length));
    });
  }
  const least = Math.max(LEAST_EVIDENCE, (EVIDENCE_PER_THOUSAND * users.length) / 1000);
  // Those who push one item are taken out before others are looked for: what else they have in common is no target.
  for (let rest = users, targets = 0; ; targets++) {
    const pushed = mostPushed(profiles, z, rest);
    for (const u of pushed.users) {
      found.target[u] = pushed.item;
      found.evidence[u] = pushed.evidence;
      found.score[u] += pushed.evidence;
      if (pushed.evidence > least) found.injected[u] = 1;
    }
    if (!(pushed.evidence > least)) return found;
    if (targets === MOST_TARGETS) return { ...found, injected: found.injected.fill(0), unclear: true };
    rest = rest.filter((u) => found.injected[u] === 0);
  }
}

/** The item that the oddest of these users, by any feature, have more often than chance allows, and which of them have it. */
function mostPushed(
  { sets, items }: Profiles,
  z: Suspicion['z'],
  users: Uint32Array,
): { item: number; users: Uint32Array; evidence: number } {
  const counts = new Uint32Array(items);
  let total = 0;
  for (const u of users) {
    total += sets[u].length;
    for (const item of sets[u]) counts[item]++;
  }
  let best = { item: -1, users: new Uint32Array(0), evidence: 0 };
  for (const name of FEATURE_NAMES) {
    const order = users.slice().sort((a, b) => z[name][b] - z[name][a] || a - b);
    const have = new Uint32Array(items);
    let [done, events] = [0, 0];
    for (const share of SHARES) {
      for (const end = Math.round(share * order.length); done < end; done++) {
        events += sets[order[done]].length;
        for (const item of sets[order[done]]) have[item]++;
      }
      const mean = (item: number): number => (events * counts[item]) / total;
      const spread = dispersion(have, mean);
      have.forEach((k, item) => {
        if (k < FEWEST) return;
        const evidence = tail(k, mean(item), spread) - Math.log10(items * TESTS);
        if (evidence > best.evidence) {
          // With a target known, users need be less odd: as far as few honest ones are to be expected among its holders.
          const reach = Math.min(WIDEST, MISTAKEN / Math.max(1, counts[item] - k));
          const odd = order.subarray(0, Math.max(done, Math.round(reach * order.length)));
          best = { item, evidence, users: odd.filter((u) => sets[u].includes(item)) };
        }
      });
    }
  }
  return best;
}

/** α of counts whose variance is μ + αμ², by moments, the largest twentieth left out: what is looked for is among it. */
function dispersion(counts: Uint32Array, mean: (item: number) => number): number {
  const excess = Float64Array.from(counts, (k, item) => (k - mean(item)) ** 2 - mean(item));
  const most = excess.slice().sort()[Math.floor(0.95 * counts.length)];
  let [sum, squares] = [0, 0];
  excess.forEach((x, item) => {
    if (x > most) return;
    sum += x;
    squares += mean(item) ** 2;
  });
  return Math.max(0, sum / squares);
}

/** −log10 P(X ≥ k) of the negative binomial with this mean and α; of Poisson's distribution where α is 0. */
function tail(k: number, mean: number, alpha: number): number {
  // P(X = 0), then each from the one before it, in logarithms.
  let log = alpha > 0 ? -Math.log1p(alpha * mean) / alpha : -mean;
  for (let i = 0; i < k; i++) log += Math.log((mean * (1 + alpha * i)) / ((i + 1) * (1 + alpha * mean)));
  let [sum, term] = [1, 1];
  for (let i = k; term > 1e-12 * sum; i++) {
    term *= (mean * (1 + alpha * i)) / ((i + 1) * (1 + alpha * mean));
    sum += term;
  }
  return Math.max(0, -(log + Math.log(sum)) / Math.LN10);
}

/** z-scores by median and median absolute deviation of the `LIKE` or more users with profiles of like length. */
function robust(values: Float64Array, lengths: readonly number[]): Float64Array {
  const z = new Float64Array(values.length).fill(Number.NaN);
  const known = Uint32Array.from(values.keys()).filter((u) => Number.isFinite(values[u]));
  known.sort((a, b) => lengths[a] - lengths[b] || a - b);
  for (let from = 0; from < known.length; ) {
    let to = Math.min(known.length, from + LIKE);
    if (known.length - to < LIKE) to = known.length;
    while (to < known.length && lengths[known[to]] === lengths[known[to - 1]]) to++;
    const group = known.subarray(from, to);
    const own = Float64Array.from(group, (u) => values[u]).sort();
    const median = middle(own);
    const spread = 1.4826 * middle(own.map((x) => Math.abs(x - median)).sort());
    for (const u of group) z[u] = (values[u] - median) / (spread || 1);
    from = to;
  }
  return z;
}

const middle = (sorted: Float64Array): number => (sorted.length === 0 ? 0 : sorted[Math.floor(sorted.length / 2)]);
