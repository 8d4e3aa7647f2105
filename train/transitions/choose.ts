/**
 * Chooses how item transitions are learned, and how a history is read, for a log: each candidate is learned from the training
 * events and ranks the validation targets; the best criterion (evaluation/metrics.ts) wins, the earlier one among equals. What
 * suits a shop (order matters) does not suit readers or listeners (taste does). How many candidates are tried follows from the
 * size of the log alone, so that one log gives one choice everywhere.
 */
import type { Split } from '../../data/splits/split.ts';
import type { Device } from '../../engine/index.ts';
import { type ItemTransitions, recency, type TransitionSettings } from '../../model/transitions/transitions.ts';
import { exclusions } from '../evaluation/candidates.ts';
import { CRITERION_DEPTH, criterionOf } from '../evaluation/metrics.ts';
import { Stopped } from '../loop/time-budget.ts';
import { dampingOf, learnTransitions, methodFor, withDamping } from './learn.ts';

/**
 * The most useful ones first, as they were found greedily on a family of logs (bench/quality). The first is what is learned
 * where a log is too large to try more, or has no validation targets.
 */
const CANDIDATES: readonly Partial<TransitionSettings>[] = [
  { learningPower: 0.7, backward: 0.3, lambda: 300 },
  { learningPower: 0.3, backward: 1, lambda: 1000 },
  { learningPower: 2, backward: 0.3, lambda: 20 },
  { learningPower: 0.3, backward: 0.3, lambda: 80 },
  { learningPower: 1.2, backward: 0.3, lambda: 20 },
  { learningPower: 2, backward: 0, lambda: 5 },
  { orderFree: true, lambda: 100, last: 200 },
  { orderFree: true, lambda: 500, last: 200 },
];
/** How a history is read, for each of them: powers of the recency; the first is that of the examples, where nothing is tried. */
const POWERS = [0, 0.3, 0.7, 1.2, 2];
/** Powers of an item's training events that its scores are divided by. */
const DAMPINGS = [0, 0.25];
/** Operations of all solutions together: V³ for each exact one; fewer on the CPU device. */
const OPERATIONS = 1e11;
const OPERATIONS_CPU = 2e10;
/** Training events of all candidates together where each item has a regression of its own. */
const EVENTS = 2_000_000;

export interface ChoiceOptions {
  /** Users with a validation target; without any, nothing is tried. */
  users: Uint32Array;
  seen: 'excluded' | 'kept';
  /** Awaited after each piece of work with the share that is done, 0 to 1; it may throw to stop. */
  pause?(done: number): Promise<void>;
}

/** Item transitions as they suit the log. */
export async function chooseTransitions(
  device: Device,
  split: Split,
  { users, seen, pause = async () => {} }: ChoiceOptions,
): Promise<ItemTransitions> {
  const tried = possible(device, split).slice(0, users.length > 0 ? affordable(device, split) : 1);
  const firstOnly = seen === 'excluded';
  let best: { criterion: number; transitions: ItemTransitions } | null = null;
  for (const [i, candidate] of tried.entries()) {
    const progress = (done: number) => pause((i + done) / tried.length);
    try {
      const learning = { ...candidate, firstOnly, pause: (done: number) => progress(0.9 * done) };
      const learned = await learnTransitions(device, split, learning);
      if (users.length === 0) return learned;
      for (const { criterion, settings } of await readings(split, learned, { users, seen, pause: () => progress(0.9) }))
        if (!best || criterion > best.criterion) best = { criterion, transitions: { settings, rows: learned.rows } };
    } catch (error) {
      // Time that is up ends the search; what was found so far is kept.
      if (!best || !(error instanceof Stopped) || error.reason === 'interrupted') throw error;
      break;
    }
  }
  const { transitions } = best as NonNullable<typeof best>;
  return withDamping(split, transitions, transitions.settings.damping ?? 0);
}

/** EASE has no regressions of single items. */
const possible = (device: Device, split: Split) =>
  methodFor(device, split.items) === 'exact' ? CANDIDATES : CANDIDATES.filter(({ orderFree }) => !orderFree);

/** How many candidates a log is small enough for; at least one. */
function affordable(device: Device, split: Split): number {
  const { items } = split;
  if (methodFor(device, items) === 'neighbours') return Math.max(1, Math.floor(EVENTS / split.dataset.items.length));
  return Math.max(1, Math.floor((device.gpu ? OPERATIONS : OPERATIONS_CPU) / items ** 3));
}

/** The criterion over the users' first validation targets, for every way of reading a history. */
async function readings(
  split: Split,
  { settings, rows }: ItemTransitions,
  { users, seen, pause }: Required<ChoiceOptions>,
): Promise<{ criterion: number; settings: TransitionSettings }[]> {
  const { last } = settings;
  const tried = POWERS.flatMap((power) => DAMPINGS.map((damping) => ({ power, damping, criterion: 0 })));
  const recencies = tried.map(({ power }) => recency({ last, power }));
  const factors = tried.map(({ damping }) => dampingOf(split, damping));
  const excluded = exclusions(split, 'valid', seen);
  const scores = new Float64Array(split.items);
  for (const u of users) {
    const history = split.history(u, 'valid');
    const target = split.validTarget(u);
    const out = excluded(u);
    if (out?.includes(target)) continue;
    tried.forEach((one, i) => {
      // Those of one power follow each other: the sums are the same.
      if (i === 0 || tried[i - 1].power !== one.power) {
        scores.fill(0);
        for (let k = 0; k < Math.min(last, history.length); k++) {
          const row = history[history.length - 1 - k];
          for (let e = rows.starts[row]; e < rows.starts[row + 1]; e++)
            scores[rows.columns[e]] += recencies[i][k] * rows.values[e];
        }
        for (const item of out ?? []) scores[item] = Number.NEGATIVE_INFINITY;
      }
      one.criterion += criterionOf(rankOf(scores, factors[i], target)) / users.length;
    });
    await pause(0);
  }
  return tried.map(({ criterion, ...reading }) => ({ criterion, settings: { ...settings, ...reading } }));
}

/** Up to the depth of the criterion, beyond it at least that. Ties and NaN count against the target. */
function rankOf(scores: Float64Array, factors: Float64Array, target: number): number {
  const own = scores[target] * factors[target];
  let rank = 0;
  for (let i = 0; i < scores.length && rank <= CRITERION_DEPTH; i++) if (!(scores[i] * factors[i] < own)) rank++;
  return rank;
}
