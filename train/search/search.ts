/**
 * Hyperparameter search: random settings (Bergstra & Bengio, JMLR 2012) under successive halving (Jamieson & Talwalkar,
 * AISTATS 2016). A bracket starts many trials for a few epochs, continues the best third for three times as long, and so
 * on until one is left; then the next bracket starts. What is tried and what continues follows from the seed and from
 * metrics at fixed epochs, never from the clock, so that a search that was stopped continues as if it had not been.
 */
import { InputError } from '../../data/errors.ts';
import { seeded } from '../../data/random.ts';

/** Values that a setting is drawn from: some to choose from, or all between two. */
export type Range =
  | { values: readonly (number | string)[] }
  | { low: number; high: number /** Drawn as exp of a uniform number. */; log: boolean; whole: boolean };

export type Ranges = Readonly<Record<string, Range>>;

/** How many trials a bracket starts, for how long, and which share continues. */
export interface Halving {
  /** Trials of the first rung. */
  trials: number;
  /** Epochs of the first rung. */
  epochs: number;
  /** One in so many continues, for as many times the epochs. */
  eta: number;
}

export interface Outcome {
  /** Epochs in all when it was measured. */
  epochs: number;
  /** Best validation NDCG@10 so far; null where the training failed. */
  ndcg: number | null;
}

export interface Trial {
  id: number;
  bracket: number;
  /** Drawn settings; the first trial of a search has none: the recipe's own. */
  set: Record<string, string>;
  /** One for each rung that it has reached. */
  outcomes: Outcome[];
  /** Why the training failed. */
  failure?: string;
}

export interface TrialJob {
  trial: Trial;
  rung: number;
  /** Train until so many epochs in all. */
  epochs: number;
}

/** What recipes are searched over, as far as they have such settings. */
const RANGES: Ranges = {
  learningRate: { low: 3e-4, high: 3e-3, log: true, whole: false },
  dropout: { values: [0.1, 0.2, 0.3, 0.4, 0.5] },
  d: { values: [32, 64, 128] },
  ff: { values: [128, 256, 512] },
  blocks: { values: [1, 2, 3] },
  heads: { values: [1, 2, 4] },
  window: { values: [50, 100, 200] },
  budget: { values: [2048, 4096, 8192] },
  weightDecay: { values: [0, 0.01, 0.1] },
};

/** The ranges of a recipe with these settings; those that `fixed` names stay as they are. */
export function rangesFor(settings: object, fixed: Iterable<string>, own: Ranges = {}): Ranges {
  const still = new Set(fixed);
  const usual = Object.entries(RANGES).filter(([key]) => Object.hasOwn(settings, key) && !still.has(key));
  return { ...Object.fromEntries(usual), ...own };
}

/**
 * `key=0.0003..0.003` (from 1 to 10 times or more on a logarithmic scale; integers where both ends are) or
 * `key=32,64,128`.
 * @throws InputError where it is neither
 */
export function parseRange(text: string): [string, Range] {
  const at = text.indexOf('=');
  const [key, value] = [text.slice(0, at).trim(), text.slice(at + 1).trim()];
  const fail = (): never => {
    throw new InputError('invalid-value', 'expected key=low..high or key=value,value,...', {
      setting: 'range',
      value: text,
    });
  };
  if (at < 1 || value === '') return fail();
  if (!value.includes('..')) {
    const values = value.split(',').map((part) => part.trim());
    if (values.some((part) => part === '')) return fail();
    return [key, { values: values.map((part) => (Number.isFinite(Number(part)) ? Number(part) : part)) }];
  }
  const [low, high] = value.split('..').map((part) => (part.trim() === '' ? Number.NaN : Number(part)));
  if (!(Number.isFinite(low) && Number.isFinite(high) && low < high)) return fail();
  const whole = Number.isInteger(low) && Number.isInteger(high);
  return [key, { low, high, whole, log: low > 0 && high / low >= 10 }];
}

/** Draws at most before settings that make a model are given up on. */
const ATTEMPTS = 200;

/**
 * The settings of a trial: everything follows from the seed and its number.
 * @param accept throws an InputError for settings that make no model; others are drawn then
 */
export function drawSettings(
  ranges: Ranges,
  seed: number,
  id: number,
  accept: (set: Record<string, string>) => void,
): Record<string, string> {
  const random = seeded(seed, id);
  let refusal: unknown;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const set: Record<string, string> = {};
    for (const [key, range] of Object.entries(ranges)) {
      if ('values' in range) set[key] = String(range.values[random.below(range.values.length)]);
      else set[key] = String(between(range, random.next()));
    }
    try {
      accept(set);
      return set;
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      refusal = error;
    }
  }
  throw refusal;
}

function between({ low, high, log, whole }: Extract<Range, { low: number }>, share: number): number {
  const value = log ? low * (high / low) ** share : low + (high - low) * share;
  if (whole) return Math.round(value);
  // Three digits say enough, and read well in a command line.
  return Number(value.toPrecision(3));
}

/**
 * What can be trained now, in the order in which one process does it: what is left of the current rung of the last bracket, from
 * the first rung on; a new bracket once one is done. The outcome of any of these decides nothing about the others.
 *
 * @param trials in the order in which they were started; nothing is changed
 * @param draw settings of a new trial
 */
export function openJobs(
  trials: readonly Trial[],
  { trials: width, epochs, eta }: Halving,
  draw: (id: number) => Record<string, string>,
): TrialJob[] {
  const bracket = trials.at(-1)?.bracket ?? 0;
  const own = trials.filter((trial) => trial.bracket === bracket);
  let members: readonly Trial[] = own;
  for (let rung = 0, size = width; size >= 1; rung++, size = Math.floor(size / eta)) {
    const until = epochs * eta ** rung;
    const open = members.filter((trial) => !trial.failure && trial.outcomes.length <= rung);
    const jobs: TrialJob[] = open.map((trial) => ({ trial, rung, epochs: until }));
    if (rung === 0) for (let i = own.length; i < width; i++) jobs.push(start(trials.length + i - own.length, bracket));
    if (jobs.length > 0) return jobs;
    members = best(members, rung).slice(0, Math.floor(size / eta));
    if (members.length === 0) break;
  }
  return Array.from({ length: width }, (_, i) => start(trials.length + i, bracket + 1));

  function start(id: number, bracket: number): TrialJob {
    return { trial: { id, bracket, set: id === 0 ? {} : draw(id), outcomes: [] }, rung: 0, epochs };
  }
}

/** Those that were measured at a rung, best first, earlier ones first among equals. */
function best(members: readonly Trial[], rung: number): Trial[] {
  const metric = (trial: Trial) => trial.outcomes[rung]?.ndcg ?? Number.NEGATIVE_INFINITY;
  return members
    .filter((trial) => metric(trial) > Number.NEGATIVE_INFINITY)
    .toSorted((a, b) => metric(b) - metric(a) || a.id - b.id);
}

/** Every trial with a metric, the one with the highest first (at whatever rung), earlier ones first among equals. */
export function standings(trials: readonly Trial[]): { trial: Trial; ndcg: number; epochs: number }[] {
  return trials
    .flatMap((trial) => {
      const last = trial.outcomes.at(-1);
      return last && last.ndcg !== null ? [{ trial, ndcg: last.ndcg, epochs: last.epochs }] : [];
    })
    .sort((a, b) => b.ndcg - a.ndcg || a.trial.id - b.trial.id);
}
