/**
 * The measures of RecBole-FairRec by its names, on what a ranking gives. They were defined on predicted ratings; here
 *
 *   y(u, i)   part of the exposure of u's list (ten ranks, 1 / log2(1 + rank)) that item i has; 0 for items outside
 *   r(u, i)   1 / (number of u's targets) for each target, else 0
 *
 * so that both add up to 1 for each user, and all pairs of users and items that were listed or wanted by anybody count.
 * E_g[·]ᵢ is the mean over the users of a group g, E_¬g[·]ᵢ over all others, and d_g = E_g[y]ᵢ − E_g[r]ᵢ:
 *
 *   ValueUnfairness        mean over items of |d_g − d_¬g|                           (Yao & Huang, NIPS 2017, for these four)
 *   AbsoluteUnfairness     mean of ||d_g| − |d_¬g||
 *   UnderUnfairness        mean of |max(0, −d_g) − max(0, −d_¬g)|: wanted, and not shown
 *   OverUnfairness         mean of |max(0, d_g) − max(0, d_¬g)|: shown, and not wanted
 *   NonParityUnfairness    of the exposure that users' own targets have: |E_g − E_¬g|, of more than two groups the standard
 *                          deviation of the groups' means
 *   DifferentialFairness   ε: mean over items of the largest |ln(a / b)| of two groups, a and b being the rates at which an
 *                          item is listed, or not, (listed + 1) / (users + 2) (Islam et al., WWW 2021)
 *
 * Of more than two groups the first four are the largest of any group against all others. All are 0 for equal groups, and
 * above 0 by chance: groups are samples, and small ones of few users vary. That is why each is reported with what it is for
 * random groups.
 */
import { exposureOf } from '../../data/features/exposure.ts';
import { MISS } from '../evaluation/metrics.ts';
import { type Permuted, permutationTest } from '../evaluation/statistics.ts';

export const UNFAIRNESS = [
  'ValueUnfairness',
  'AbsoluteUnfairness',
  'UnderUnfairness',
  'OverUnfairness',
  'NonParityUnfairness',
  'DifferentialFairness',
] as const;
export type UnfairnessMeasure = (typeof UNFAIRNESS)[number];

export interface ListedUsers {
  /** [n, length] item rows, best first, MISS where there is none */
  lists: Uint32Array;
  length: number;
  /** [n] target rows, distinct */
  targets: readonly ArrayLike<number>[];
}

/** Entries of users at items that anybody was shown or wanted, numbered from 0 on. */
interface Entries {
  items: number;
  /** [n + 1] first entry of each user */
  first: Uint32Array;
  item: Uint32Array;
  y: Float64Array;
  /** 1 where the item is in the list */
  listed: Uint8Array;
  /** y − r */
  over: Float64Array;
  /** [n] exposure of the own targets */
  own: Float64Array;
}

/** Each measure of one assignment of users to groups, in the order of UNFAIRNESS. @param labels [n], below `groups` */
export function unfairness(of: ListedUsers, labels: Uint32Array, groups: number): Record<UnfairnessMeasure, number> {
  const values = measure(entriesOf(of), labels, groups);
  return Object.fromEntries(UNFAIRNESS.map((name, i) => [name, values[i]])) as Record<UnfairnessMeasure, number>;
}

/** The same with what is due to chance. */
export function testUnfairness(
  of: ListedUsers,
  labels: Uint32Array,
  groups: number,
  seed: number,
): Record<UnfairnessMeasure, Permuted> {
  const entries = entriesOf(of);
  const work = entries.item.length + 4 * groups * entries.items;
  const tested = permutationTest(labels, (some) => measure(entries, some, groups), work, seed);
  return Object.fromEntries(UNFAIRNESS.map((name, i) => [name, tested[i]])) as Record<UnfairnessMeasure, Permuted>;
}

