/** TargetMetrics of the simple recommenders, on the same users and candidates as the model's. */
import type { Seen } from '../../train/baselines/metrics.ts';
import { HEADLINES, type Slices } from '../../train/evaluation/collector.ts';
import type { DomainMetrics } from '../../train/evaluation/domains.ts';
import type { Output } from '../common.ts';
import { formatCount, formatMetric, printable, table } from './ui.ts';

export { type BaselineMetrics, baselineMetrics, rankBaseline, type Seen } from '../../train/baselines/metrics.ts';

/** The columns of the tables. */
export const METRIC_COLUMNS = ['NDCG@5', 'NDCG@10', 'NDCG@20', 'HR@5', 'HR@10', 'HR@20', 'MRR'];

const KINDS: Record<string, string> = {
  historyLength: 'history of',
  itemPopularity: 'targets of the',
  users: 'users',
};
const GROUPS: Record<string, string> = { cold: 'cold (nothing to learn from)' };

/** The headline metrics of each group with users in it; ways to look at it that tell nothing apart are left out. */
export function slicesTable(slices: Slices): string {
  const rows: (string | number)[][] = [];
  for (const [kind, groups] of Object.entries(slices)) {
    if (Object.keys(groups).length < 2) continue;
    for (const [name, slice] of Object.entries(groups)) {
      const label = `${KINDS[kind] ?? kind} ${GROUPS[name] ?? name}${kind === 'historyLength' ? ' events' : ''}`;
      rows.push([label, formatCount(slice.users), ...HEADLINES.map((metric) => formatMetric(slice[metric]))]);
    }
  }
  return rows.length > 0 ? table(['', 'users', ...HEADLINES], rows) : '';
}

/** Metrics by the domain of the target. */
export interface Domains {
  /** The attribute of the items. */
  column: string;
  values: ReadonlyMap<string, DomainMetrics>;
}

export function domainsTable({ column, values }: Domains): string {
  const rows = [...values].map(([domain, { users, items, metrics, within }]) => [
    printable(domain || '(none)'),
    formatCount(users),
    ...HEADLINES.map((name) => formatMetric(metrics[name])),
    formatCount(items),
    ...HEADLINES.map((name) => formatMetric(within[name])),
  ]);
  return table(
    [`targets by ${printable(column)}`, 'users', ...HEADLINES, 'among its', ...HEADLINES.map((name) => `${name} `)],
    rows,
  );
}

/** Says how many targets no recommender can hit while seen items are excluded. */
export function noteRepeats(share: number, seen: Seen, out: Output): void {
  if (share === 0) return;
  const percent = `${(100 * share).toFixed(1)} %`;
  if (seen === 'kept') {
    out.note(`${percent} of the targets are already in the user's history; seen items are kept, so they count.`);
    return;
  }
  const advice = share > 0.05 ? ' Where people come back for the same things, use --include-seen.' : '';
  out.note(
    `${percent} of the targets are already in the user's history: misses, since seen items are excluded.${advice}`,
  );
}
