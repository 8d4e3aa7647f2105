/** Accumulates the metrics of one recommender user by user: means, slices, and the values that paired tests need. */
import { atOnce, type Pieces } from '../../data/pieces.ts';
import type { Split } from '../../data/splits/split.ts';
import { type Distance, ListMetrics } from './list-metrics.ts';
import { metricsAt, type Metrics, MISS, RankMetrics } from './metrics.ts';

/** The metrics that slices, intervals, and comparisons report. */
export const HEADLINES = ['NDCG@10', 'HR@10', 'MRR'] as const;
export type Headline = (typeof HEADLINES)[number];

/** Mean metrics of a group of users, or of the targets in an item group. */
export interface Slice extends Record<Headline, number> {
  users: number;
}

/** Group → slice, for each way to look at an evaluation. */
export type Slices = Record<string, Record<string, Slice>>;

/** Each user's headline metrics, in the order evaluated. */
export interface PerUser extends Record<Headline, Float64Array> {
  /** [n] row of the user in the dataset */
  users: Uint32Array;
  /** [n, 10] best item rows, best first, {@link MISS} after the last one; null unless they were asked for. */
  lists: Uint32Array | null;
}

export interface TargetMetrics {
  users: number;
  metrics: Metrics;
  slices: Slices;
  perUser: PerUser;
  /** Fraction of the targets that are already in the user's history: misses while seen items are excluded. */
  targetsInHistory: number;
}

export type ItemGroup = 'head' | 'torso' | 'tail' | 'cold';
export const ITEM_GROUPS: readonly ItemGroup[] = ['head', 'torso', 'tail', 'cold'];
/** Slices by the events of the history, and the longest of each; the last slice has no upper bound. */
export const LENGTH_SLICES = ['1-10', '11-50', '51-200', '201+'];
const LENGTHS = [10, 50, 200];
/** Items of a list that are kept. */
export const KEPT = 10;

export function lengthSlice(events: number): string {
  const at = LENGTHS.findIndex((most) => events <= most);
  return LENGTH_SLICES[at < 0 ? LENGTHS.length : at];
}

/** Item counts of the training part, shared by every recommender of an evaluation. */
export interface TrainingFacts {
  /** [V] training events of each item */
  counts: Uint32Array;
  /** [V] users with at least one of them */
  holders: Uint32Array;
  /** users with training events */
  users: number;
  groups: ItemGroup[];
}

export const trainingFacts = (split: Split): TrainingFacts => atOnce(findFacts(split));

/** As `trainingFacts`, a user at a time. */
export function* findFacts(split: Split): Pieces<TrainingFacts> {
  const known = found.get(split) ?? (yield* countFacts(split));
  found.set(split, known);
  return known;
}

/** What was counted before: every evaluation asks for it, and a large log takes seconds. */
const found = new WeakMap<Split, TrainingFacts>();

function* countFacts(split: Split): Pieces<TrainingFacts> {
  const counts = new Uint32Array(split.items);
  const holders = new Uint32Array(split.items);
  const last = new Int32Array(split.items).fill(-1);
  let users = 0;
  for (let u = 0; u < split.users; u++) {
    const history = split.history(u, 'train');
    if (history.length > 0) users++;
    for (const item of history) {
      counts[item]++;
      if (last[item] !== u) holders[item]++;
      last[item] = u;
    }
    yield;
  }
  return { counts, holders, users, groups: groupItems(counts) };
}

/**
 * Items by popularity, after Abdollahpouri, Burke & Mobasher (2019): the head is the most popular items with the first
 * 20 % of the training events, the tail the least popular items with the last 20 %, the torso what lies between; cold
 * items have no training event.
 */
function groupItems(counts: Uint32Array): ItemGroup[] {
  const order = Array.from(counts, (_, item) => item).sort((a, b) => counts[b] - counts[a] || a - b);
  const total = counts.reduce((sum, count) => sum + count, 0);
  const groups: ItemGroup[] = new Array(counts.length);
  let before = 0;
  for (const item of order) {
    groups[item] =
      counts[item] === 0 ? 'cold' : before < 0.2 * total ? 'head' : before < 0.8 * total ? 'torso' : 'tail';
    before += counts[item];
  }
  return groups;
}

/** Fraction of the users' targets that are already in their history: misses while seen items are excluded. */
export function shareInHistory(split: Split, part: 'valid' | 'test', users: Uint32Array): number {
  let [targets, repeated] = [0, 0];
  for (const u of users) {
    const history = split.history(u, part);
    for (const target of new Set(split.targets(u, part))) {
      targets++;
      if (history.includes(target)) repeated++;
    }
  }
  return targets > 0 ? repeated / targets : 0;
}

