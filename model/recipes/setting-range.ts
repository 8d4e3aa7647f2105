/** Bounds of a number among the settings: each setting's row stands in one table beside its declaration. */

import { InputError } from '../../data/errors.ts';

export interface Range {
  integer?: boolean;
  min: number;
  max: number;
  /** Whether the bounds themselves are out of it. */
  above?: boolean;
  below?: boolean;
}

/** The settings that are numbers. */
export type NumberKeys<S> = { [K in keyof S]: S[K] extends number ? K : never }[keyof S];
export type Ranges<S> = Readonly<Record<NumberKeys<S>, Range>>;

export const integer = (min: number, max: number): Range => ({ integer: true, min, max });
export const number = (min: number, max: number, open: Pick<Range, 'above' | 'below'> = {}): Range => ({
  min,
  max,
  ...open,
});
/** From 0 to 1, both included. */
export const SHARE = number(0, 1);
/** From 0 to below 1. */
export const RATE = number(0, 1, { below: true });

const holds = (value: unknown, { integer: whole, min, max, above, below }: Range): boolean =>
  typeof value === 'number' &&
  (above ? value > min : value >= min) &&
  (below ? value < max : value <= max) &&
  (!whole || Number.isInteger(value));

const describe = ({ integer: whole, min, max, above, below }: Range): string =>
  `${whole ? 'an integer' : 'a number'} ${above ? 'above' : 'from'} ${min} to ${below ? 'below ' : ''}${max}`;

/** The error of a setting: the caller's own, or one of a file that is named by `where`. */
export function badSetting(key: string, value: unknown, what: string, where?: string): InputError {
  return where === undefined
    ? new InputError('invalid-value', what, { setting: `settings.${key}`, value })
    : new InputError('damaged-model', `${where}${key}=${value}: ${what}`);
}

/** Refuses numbers out of their range, by `fail(key, what)`. */
export function checkRanges<S extends object>(
  settings: S,
  ranges: Ranges<S>,
  fail: (key: keyof S, what: string) => never,
): void {
  for (const [key, range] of Object.entries(ranges) as [keyof S, Range][]) {
    if (!holds(settings[key], range)) fail(key, `expected ${describe(range)}`);
  }
}
