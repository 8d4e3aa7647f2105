/** `attune compare A B`: two recommenders on the same users and candidates, with a paired test. */
import type { CompareFlags } from './compare.flags.ts';
import { existsSync } from 'node:fs';
import type { Dataset } from '../../data/dataset.ts';
import { InputError } from '../../data/errors.ts';
import { describeProtocol, describeTask, describeTime, sameProtocol } from '../../data/splits/protocol.ts';
import type { Split } from '../../data/splits/split.ts';
import type { Device } from '../../engine/index.ts';
import { BASELINES } from '../../train/baselines/all-baselines.ts';
import { HEADLINES, type PerUser, type TargetMetrics, trainingFacts } from '../../train/evaluation/collector.ts';
import type { Metrics } from '../../train/evaluation/metrics.ts';
import { evaluateBaseline } from '../../train/evaluation/ranking.ts';
import { type Difference, paired } from '../../train/evaluation/statistics.ts';
import { openDevice, Output } from '../common.ts';
import { UsageError } from '../errors.ts';
import {
  type Judged,
  openLogOf,
  openJudged,
  splitFor,
  protocolOf,
  rankByModel,
  requireHeldOut,
  requireTimes,
} from '../evaluation.ts';
import { METRIC_COLUMNS, type Seen } from '../output/metrics.ts';
import { metricsTable, formatCount, formatMetric, printable, table } from '../output/ui.ts';

/** A recommender to compare: a model's folder, or a baseline. */
type Contender = { name: string; model: Judged } | { name: string; model: null };

export async function runCompare(names: readonly [string, string], flags: CompareFlags): Promise<void> {
  const out = new Output(flags.json);
  if (names[0] === names[1]) throw new UsageError(`${names[0]}: compared with itself; name two recommenders`);
  const contenders = [await openContender(names[0], out), await openContender(names[1], out)] as const;
  const models = contenders.flatMap(({ model }) => model ?? []);
  if (models.length === 0) throw new UsageError(`${names.join(' and ')} are both baselines; name a model folder, too`);
  if (models.length === 2) requireSameTerms(models[0], models[1], flags);
  const seen: Seen = flags.includeSeen ? 'kept' : models[0].loaded.config.seen;
  const dataset = await openLogOf(models[0], flags, out, models);
  const device = await openDevice(flags.device, out);
  try {
    const shared = flags.sharedItems ? sharedIds(models, names) : null;
    const terms = { other: models[0], dataset, seen, shared, device };
    const first = await rank(contenders[0], terms, flags, out);
    const second = await rank(contenders[1], terms, flags, out);
    const [a, b] = shared ? onSameTargets(first, second, flags.split, names) : [first, second];
    requireSameUsers(a, b, names);
    const differences = differencesOf(a.evaluation, b.evaluation, flags.seed);
    const { split } = a;
    requireTimes(models, split, flags, out);
    const describe = ({ name, model }: Contender, { evaluation }: Ranked) => ({
      name,
      kind: model ? 'model' : 'baseline',
      ...(model && { recipe: model.loaded.config.recipe, step: model.loaded.weights.step }),
      metrics: evaluation.metrics,
    });
    out.object({
      protocol: split.protocol.name,
      protocolParameters: split.protocol.parameters,
      split: flags.split,
      seen,
      requestTime: flags.requestTime,
      users: a.evaluation.users,
      items: shared?.size ?? split.items,
      a: describe(contenders[0], a),
      b: describe(contenders[1], b),
      test: { method: 'paired randomization', interval: 'bootstrap', level: 0.95, seed: flags.seed },
      differences,
    });
    out.line(
      `\n${flags.split}: ${describeTask(split.protocol, flags.split, shared?.size ?? split.items)}, seen items ${seen}, ` +
        `${formatCount(a.evaluation.users)} users; protocol ${describeProtocol(split.protocol)}; ${describeTime(flags.requestTime)}`,
    );
    const columns = shared ? HEADLINES : METRIC_COLUMNS;
    out.line(metricsTable({ [names[0]]: a.evaluation.metrics, [names[1]]: b.evaluation.metrics }, columns));
    out.line(`\n${differencesTable(differences)}`);
    out.line(`\n${verdict([printable(names[0]), printable(names[1])], differences['NDCG@10'])}`);
  } finally {
    device.close();
  }
}

