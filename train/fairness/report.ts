/** Who is served how well: metrics of groups of users and items, for a model and the baselines beside it. */
import type { Split } from '../../data/splits/split.ts';
import {
  HEADLINES,
  type Headline,
  KEPT,
  type PerUser,
  type Slices,
  type TrainingFacts,
} from '../evaluation/collector.ts';
import { distinct } from '../evaluation/ranking.ts';
import { bootstrap, type Difference, paired, type Permuted } from '../evaluation/statistics.ts';
import { type Gap, gapsOf } from './gaps.ts';
import type { ItemGroups, UserGroups } from './groups.ts';
import {
  groupExposure,
  groupShares,
  historyPopularity,
  type Lists,
  listMiscalibration,
  listPopularity,
  popularityLift,
  popularityPercentages,
} from './items.ts';
import { testUnfairness, unfairness, type UnfairnessMeasure } from './unfairness.ts';

/** Groups of fewer users are reported, and left out of gaps and unfairness. */
export const FEWEST = 10;
/** A recommender that was ranked with `keepLists`. */
export interface AuditedRecommender {
  name: string;
  perUser: PerUser;
  slices: Slices;
}

export interface FairnessOptions {
  split: Split;
  part: 'valid' | 'test';
  facts: TrainingFacts;
  model: Omit<AuditedRecommender, 'name'>;
  /** Of the same users. */
  baselines: readonly AuditedRecommender[];
  users: readonly UserGroups[];
  items: readonly ItemGroups[];
  seed?: number;
}

/** NDCG@10, HR@10, MRR; of users also PopularityLift@10 and `Miscalibration@10 ATTRIBUTE`. */
export type GroupMetrics = Record<string, number>;

export interface GroupResult {
  users: number;
  metrics: GroupMetrics;
  /** 95 % bootstrap limits; of groups of users alone */
  intervals?: Record<Headline, readonly [low: number, high: number]>;
  /** By name. */
  baselines: Record<string, GroupMetrics>;
  /** NDCG@10 over that of the best baseline, paired by user. */
  against?: Difference & { baseline: string };
  /** There are too few users for gaps. */
  few?: true;
}

const GAPS = ['NDCG@10', 'HR@10'] as const;
export type Gaps = Record<(typeof GAPS)[number], Gap>;

export interface ColumnResult {
  note: string | null;
  /** Recommender → gaps; none where fewer than two groups have enough users. */
  gaps: Record<string, Gaps>;
  /** Whether the model gains more over the best baseline for some groups than for others. */
  advantage?: { baseline: string; p: number };
  /** Measures of RecBole-FairRec, by chance, too. */
  unfairness?: Record<UnfairnessMeasure, Permuted & { baselines: Record<string, number> }>;
}

export interface ExposureRow {
  /** Shares, each adding up to 1 over the groups. */
  catalog: number;
  interactions: number;
  exposure: number;
  baselines: Record<string, number>;
}

export interface FairnessReport {
  /** Column → value → metrics. */
  groups: Record<string, Record<string, GroupResult>>;
  columns: Record<string, ColumnResult>;
  /** Attribute or `popularity` → value → shares. */
  exposure: Record<string, { note: string | null; values: Record<string, ExposureRow> }>;
  /** Recommender → PopularityLift@10, PopularityPercentage@10, TailPercentage@10, `Miscalibration@10 ATTRIBUTE`. */
  lists: Record<string, GroupMetrics>;
}

/** The name of the model in the report, beside the baselines' own. */
export const MODEL_KEY = 'model';

interface Audited {
  name: string;
  perUser: PerUser;
  lists: Lists;
  popularity: Float64Array;
  /** `Miscalibration@10 ATTRIBUTE` → [n] */
  miscalibration: ReadonlyMap<string, Float64Array>;
}

