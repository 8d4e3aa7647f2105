/**
 * The baseline of every rating of a round: factors that have not seen it. Tested ratings have those of all training
 * ratings; a training rating has those of the parts of the training ratings that it does not belong to, so that the
 * transformer learns from errors as large as those it will meet.
 */
import { folds } from '../../data/splits/folds.ts';
import type { Ratings } from '../../data/ratings/ratings.ts';
import { factorScore } from '../../model/ratings/factors.ts';
import { type FactorOptions, type FittedFactors, fitFactors } from './factors.ts';

export interface RatingBaseline {
  /** Of all training ratings. */
  factors: FittedFactors;
  /** By row, in standard units; 0 for rows of neither part. */
  base: Float32Array;
  /** By row, what is predicted of the item by its attributes alone; null where they are not read. */
  cold: Float32Array | null;
  /** What biases alone predict for tested rows, in the ratings' units; NaN elsewhere. */
  biases: Float32Array;
  /** Mean squared errors of both over the training ratings, in standard units. */
  spread: number;
  coldSpread: number;
}

export interface RatingBaselineOptions extends FactorOptions {
  parts: number;
  /** Whether ratings are also predicted as if their items were unrated. */
  cold: boolean;
}

/** Yields the share done; given `true`, it hurries. */
export function* fitBaseline(
  ratings: Ratings,
  train: Uint32Array,
  test: Uint32Array,
  options: RatingBaselineOptions,
): Generator<number, RatingBaseline, boolean | undefined> {
  const { user, item, value, size } = ratings;
  const parts = Math.min(options.parts, train.length);
  const runs = parts + 2;
  const base = new Float32Array(size);
  const biases = new Float32Array(size).fill(Number.NaN);

  const cold = options.cold ? new Float32Array(size) : null;

  const simple = yield* share(fitFactors(ratings, train, { ...options, factors: 0, known: null }), 0, runs);
  for (const row of test) biases[row] = simple.mean + simple.std * predict(simple, user[row], item[row]);
  const factors = yield* share(fitFactors(ratings, train, options), 1, runs);
  const { mean, std } = factors;
  const coldFactors = (f: FittedFactors): FittedFactors => ({ ...f, items: f.expectedItems });
  for (const row of test) {
    base[row] = predict(factors, user[row], item[row]);
    if (cold) cold[row] = predict(coldFactors(factors), user[row], item[row]);
  }
  for (const [i, { train: rest, test: left }] of folds(train.length, parts, options.seed).entries()) {
    const rows = rest.map((at) => train[at]);
    const part = yield* share(fitFactors(ratings, rows, options), 2 + i, runs);
    const inUnits = (v: number) => (part.mean + part.std * v - mean) / std;
    for (const at of left) {
      const row = train[at];
      base[row] = inUnits(predict(part, user[row], item[row]));
      if (cold) cold[row] = inUnits(predict(coldFactors(part), user[row], item[row]));
    }
  }
  const spreadOf = (predicted: Float32Array): number => {
    let squares = 0;
    for (const row of train) squares += ((value[row] - mean) / std - predicted[row]) ** 2;
    return Math.max(squares / train.length, 1e-4);
  };
  return { factors, base, cold, biases, spread: spreadOf(base), coldSpread: spreadOf(cold ?? base) };
}

function predict(f: FittedFactors, user: number, item: number): number {
  return factorScore(f, f.users.subarray(user * f.n, (user + 1) * f.n), item);
}

/** One of `runs` fits, as a share of them all. */
function* share(
  fit: Generator<number, FittedFactors, boolean | undefined>,
  run: number,
  runs: number,
): Generator<number, FittedFactors, boolean | undefined> {
  let hurry: boolean | undefined;
  for (;;) {
    const { done, value } = fit.next(hurry);
    if (done) return value;
    hurry = yield (run + value) / runs;
  }
}
