/** How lists treat items: exposure of item groups, popularity, and the mix of an attribute. */
import { attributeShares, miscalibration, type ValuesOf } from '../../data/features/attribute-shares.ts';
import { exposureOf } from '../../data/features/exposure.ts';
import { MISS } from '../evaluation/metrics.ts';
import type { ItemGroups } from './groups.ts';

/** Lists of n users, [n, length] item rows, best first, MISS where there is none. */
export interface Lists {
  lists: Uint32Array;
  length: number;
}

/** Calls back for each listed item: of which user, at which 1-based rank. */
function eachListed({ lists, length }: Lists, call: (row: number, rank: number, user: number) => void): void {
  lists.forEach((row, at) => {
    if (row !== MISS) call(row, (at % length) + 1, Math.floor(at / length));
  });
}

/** Share of the lists' exposure (1 / log2(1 + rank)) that items with a property have; 0 without lists. */
export function exposureShare(lists: Lists, has: (row: number) => boolean): number {
  let [own, all] = [0, 0];
  eachListed(lists, (row, rank) => {
    all += exposureOf(rank);
    if (has(row)) own += exposureOf(rank);
  });
  return all > 0 ? own / all : 0;
}

/** Share of the lists' exposure of each group, [groups], adding up to 1. */
export function groupExposure(lists: Lists, { of, values }: ItemGroups): Float64Array {
  const sums = new Float64Array(values.length);
  eachListed(lists, (row, rank) => divide(sums, of[row], exposureOf(rank)));
  return normalized(sums);
}

/** What exposure is compared with: shares of the catalog and of the training events, [groups] each. */
export function groupShares(
  { of, values }: ItemGroups,
  counts: ArrayLike<number>,
): Record<'catalog' | 'interactions', Float64Array> {
  const [catalog, interactions] = [new Float64Array(values.length), new Float64Array(values.length)];
  of.forEach((own, row) => {
    divide(catalog, own, 1);
    divide(interactions, own, counts[row]);
  });
  return { catalog: normalized(catalog), interactions: normalized(interactions) };
}

function divide(sums: Float64Array, own: readonly number[], amount: number): void {
  for (const group of own) sums[group] += amount / own.length;
}

function normalized(sums: Float64Array): Float64Array {
  const total = sums.reduce((sum, x) => sum + x, 0);
  return total > 0 ? sums.map((x) => x / total) : sums;
}

/** Mean number of training events of the items in each user's list, [n]; NaN for an empty list. */
export function listPopularity(lists: Lists, counts: ArrayLike<number>): Float64Array {
  const n = lists.lists.length / lists.length;
  const [sums, items] = [new Float64Array(n), new Float64Array(n)];
  eachListed(lists, (row, _rank, user) => {
    sums[user] += counts[row];
    items[user]++;
  });
  return sums.map((sum, u) => sum / items[u]);
}

/** The same of histories. */
export function historyPopularity(histories: readonly ArrayLike<number>[], counts: ArrayLike<number>): Float64Array {
  return Float64Array.from(histories, (history) => {
    let sum = 0;
    for (let i = 0; i < history.length; i++) sum += counts[history[i]];
    return sum / history.length;
  });
}

/**
 * Popularity lift: how much more popular listed items are than those of the histories, (GAP_lists − GAP_histories) /
 * GAP_histories, GAP being the users' mean (Abdollahpouri, Mansoury, Burke & Mobasher, RecSys 2020). 0: no more popular.
 * @param listed per user, as `known`: users where either is NaN are left out
 */
export function popularityLift(listed: Float64Array, known: Float64Array): number {
  let [lists, histories] = [0, 0];
  listed.forEach((value, u) => {
    if (Number.isNaN(value) || Number.isNaN(known[u])) return;
    lists += value;
    histories += known[u];
  });
  return histories > 0 ? lists / histories - 1 : Number.NaN;
}

/**
 * RecBole's PopularityPercentage and TailPercentage: the part of a list that is among the most, or the least, popular tenth
 * of the items with training events (one item at least; equally popular ones by row), averaged over users.
 */
export function popularityPercentages(
  lists: Lists,
  counts: ArrayLike<number>,
): Record<'PopularityPercentage' | 'TailPercentage', number> {
  const known = Array.from(counts, (_, row) => row).filter((row) => counts[row] > 0);
  known.sort((a, b) => counts[b] - counts[a] || a - b);
  const cut = Math.max(1, Math.floor(known.length / 10));
  const part = (rows: readonly number[]): number => {
    const own = new Set(rows);
    const n = lists.lists.length / lists.length;
    const [hits, items] = [new Float64Array(n), new Float64Array(n)];
    eachListed(lists, (row, _rank, user) => {
      items[user]++;
      if (own.has(row)) hits[user]++;
    });
    return hits.reduce((sum, hit, u) => sum + (items[u] > 0 ? hit / items[u] : 0), 0) / n;
  };
  return { PopularityPercentage: part(known.slice(0, cut)), TailPercentage: part(known.slice(-cut)) };
}

/** C_KL of each user's list and history, [n]; NaN where no item of the history has a value. */
export function listMiscalibration(
  { lists, length }: Lists,
  histories: readonly ArrayLike<number>[],
  valuesOf: ValuesOf,
): Float64Array {
  return Float64Array.from(histories, (history, u) => {
    const rows = lists.subarray(u * length, (u + 1) * length).filter((row) => row !== MISS);
    return miscalibration(attributeShares(history, valuesOf), attributeShares(rows, valuesOf));
  });
}