/** @throws Error where the recommenders were not ranked on the same users, with `keepLists` */
export function fairnessReport(options: FairnessOptions): FairnessReport {
  const { split, part, facts, model, baselines, seed = 1 } = options;
  const rows = model.perUser.users;
  const histories = Array.from(rows, (u) => split.history(u, part));
  const targets = Array.from(rows, (u) => distinct(split.targets(u, part)));
  const known = historyPopularity(histories, facts.counts);
  const audit = ({ name, perUser }: AuditedRecommender): Audited => {
    if (!perUser.lists) throw new Error(`fairness: ${name} was ranked without keepLists`);
    if (perUser.users.length !== rows.length || perUser.users.some((u, i) => u !== rows[i]))
      throw new Error(`fairness: ${name} was ranked on other users`);
    const lists = { lists: perUser.lists, length: KEPT };
    const mixes = options.items.flatMap((of): [string, Float64Array][] =>
      of.valuesOf ? [[`Miscalibration@10 ${of.name}`, listMiscalibration(lists, histories, of.valuesOf)]] : [],
    );
    return { name, perUser, lists, popularity: listPopularity(lists, facts.counts), miscalibration: new Map(mixes) };
  };
  const [own, ...others] = [{ ...model, name: MODEL_KEY }, ...baselines].map(audit);
  const best = others.reduce<Audited | null>((top, one) => (top && sumOf(top) >= sumOf(one) ? top : one), null);
  const everyone = Array.from(rows, (_, i) => i);
  const metricsOf = (of: Audited, some: readonly number[]): GroupMetrics => ({
    ...headlineMeans(of.perUser, some),
    ...listMetrics(of, known, some),
  });
  const columns = options.users.map((column) => {
    const labels = Uint32Array.from(rows, (u) => column.of[u]);
    const filled = column.values
      .map((value, g) => ({ value, some: everyone.filter((i) => labels[i] === g) }))
      .filter(({ some }) => some.length > 0);
    const groups = filled.map(({ value, some }): [string, GroupResult] => {
      const beside = others.map((of) => [of.name, metricsOf(of, some)]);
      const against = best && { baseline: best.name, ...paired(ndcg(own, some), ndcg(best, some), seed) };
      const result = {
        users: some.length,
        metrics: metricsOf(own, some),
        intervals: intervalsIn(own.perUser, some, seed),
        baselines: Object.fromEntries(beside),
        ...(against && { against }),
        ...(some.length < FEWEST && { few: true as const }),
      };
      return [value, result];
    });
    const enough = filled.filter(({ some }) => some.length >= FEWEST);
    const compared = compareGroups(enough, own, others, best, targets, seed);
    return { name: column.name, groups, compared: { note: column.note, ...compared } };
  });
  const exposure = options.items.map((column) => {
    const { catalog, interactions } = groupShares(column, facts.counts);
    const [listed, ...beside] = [own, ...others].map(({ lists }) => groupExposure(lists, column));
    const values = column.values.map((value, g): [string, ExposureRow] => {
      const baselines = Object.fromEntries(others.map(({ name }, i) => [name, beside[i][g]]));
      return [value, { catalog: catalog[g], interactions: interactions[g], exposure: listed[g], baselines }];
    });
    const filled = values.filter(([, row]) => row.catalog > 0);
    return [column.name, { note: column.note, values: Object.fromEntries(filled) }] as const;
  });
  const lists = [own, ...others].map((of) => {
    const { PopularityPercentage, TailPercentage } = popularityPercentages(of.lists, facts.counts);
    const parts = { 'PopularityPercentage@10': PopularityPercentage, 'TailPercentage@10': TailPercentage };
    return [of.name, { ...listMetrics(of, known, everyone), ...parts }] as const;
  });
  const byPopularity = options.items.some(({ name }) => name === 'popularity')
    ? [['popularity', Object.fromEntries(bySlices(model, baselines))] as const]
    : [];
  return {
    groups: Object.fromEntries([
      ...columns.map(({ name, groups }) => [name, Object.fromEntries(groups)] as const),
      ...byPopularity,
    ]),
    columns: Object.fromEntries(columns.map(({ name, compared }) => [name, compared])),
    exposure: Object.fromEntries(exposure),
    lists: Object.fromEntries(lists),
  };
}

