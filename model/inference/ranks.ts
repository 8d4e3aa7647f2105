/**
 * Ranks and scores on the host: NaN counts against the target, and is never returned as an answer.
 *
 * Every comparison that makes a rank is written as `!(other < own)`: ties and NaN, on either side, rank before the target,
 * so that broken scores can only make metrics worse.
 */
import { InputError } from '../../data/errors.ts';

/** The pessimistic 1-based rank of the target: how many scores, its own included, are not below `own`. */
export function rankAmong(scores: ArrayLike<number>, own: number): number {
  let rank = 0;
  for (let i = 0; i < scores.length; i++) if (!(scores[i] < own)) rank++;
  return rank;
}

/** Index of the first value that is NaN or infinite; -1 where all are finite. */
export function firstNonFinite(values: ArrayLike<number>): number {
  // Infinity minus itself is NaN, as is NaN minus itself.
  for (let i = 0; i < values.length; i++) if (values[i] - values[i] !== 0) return i;
  return -1;
}

/**
 * What a model returns must be numbers.
 * @param what the values are, for the message: "the scores"
 * @throws InputError where one is NaN or infinite
 */
export function requireFinite<Values extends ArrayLike<number>>(values: Values, what: string): Values {
  const at = firstNonFinite(values);
  if (at < 0) return values;
  throw nonFinite(what, values[at]);
}

/** The error of {@link requireFinite}. */
export function nonFinite(what: string, value: number): InputError {
  return new InputError(
    'damaged-model',
    `the model gives ${what} that are not finite (got ${value}): its weights are damaged or too large`,
    { hint: 'take an intact copy of the model, or train it again' },
  );
}