function entriesOf({ lists, length, targets }: ListedUsers): Entries {
  const number = new Map<number, number>();
  const first = new Uint32Array(targets.length + 1);
  const item: number[] = [];
  const y: number[] = [];
  const listed: number[] = [];
  const over: number[] = [];
  const own = new Float64Array(targets.length);
  targets.forEach((wanted, u) => {
    const mine = new Map<number, { y: number; r: number }>();
    let all = 0;
    for (let at = 0; at < length; at++) {
      const row = lists[u * length + at];
      if (row === MISS) continue;
      mine.set(row, { y: exposureOf(at + 1), r: 0 });
      all += exposureOf(at + 1);
    }
    for (const one of mine.values()) one.y /= all;
    for (let t = 0; t < wanted.length; t++) {
      const shown = mine.get(wanted[t])?.y ?? 0;
      mine.set(wanted[t], { y: shown, r: 1 / wanted.length });
      own[u] += shown;
    }
    for (const [row, one] of mine) {
      if (!number.has(row)) number.set(row, number.size);
      item.push(number.get(row) as number);
      y.push(one.y);
      listed.push(one.y > 0 ? 1 : 0);
      over.push(one.y - one.r);
    }
    first[u + 1] = item.length;
  });
  return {
    items: number.size,
    first,
    item: Uint32Array.from(item),
    y: Float64Array.from(y),
    listed: Uint8Array.from(listed),
    over: Float64Array.from(over),
    own,
  };
}

function measure(entries: Entries, labels: Uint32Array, groups: number): number[] {
  const { items, first, item, listed, over, own } = entries;
  const users = new Float64Array(groups);
  const owns = new Float64Array(groups);
  /** [groups, items] sums over the users of a group */
  const overs = new Float64Array(groups * items);
  const listings = new Float64Array(groups * items);
  const total = new Float64Array(items);
  labels.forEach((g, u) => {
    users[g]++;
    owns[g] += own[u];
    for (let e = first[u]; e < first[u + 1]; e++) {
      overs[g * items + item[e]] += over[e];
      listings[g * items + item[e]] += listed[e];
      total[item[e]] += over[e];
    }
  });
  // Of two groups one is the other's opposite.
  const apart = Array.from({ length: groups === 2 ? 1 : groups }, (_, g) => {
    const [inside, outside] = [users[g], labels.length - users[g]];
    const sums = [0, 0, 0, 0];
    for (let i = 0; i < items; i++) {
      const a = overs[g * items + i] / inside;
      const b = (total[i] - overs[g * items + i]) / outside;
      sums[0] += Math.abs(a - b);
      sums[1] += Math.abs(Math.abs(a) - Math.abs(b));
      sums[2] += Math.abs(Math.max(0, -a) - Math.max(0, -b));
      sums[3] += Math.abs(Math.max(0, a) - Math.max(0, b));
    }
    return sums.map((sum) => sum / items);
  });
  const largest = [0, 1, 2, 3].map((m) => apart.reduce((most, values) => Math.max(most, values[m]), 0));
  const means = Array.from(owns, (sum, g) => sum / users[g]);
  const middle = means.reduce((sum, x) => sum + x, 0) / groups;
  const spread = Math.sqrt(means.reduce((sum, x) => sum + (x - middle) ** 2, 0) / groups);
  return [...largest, groups === 2 ? Math.abs(means[0] - means[1]) : spread, differential(listings, users, items)];
}

/** @param listings [groups, items] how many users of a group have the item in their list */
function differential(listings: Float64Array, users: Float64Array, items: number): number {
  let sum = 0;
  for (let i = 0; i < items; i++) {
    let [least, most, leastNot, mostNot] = [Number.POSITIVE_INFINITY, 0, Number.POSITIVE_INFINITY, 0];
    users.forEach((n, g) => {
      const rate = (listings[g * items + i] + 1) / (n + 2);
      least = Math.min(least, rate);
      most = Math.max(most, rate);
      leastNot = Math.min(leastNot, 1 - rate);
      mostNot = Math.max(mostNot, 1 - rate);
    });
    sum += Math.max(Math.log(most / least), Math.log(mostNot / leastNot));
  }
  return sum / items;
}