export interface CollectorOptions {
  split: 'valid' | 'test';
  /** Ranks beyond it are unknown (see {@link RankMetrics}). */
  depth?: number;
  facts?: TrainingFacts;
  distance?: Distance | null;
  /** Keep each user's list, for what is said of groups (train/fairness). */
  keepLists?: boolean;
}

export class Collector {
  private readonly split: Split;
  private readonly part: 'valid' | 'test';
  private readonly facts: TrainingFacts;
  private readonly ranks: RankMetrics;
  private readonly lists: ListMetrics;
  private readonly users: number[] = [];
  private readonly kept: number[] | null;
  private readonly values: Record<Headline, number[]> = { 'NDCG@10': [], 'HR@10': [], MRR: [] };
  private readonly sums = new Map<string, Map<string, Slice>>();
  private targets = 0;
  private repeated = 0;

  constructor(split: Split, options: CollectorOptions) {
    this.split = split;
    this.part = options.split;
    this.facts = options.facts ?? trainingFacts(split);
    this.ranks = new RankMetrics(options.depth);
    this.lists = new ListMetrics({ ...this.facts, distance: options.distance });
    this.kept = options.keepLists ? [] : null;
  }

  /** @param ranks of `targets` (distinct item rows), in the same order; `list` holds the best items, best first */
  add(user: number, targets: ArrayLike<number>, ranks: ArrayLike<number>, list: ArrayLike<number>): void {
    const history = this.split.history(user, this.part);
    this.ranks.addUser(ranks);
    this.lists.add(list);
    const own = headlines(Array.from(ranks));
    this.users.push(user);
    if (this.kept) for (let i = 0; i < KEPT; i++) this.kept.push(i < list.length ? list[i] : MISS);
    for (const name of HEADLINES) this.values[name].push(own[name]);
    this.addTo('historyLength', lengthSlice(history.length), own);
    this.addTo('users', this.split.trainLength(user) > 0 ? 'warm' : 'cold', own);
    const byGroup = new Map<ItemGroup, number[]>();
    for (let i = 0; i < targets.length; i++) {
      const group = this.facts.groups[targets[i]];
      byGroup.set(group, [...(byGroup.get(group) ?? []), ranks[i]]);
      this.targets++;
      if (history.includes(targets[i])) this.repeated++;
    }
    for (const [group, some] of byGroup) this.addTo('itemPopularity', group, headlines(some));
  }

  private addTo(kind: string, group: string, own: Record<Headline, number>): void {
    const groups = this.sums.get(kind) ?? new Map<string, Slice>();
    this.sums.set(kind, groups);
    const sum = groups.get(group) ?? { users: 0, 'NDCG@10': 0, 'HR@10': 0, MRR: 0 };
    groups.set(group, sum);
    sum.users++;
    for (const name of HEADLINES) sum[name] += own[name];
  }

  /** @throws Error when no user was added */
  result(): TargetMetrics {
    const { users, values } = this;
    return {
      users: users.length,
      metrics: { ...this.ranks.result(), ...this.lists.result() },
      slices: this.slices(),
      perUser: {
        users: Uint32Array.from(users),
        'NDCG@10': Float64Array.from(values['NDCG@10']),
        'HR@10': Float64Array.from(values['HR@10']),
        MRR: Float64Array.from(values.MRR),
        lists: this.kept && Uint32Array.from(this.kept),
      },
      targetsInHistory: this.targets > 0 ? this.repeated / this.targets : 0,
    };
  }

  private slices(): Slices {
    const orders: Record<string, readonly string[]> = {
      historyLength: LENGTH_SLICES,
      itemPopularity: ITEM_GROUPS,
      users: ['warm', 'cold'],
    };
    const slices: Slices = {};
    for (const [kind, order] of Object.entries(orders)) {
      const groups = this.sums.get(kind);
      if (!groups) continue;
      slices[kind] = {};
      for (const name of order) {
        const sum = groups.get(name);
        if (!sum) continue;
        const mean = (metric: Headline) => sum[metric] / sum.users;
        slices[kind][name] = {
          users: sum.users,
          'NDCG@10': mean('NDCG@10'),
          'HR@10': mean('HR@10'),
          MRR: mean('MRR'),
        };
      }
    }
    return slices;
  }
}

/** One user's headline metrics from the ranks of the relevant items. */
function headlines(ranks: number[]): Record<Headline, number> {
  const sorted = ranks.length === 1 ? ranks : ranks.toSorted((a, b) => a - b);
  const { NDCG, HR } = metricsAt(10, sorted, ranks.length);
  return { 'NDCG@10': NDCG, 'HR@10': HR, MRR: sorted[0] >= MISS ? 0 : 1 / sorted[0] };
}
