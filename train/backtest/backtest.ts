/** A backtest: walks through a log as it happened, and compares strategies of keeping a model up to date. */
import { InputError, option } from '../../data/errors.ts';
import type { Device } from '../../engine/index.ts';
import { type Files, MemoryFiles } from '../../model/storage/files.ts';
import { type Difference, gainOf, paired } from '../evaluation/statistics.ts';
import { type PlanOptions, planTraining, type RankingPlan, type TrainingSource } from '../plan.ts';
import { runPlan } from '../run-plan.ts';
import type { UpdateOptions } from '../update/update-plan.ts';
import { type Answers, judge } from './judge.ts';
import { type Period, periodsOf, type Question, rowsOfLog, secondsOf } from './periods.ts';
import { STRATEGIES, type Strategy, type StrategyName } from './strategies.ts';

export interface BacktestOptions {
  device: Device;
  strategies: readonly StrategyName[];
  /** Length of a period in seconds. */
  every: number;
  /** Of trainings from nothing; filters and what of a user's items counts are also those of the judging. */
  training?: PlanOptions;
  update?: UpdateOptions;
  /** Share of the events that the first model is trained on; 0.5 by default. */
  start?: number;
  /** Events of a user that are predicted in a period, at most; 5 by default. */
  targets?: number;
  /**
   * In total. Without it, validation (or `training.epochs`) ends a training from nothing, and an update has a tenth of
   * the tokens of the first training.
   */
  maxMinutes?: number;
  signal?: AbortSignal;
  /** @param done 0 to 1 */
  onProgress?(what: string, done: number): void;
  log?(line: string): void;
}

/** Means over users, each of the mean over the user's targets. */
export interface Quality {
  users: number;
  'NDCG@10': number;
  'HR@10': number;
}

export interface StrategyResult {
  /** Of users with events before the period, of the others, and of both; null where there were none. */
  warm: Quality | null;
  cold: Quality | null;
  all: Quality | null;
  /** Targets that the model did not know. */
  unknown: number;
  /** What learning took, after the first training, which all have in common. */
  trainings: number;
  seconds: number;
  tokens: number;
}

export interface BacktestResult {
  periods: {
    from: string;
    to: string;
    events: number;
    targets: number;
    warm: number;
    cold: number;
    /** NDCG@10 of all users. */
    'NDCG@10': Partial<Record<StrategyName, number | null>>;
    seconds: Partial<Record<StrategyName, number>>;
  }[];
  /** Seconds of the first training. */
  first: number;
  strategies: Partial<Record<StrategyName, StrategyResult>>;
  /** Differences in NDCG@10, paired over all users. */
  tests: ({ a: StrategyName; b: StrategyName; users: number; error: number } & Difference)[];
}

/** Users that are judged in a period, at most. */
const MOST_USERS = 1000;
/** Of the time in total, for judging. */
const JUDGING = 0.2;
/** Seconds below which no training is worth its start. */
const LEAST_SECONDS = 2;

/** A strategy on its way. */
interface Runner {
  name: StrategyName;
  strategy: Strategy;
  files: Files;
  answers: (Answers | null)[];
  seconds: number[];
  tokens: number;
}

/** @throws InputError where the log has no times, or the time is too short for its periods */
export async function backtest(source: TrainingSource, options: BacktestOptions): Promise<BacktestResult> {
  const started = performance.now();
  const { log } = source;
  const { device, training = {}, update = {}, maxMinutes, signal } = options;
  const { seed = 1, minRating, includeSeen } = training;
  const periods = periodsOf(log, {
    every: options.every,
    start: options.start ?? 0.5,
    targets: options.targets ?? 5,
    users: MOST_USERS,
    minRating,
    includeSeen,
    seed,
  });
  const names = [...new Set(options.strategies)];
  const unit = unitOf(names, periods.length, maxMinutes);
  const steps = 1 + periods.length * (names.length + 1);
  let step = 0;
  const learn = async (what: string, plan: RankingPlan, cost: number) => {
    options.onProgress?.(what, step++ / steps);
    const from = performance.now();
    const deadline = unit === undefined ? undefined : from + unit * cost;
    const trained = await runPlan(plan, { device, files: new MemoryFiles(what), deadline, signal });
    signal?.throwIfAborted();
    return { files: trained.files, tokens: trained.result.tokens, seconds: (performance.now() - from) / 1000 };
  };
  const [{ from: judgedFrom }] = periods;
  const firstCut = judgedFrom - options.every;
  const seconds = secondsOf(log);
  const isOld = (row: number): boolean => seconds[row] < firstCut;
  const rows = periods[0].before.filter(isOld);
  const first = await learn('first training', planTraining({ ...source, log: rowsOfLog(log, rows) }, training), 1);
  options.log?.(`first training: ${rows.length.toLocaleString('en-US')} events, ${first.seconds.toFixed(1)} s`);
  const runners = names.map((name): Runner => {
    return { name, strategy: STRATEGIES[name], files: first.files, answers: [], seconds: [], tokens: 0 };
  });
  const judged: Period[] = [];
  for (const [i, period] of periods.entries()) {
    const late = maxMinutes !== undefined && performance.now() - started > 60_000 * maxMinutes;
    if (late) {
      options.log?.(`the time is up after ${i} of ${periods.length} periods`);
      break;
    }
    const previous = i === 0 ? firstCut : periods[i - 1].from;
    const seen = rowsOfLog(log, period.before, (row) => seconds[row] >= previous);
    for (const runner of runners) {
      const { name, strategy } = runner;
      if (!strategy.plan) continue;
      // Without a limit of time, costs are in tokens: what is learned then depends on no clock.
      const tokens = unit === undefined ? first.tokens * strategy.cost : undefined;
      const plan = await strategy.plan(
        runner.files,
        { ...source, log: seen },
        { training, update: { ...update, tokens } },
      );
      const learned = await learn(`period ${i + 1} of ${periods.length}, ${name}`, plan, strategy.cost);
      runner.files = learned.files;
      runner.seconds.push(learned.seconds);
      runner.tokens += learned.tokens;
    }
    options.onProgress?.(`period ${i + 1} of ${periods.length}, judging`, step++ / steps);
    for (const { strategy, files, answers } of runners) {
      const reads = strategy.reads ? undefined : isOld;
      answers.push(await judge(device, files, period.questions, { log, users: source.users, includeSeen, reads }));
      signal?.throwIfAborted();
    }
    judged.push(period);
    const scores = runners.map(({ name, answers }) => {
      const { all } = qualities([period], [answers[i] as Answers]);
      return `${name} ${all?.['NDCG@10'].toFixed(4) ?? '-'}`;
    });
    options.log?.(`${dateText(period.from)}: NDCG@10 ${scores.join(', ')}`);
  }
  return describe(judged, runners, first.seconds, seed);
}

