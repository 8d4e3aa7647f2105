/** What `evaluate --groups` prints: a table for each column, and what lists are like. */
import { UNFAIRNESS } from '../../train/fairness/unfairness.ts';
import {
  type ExposureRow,
  type FairnessReport,
  FEWEST,
  type GroupResult,
  MODEL_KEY,
} from '../../train/fairness/report.ts';
import type { Gap } from '../../train/fairness/gaps.ts';
import type { Output } from '../common.ts';
import { formatCount, formatMetric, printable, table } from './ui.ts';

/** A share as a percentage. */
const percent = (share: number): string => `${(100 * share).toFixed(1)}%`;

export function tellFairness(report: FairnessReport, out: Output): void {
  for (const [column, groups] of Object.entries(report.groups)) tellColumn(column, groups, report, out);
  for (const [name, { note, values }] of Object.entries(report.exposure)) {
    out.line(`\n${exposureTable(name, values)}`);
    if (note) out.line(`${note}.`);
  }
  out.line(`\n${listsTable(report.lists)}`);
}

function tellColumn(
  column: string,
  groups: Readonly<Record<string, GroupResult>>,
  report: FairnessReport,
  out: Output,
): void {
  const rows = Object.entries(groups);
  const names = Object.keys(rows[0]?.[1].baselines ?? {});
  const [, compared] = Object.entries(report.columns).find(([name]) => name === column) ?? [];
  const spread = rows.some(([, { intervals }]) => intervals);
  const head = [column, 'users', 'NDCG@10', ...(spread ? ['from', 'to'] : []), 'HR@10', ...names];
  const lines = rows.map(([value, { users, metrics, intervals, baselines, few }]) => [
    few ? `${value} (few)` : value,
    formatCount(users),
    formatMetric(metrics['NDCG@10']),
    ...(spread ? (intervals?.['NDCG@10'] ?? []).map(formatMetric) : []),
    formatMetric(metrics['HR@10']),
    ...Object.values(baselines).map((of) => formatMetric(of['NDCG@10'])),
  ]);
  const all = Object.entries(compared?.gaps ?? {});
  const own = all.find(([name]) => name === MODEL_KEY)?.[1];
  if (own) {
    const beside = all.filter(([name]) => name !== MODEL_KEY).map(([, gaps]) => gaps['NDCG@10']);
    const line = (label: string, of: (gap: Gap) => string): string[] => [
      label,
      '',
      of(own['NDCG@10']),
      '',
      '',
      of(own['HR@10']),
      ...beside.map(of),
    ];
    lines.push(line('gap', ({ difference }) => formatMetric(difference)));
    lines.push(line('p', ({ p }) => formatMetric(p)));
  }
  out.line(`\n${table(head, lines)}`);
  if (compared?.note) out.line(`${compared.note}.`);
  if (rows.some(([, { few }]) => few))
    out.line(`${column}: groups of fewer than ${FEWEST} users are left out of gap and p.`);
  if (compared?.advantage) {
    const { baseline, p } = compared.advantage;
    out.line(
      `${column}: what the model gains over ${baseline} is the same for all groups with p = ${formatMetric(p)}.`,
    );
  }
  const { unfairness } = compared ?? {};
  if (!unfairness) return;
  const digits = (value: number): string => value.toFixed(5);
  const measures = UNFAIRNESS.map((name) => {
    const { value, chance, p, baselines } = unfairness[name];
    return [name, digits(value), digits(chance), formatMetric(p), ...Object.values(baselines).map(digits)];
  });
  out.line(`\n${table([`${column}: unfairness`, MODEL_KEY, 'by chance', 'p', ...names], measures)}`);
}

function exposureTable(name: string, values: Readonly<Record<string, ExposureRow>>): string {
  const rows = Object.entries(values);
  const names = Object.keys(rows[0]?.[1].baselines ?? {});
  return table(
    [`${name}: exposure`, 'catalog', 'events', MODEL_KEY, ...names],
    rows.map(([value, { catalog, interactions, exposure, baselines }]) => [
      value,
      percent(catalog),
      percent(interactions),
      percent(exposure),
      ...Object.values(baselines).map(percent),
    ]),
  );
}

function listsTable(lists: FairnessReport['lists']): string {
  const rows = Object.entries(lists);
  const names = Object.keys(rows[0][1]);
  return table(
    ['lists', ...names.map(printable)],
    rows.map(([name, metrics]) => {
      const own = new Map(Object.entries(metrics));
      return [name, ...names.map((metric) => formatMetric(own.get(metric)))];
    }),
  );
}
