/** Parsers of what flags take. */
import { InvalidArgumentError } from 'commander';
import { parseTime } from '../../data/formats/times.ts';
import { type Flag, parsed } from './declare.ts';

const numberOf = (text: string): number => (text.trim() === '' ? Number.NaN : Number(text));

/** An integer from `min` on. */
export const integerFlag = (value: string, help: string, min: number): Flag<number | undefined> =>
  parsed(value, help, (text) => {
    const number = numberOf(text);
    if (!Number.isSafeInteger(number) || number < min) throw new InvalidArgumentError(`expected an integer >= ${min}.`);
    return number;
  });

/** A number, of the range where one is given. */
export const numberFlag = (
  value: string,
  help: string,
  range: { above?: number; min?: number; max?: number } = {},
): Flag<number | undefined> =>
  parsed(value, help, (text) => {
    const number = numberOf(text);
    const { above = Number.NEGATIVE_INFINITY, min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY } = range;
    if (Number.isFinite(number) && number > above && number >= min && number <= max) return number;
    const expected = [
      ...(range.above === undefined ? [] : [`> ${range.above}`]),
      ...(range.min === undefined ? [] : [`>= ${range.min}`]),
      ...(range.max === undefined ? [] : [`<= ${range.max}`]),
    ];
    throw new InvalidArgumentError(`expected a number ${expected.join(' and ')}`.trim().concat('.'));
  });

/** A time, as 7d, 2h, 90m, 300s or 1h30m, in seconds. */
export const duration = (value: string, help: string): Flag<number | undefined> =>
  parsed(value, help, (text) => {
    const found = /^(?:(\d+(?:\.\d+)?)d)?(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?$/.exec(
      text.replaceAll(' ', ''),
    );
    const [days, hours, minutes, rest] = Array.from({ length: 4 }, (_, i) => Number(found?.[i + 1] ?? 0));
    const seconds = 86_400 * days + 3600 * hours + 60 * minutes + rest;
    if (seconds <= 0) throw new InvalidArgumentError('expected a time, as 7d, 2h, 90m or 300s.');
    return seconds;
  });

/** A date (in milliseconds since 1970), or a number in the unit of a log. */
export const moment = (value: string, help: string): Flag<number | undefined> =>
  parsed(value, help, (text) => {
    const time = text.trim() === '' ? Number.NaN : parseTime(text.trim());
    if (Number.isNaN(time) || time < 0)
      throw new InvalidArgumentError(
        'expected a date, as 2026-11-30 or 2026-11-30T18:00:00Z, or a time as in the log.',
      );
    return time;
  });

/** `key=value`, as often as it is given. */
export const keyValue = (value: string, help: string, example: string): Flag<ReadonlyMap<string, string> | undefined> =>
  parsed(value, help, (text, previous) => {
    const at = text.indexOf('=');
    if (at < 1) throw new InvalidArgumentError(`expected key=value, as in ${example}.`);
    return new Map(previous).set(text.slice(0, at).trim(), text.slice(at + 1).trim());
  });

/** Numbers by name, as `epsilon=8,delta=1e-6`. */
export const numbersByName = (
  value: string,
  help: string,
  example: string,
): Flag<Readonly<Record<string, number>> | undefined> =>
  parsed(value, help, (text) => {
    const named = text.split(',').map((part): [string, number] => {
      const at = part.indexOf('=');
      return [part.slice(0, Math.max(0, at)).trim(), numberOf(part.slice(at + 1))];
    });
    if (named.some(([name, number]) => name === '' || Number.isNaN(number)))
      throw new InvalidArgumentError(`expected numbers by name, as in ${example}.`);
    return Object.fromEntries(named);
  });

/** Several of them, in order. */
export const list = (value: string, help: string): Flag<string[] | undefined> =>
  parsed(value, help, (text, previous) => [...(previous ?? []), text]);