/** Milliseconds of a training from nothing. @throws InputError where an update would have none */
function unitOf(names: readonly StrategyName[], periods: number, maxMinutes: number | undefined): number | undefined {
  if (maxMinutes === undefined) return undefined;
  const costs = names.map((name) => STRATEGIES[name].cost);
  const units = 1 + periods * costs.reduce((sum, cost) => sum + cost, 0);
  const unit = (60_000 * maxMinutes * (1 - JUDGING)) / units;
  const least = costs.reduce((a, cost) => (cost > 0 ? Math.min(a, cost) : a), 1);
  if (unit * least >= 1000 * LEAST_SECONDS) return unit;
  const needed = Math.ceil((LEAST_SECONDS * units) / (60 * least * (1 - JUDGING)));
  throw new InputError(
    'conflicting-settings',
    `${periods} periods leave ${((unit * least) / 1000).toFixed(1)} s to an update`,
    {
      setting: 'maxMinutes',
      value: maxMinutes,
      hint: `give ${needed} or more, or longer periods (${option('every')})`,
    },
  );
}

const dateText = (seconds: number): string => new Date(1000 * seconds).toISOString().slice(0, 10);

function describe(periods: readonly Period[], runners: readonly Runner[], first: number, seed: number): BacktestResult {
  const answersOf = ({ answers }: Runner): Answers[] => answers as Answers[];
  const strategies: BacktestResult['strategies'] = {};
  for (const runner of runners)
    strategies[runner.name] = {
      ...qualities(periods, answersOf(runner)),
      unknown: answersOf(runner).reduce((sum, { unknown }) => sum + unknown, 0),
      trainings: runner.seconds.length,
      seconds: runner.seconds.reduce((sum, x) => sum + x, 0),
      tokens: runner.tokens,
    };
  const reference = runners.find(({ name }) => name === 'update') ?? runners.at(-1);
  const others = runners.filter((runner) => runner !== reference);
  return {
    periods: periods.map((period, i) => {
      const count = (warm: boolean): number =>
        new Set(period.questions.filter((q) => q.warm === warm).map(({ user }) => user)).size;
      const of = <T>(value: (runner: Runner) => T): Partial<Record<StrategyName, T>> =>
        Object.fromEntries(runners.map((runner) => [runner.name, value(runner)]));
      return {
        from: dateText(period.from),
        to: dateText(period.to),
        events: period.before.length,
        targets: period.questions.length,
        warm: count(true),
        cold: count(false),
        'NDCG@10': of((runner) => qualities([period], [answersOf(runner)[i]]).all?.['NDCG@10'] ?? null),
        seconds: of(({ seconds }) => seconds[i] ?? 0),
      };
    }),
    first,
    strategies,
    tests: others.flatMap((other) => {
      if (!reference) return [];
      const [a, b] = [other, reference].map((runner) => byUserOf(periods, answersOf(runner), 'NDCG@10', () => true));
      if (a.length === 0) return [];
      const { error } = gainOf(a, b);
      return { a: other.name, b: reference.name, users: a.length, error, ...paired(b, a, seed) };
    }),
  };
}

function qualities(
  periods: readonly Period[],
  answers: readonly Answers[],
): Record<'warm' | 'cold' | 'all', Quality | null> {
  const of = (which: (question: Question) => boolean): Quality | null => {
    const ndcg = byUserOf(periods, answers, 'NDCG@10', which);
    const hr = byUserOf(periods, answers, 'HR@10', which);
    const mean = (values: readonly number[]): number => values.reduce((sum, x) => sum + x, 0) / values.length;
    return ndcg.length === 0 ? null : { users: ndcg.length, 'NDCG@10': mean(ndcg), 'HR@10': mean(hr) };
  };
  return { warm: of(({ warm }) => warm), cold: of(({ warm }) => !warm), all: of(() => true) };
}

/** Each user's mean over the user's targets of all periods, in order of first appearance. */
function byUserOf(
  periods: readonly Period[],
  answers: readonly Answers[],
  metric: 'NDCG@10' | 'HR@10',
  which: (question: Question) => boolean,
): number[] {
  const sums = new Map<number, { sum: number; n: number }>();
  for (const [p, { questions }] of periods.entries()) {
    for (const [i, question] of questions.entries()) {
      if (!which(question)) continue;
      const own = sums.get(question.user) ?? { sum: 0, n: 0 };
      own.sum += answers[p][metric][i];
      own.n++;
      sums.set(question.user, own);
    }
  }
  return Array.from(sums.values(), ({ sum, n }) => sum / n);
}