/** A name is a folder where there is one; else it must be a baseline's. */
async function openContender(name: string, out: Output): Promise<Contender> {
  if (!existsSync(name) && Object.hasOwn(BASELINES, name)) return { name, model: null };
  if (!existsSync(name)) {
    throw new InputError(
      'not-found',
      `${name}: no such folder, and no baseline; those are ${Object.keys(BASELINES).join(', ')}`,
    );
  }
  return { name, model: await openJudged(name, out) };
}

/** Two models that were made on different terms have no common targets or candidates. */
function requireSameTerms(a: Judged, b: Judged, flags: CompareFlags): void {
  const [x, y] = [a.loaded.config, b.loaded.config];
  const refuse = (what: string, own: string, other: string, advice: string): never => {
    throw new InputError(
      'mismatched-data',
      `${a.dir} and ${b.dir}: ${what} differ (${own} and ${other}), so their metrics are not comparable; ${advice}`,
    );
  };
  const rating = (value: number | null) => (value === null ? 'none' : String(value));
  const again = 'train both alike';
  if (x.data.minInteractions !== y.data.minInteractions) {
    refuse('the k-cores', `--min-interactions ${x.data.minInteractions}`, `${y.data.minInteractions}`, again);
  }
  if (x.data.minRating !== y.data.minRating) {
    refuse('the least ratings', `--min-rating ${rating(x.data.minRating)}`, rating(y.data.minRating), again);
  }
  const ids = new Set(b.loaded.items.map(({ id }) => id));
  const missing = a.loaded.items.filter(({ id }) => !ids.has(id)).length;
  if (!flags.sharedItems && (missing > 0 || a.loaded.items.length !== ids.size)) {
    const without = missing > 0 ? ` without ${formatCount(missing)} of them` : '';
    const advice = `${again}, or rank what both know (--shared-items)`;
    refuse('the catalogs', `${formatCount(a.loaded.items.length)} items`, `${formatCount(ids.size)}${without}`, advice);
  }
  const [p, q] = [protocolOf(a), protocolOf(b)];
  if (!flags.protocol && !sameProtocol(p, q)) {
    refuse(
      'the protocols',
      describeProtocol(p),
      describeProtocol(q),
      `${again}, or name one that suits both with --protocol`,
    );
  }
  if (!flags.includeSeen && x.seen !== y.seen) {
    refuse('what becomes of seen items', x.seen, y.seen, `${again}, or keep them for both with --include-seen`);
  }
}

interface Ranked {
  split: Split;
  evaluation: TargetMetrics;
}

/** What both rank on. */
interface Terms {
  /** The model that a baseline learns like. */
  other: Judged;
  dataset: Dataset;
  seen: Seen;
  /** IDs of the items that are candidates; null: all. */
  shared: ReadonlySet<string> | null;
  device: Device;
}

async function rank(
  { name, model }: Contender,
  { other, dataset, seen, shared, device }: Terms,
  flags: CompareFlags,
  out: Output,
): Promise<Ranked> {
  // A baseline learns from the training part of the model that it is compared with.
  const split = await splitFor(model ?? other, dataset, flags, out);
  await requireHeldOut(model ?? other, split, flags, out);
  const facts = trainingFacts(split);
  if (model) {
    const { split: part, requestTime } = flags;
    const others =
      shared && Uint32Array.from(split.dataset.itemIds.flatMap((id, row) => (shared.has(id) ? [] : [row])));
    const outside = others ? { outside: () => others } : {};
    const options = { split: part, includeSeen: seen === 'kept', requestTime, facts, ...outside };
    return { split, evaluation: await rankByModel(device, model, split, options, flags.progress) };
  }
  const baseline = await BASELINES[name](device, split, seen);
  const evaluation = evaluateBaseline(split, baseline, { split: flags.split, seen, facts });
  if (!evaluation) throw new InputError('too-little-data', `${flags.data}: no user has a target`);
  return { split, evaluation };
}