/** Gaps between groups with enough users, and unfairness. */
function compareGroups(
  enough: readonly { value: string; some: readonly number[] }[],
  own: Audited,
  others: readonly Audited[],
  best: Audited | null,
  targets: readonly Uint32Array[],
  seed: number,
): Omit<ColumnResult, 'note'> {
  if (enough.length < 2) return { gaps: {} };
  const members = enough.flatMap(({ some }) => some);
  const labels = Uint32Array.from(enough.flatMap(({ some }, g) => some.map(() => g)));
  const names = enough.map(({ value }) => value);
  const gaps = [own, ...others].map((of): [string, Gaps] => {
    const columns = GAPS.map((metric) => Float64Array.from(members, (i) => of.perUser[metric][i]));
    const found = gapsOf(columns, labels, names, seed);
    return [of.name, Object.fromEntries(GAPS.map((metric, m) => [metric, found[m]])) as Gaps];
  });
  const advantageOver = (other: Audited): ColumnResult['advantage'] => {
    const gains = Float64Array.from(members, (i) => ndcgOf(own, i) - ndcgOf(other, i));
    return { baseline: other.name, p: gapsOf([gains], labels, names, seed)[0].p };
  };
  const listed = ({ lists }: Audited) => {
    const some = new Uint32Array(members.length * KEPT);
    members.forEach((i, at) => some.set(lists.lists.subarray(i * KEPT, (i + 1) * KEPT), at * KEPT));
    return { lists: some, length: KEPT, targets: members.map((i) => targets[i]) };
  };
  const tested = testUnfairness(listed(own), labels, names.length, seed);
  const beside = others.map((of) => ({ name: of.name, values: unfairness(listed(of), labels, names.length) }));
  const measures = (Object.keys(tested) as UnfairnessMeasure[]).map((name) => {
    const baselines = Object.fromEntries(beside.map((of) => [of.name, of.values[name]]));
    return [name, { ...tested[name], baselines }];
  });
  return {
    gaps: Object.fromEntries(gaps),
    ...(best && { advantage: advantageOver(best) }),
    unfairness: Object.fromEntries(measures),
  };
}

/** Metrics by the popularity of the targets, which every evaluation has. */
function bySlices(model: FairnessOptions['model'], baselines: readonly AuditedRecommender[]): [string, GroupResult][] {
  const metricsOf = ({ slices }: Pick<AuditedRecommender, 'slices'>, group: string): GroupMetrics => {
    const { users: _, ...metrics } = slices.itemPopularity[group];
    return metrics;
  };
  return Object.entries(model.slices.itemPopularity).map(([value, { users }]) => {
    const beside = baselines.map((of) => [of.name, metricsOf(of, value)]);
    return [value, { users, metrics: metricsOf(model, value), baselines: Object.fromEntries(beside) }];
  });
}

function headlineMeans(perUser: PerUser, some: readonly number[]): GroupMetrics {
  return Object.fromEntries(
    HEADLINES.map((name) => [name, some.reduce((sum, i) => sum + perUser[name][i], 0) / some.length]),
  );
}

function listMetrics(of: Audited, known: Float64Array, some: readonly number[]): GroupMetrics {
  const picked = (values: Float64Array): Float64Array => Float64Array.from(some, (i) => values[i]);
  const lift = popularityLift(picked(of.popularity), picked(known));
  const metrics: GroupMetrics = Number.isNaN(lift) ? {} : { 'PopularityLift@10': lift };
  for (const [name, values] of of.miscalibration) {
    const own = picked(values).filter((value) => !Number.isNaN(value));
    if (own.length > 0) metrics[name] = own.reduce((sum, x) => sum + x, 0) / own.length;
  }
  return metrics;
}

function intervalsIn(perUser: PerUser, some: readonly number[], seed: number): GroupResult['intervals'] {
  const limits = HEADLINES.map((name) => {
    const { low, high } = bootstrap(
      some.map((i) => perUser[name][i]),
      seed,
    );
    return [name, [low, high]];
  });
  return Object.fromEntries(limits);
}

const ndcgOf = ({ perUser }: Audited, i: number): number => perUser['NDCG@10'][i];
const ndcg = (of: Audited, some: readonly number[]): number[] => some.map((i) => ndcgOf(of, i));
const sumOf = (of: Audited): number => of.perUser['NDCG@10'].reduce((sum, x) => sum + x, 0);