/** Items that both models know. @throws where there are none, or a baseline, which learns from the log alone */
function sharedIds(models: readonly Judged[], names: readonly string[]): Set<string> {
  if (models.length < 2) throw new UsageError('--shared-items: compares two models; a baseline knows all items');
  const [a, b] = models.map(({ loaded }) => loaded.items.map(({ id }) => id));
  const known = new Set(b);
  const both = new Set(a.filter((id) => known.has(id)));
  if (both.size === 0) throw new InputError('mismatched-data', `${names.join(' and ')}: no item that both know`);
  return both;
}

/** The users whose target is the same item for both: with histories of one log it is the same event. */
function onSameTargets(a: Ranked, b: Ranked, part: 'valid' | 'test', names: readonly string[]): [Ranked, Ranked] {
  if (a.split.manyTargets) throw new UsageError('--shared-items: requires a protocol with one target for each user');
  const targetOf = ({ split }: Ranked, user: number) => split.dataset.itemIds[split.targets(user, part)[0]];
  const users = new Set(b.evaluation.perUser.users);
  const same = new Set(a.evaluation.perUser.users.filter((u) => users.has(u) && targetOf(a, u) === targetOf(b, u)));
  if (same.size === 0)
    throw new InputError('too-little-data', `${names.join(' and ')}: no user has the same target for both`);
  return [ofUsers(a, same), ofUsers(b, same)];
}

function ofUsers({ split, evaluation }: Ranked, kept: ReadonlySet<number>): Ranked {
  const { perUser } = evaluation;
  const at = Array.from(perUser.users, (_, i) => i).filter((i) => kept.has(perUser.users[i]));
  const values = HEADLINES.map((name) => [name, Float64Array.from(at, (i) => perUser[name][i])] as const);
  const metrics = Object.fromEntries(values.map(([name, of]) => [name, of.reduce((sum, x) => sum + x, 0) / of.length]));
  const own = { users: Uint32Array.from(at, (i) => perUser.users[i]), ...Object.fromEntries(values) } as PerUser;
  return { split, evaluation: { ...evaluation, users: at.length, metrics: metrics as Metrics, perUser: own } };
}

/** By construction they are the same; metrics of other users must never pass as paired. */
function requireSameUsers(a: Ranked, b: Ranked, names: readonly string[]): void {
  const [x, y] = [a.evaluation.perUser.users, b.evaluation.perUser.users];
  if (
    x.length === y.length &&
    x.every((user, i) => user === y[i]) &&
    sameProtocol(a.split.protocol, b.split.protocol)
  ) {
    return;
  }
  throw new InputError(
    'mismatched-data',
    `${names.join(' and ')}: they rank different users (${formatCount(x.length)} and ${formatCount(y.length)}) or under different protocols`,
    { hint: 'train both on the same log' },
  );
}

function differencesOf(
  a: TargetMetrics,
  b: TargetMetrics,
  seed: number,
): Record<(typeof HEADLINES)[number], Difference> {
  const of = (name: (typeof HEADLINES)[number]) => paired(b.perUser[name], a.perUser[name], seed);
  return { 'NDCG@10': of('NDCG@10'), 'HR@10': of('HR@10'), MRR: of('MRR') };
}

function differencesTable(differences: Readonly<Record<string, Difference>>): string {
  const signed = (value: number) => `${value < 0 ? '-' : '+'}${formatMetric(Math.abs(value))}`;
  const rows = Object.entries(differences).map(([name, { mean, low, high, p }]) => [
    name,
    signed(mean),
    signed(low),
    signed(high),
    p < 0.0002 ? '0.0001' : p.toFixed(4),
  ]);
  return table(['B - A', 'difference', '95 % from', 'to', 'p'], rows);
}

function verdict([a, b]: readonly [string, string], { mean, p }: Difference): string {
  if (p >= 0.05 || mean === 0) {
    return `By NDCG@10 the difference between ${a} (A) and ${b} (B) may well be chance (p = ${p.toFixed(3)}).`;
  }
  const [better, worse] = mean > 0 ? [`${b} (B)`, `${a} (A)`] : [`${a} (A)`, `${b} (B)`];
  return `By NDCG@10 ${better} ranks better than ${worse}; a difference like this comes by chance with probability ${p < 0.001 ? 'below 0.001' : p.toFixed(3)}.`;
}
