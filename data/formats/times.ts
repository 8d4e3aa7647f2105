/**
 * Times as models read them: whole seconds since the earliest event, u32. Only differences matter, so any unit will do;
 * times since 1970 in milliseconds, microseconds or nanoseconds are recognized by their size and divided.
 */
import { columnBlocks, type ValueColumn } from '../column.ts';
import { spanAt } from '../spans.ts';

/** The unit of a column's times; `order` if they are no times since 1970. */
export type TimeUnit = 's' | 'ms' | 'us' | 'ns' | 'order';

/** Units per second. */
export const PER_SECOND: Readonly<Record<TimeUnit, number>> = { s: 1, ms: 1e3, us: 1e6, ns: 1e9, order: 1 };

/** Seconds since 1970, in 1973: smaller numbers count something else. */
const LEAST_EPOCH = 1e8;

/** The unit of times, by the largest of them. */
export function unitOf(most: number): TimeUnit {
  return most < LEAST_EPOCH ? 'order' : most < 1e11 ? 's' : most < 1e14 ? 'ms' : most < 1e17 ? 'us' : 'ns';
}

/** A time in another unit; NaN where only one of the two counts from 1970. */
export function inUnit(time: number, unit: TimeUnit): number {
  const own = unitOf(Math.abs(time));
  if ((own === 'order') !== (unit === 'order')) return Number.NaN;
  return (time / PER_SECOND[own]) * PER_SECOND[unit];
}

/** Milliseconds since 1970. */
export const toMilliseconds = (time: number, unit: TimeUnit): number => (time / PER_SECOND[unit]) * 1e3;

/** Milliseconds since 1970 of a time that can be printed as a date; null for others. */
export function dateOf(time: number, unit: TimeUnit): number | null {
  const ms = toMilliseconds(time, unit);
  return unit !== 'order' && Math.abs(ms) <= 8.64e15 ? ms : null;
}

/** The largest absolute value; NaN is skipped. */
export function largest(times: ArrayLike<number> | ValueColumn<Float64Array>): number {
  let most = 0;
  for (const block of 'subarray' in times ? columnBlocks(times) : [times]) {
    for (let i = 0; i < block.length; i++) {
      const size = Math.abs(block[i] as number);
      if (size > most) most = size;
    }
  }
  return most;
}

/** The least time; NaN is skipped, and infinity returned where nothing else is there. */
export function earliest(times: ArrayLike<number>): number {
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < times.length; i++) if ((times[i] as number) < least) least = times[i] as number;
  return least;
}

/**
 * Whole seconds since the earliest time. Unknown times (NaN) are at the start of a history and get its first known time.
 *
 * @param unit of the times; by default by their size
 * @param least the earliest time
 */
export function toSeconds(
  times: ArrayLike<number>,
  offsets: ArrayLike<number> = [0, times.length],
  unit: TimeUnit = unitOf(largest(times)),
  least = earliest(times),
): Uint32Array {
  const out = new Uint32Array(times.length);
  for (let u = 0; u + 1 < offsets.length; u++) {
    const [from, to] = spanAt(offsets, u);
    let known = from;
    while (known < to && Number.isNaN(times[known])) known++;
    for (let i = from; i < to; i++) {
      const time = times[Math.max(i, Math.min(known, to - 1))] as number;
      if (!Number.isNaN(time)) out[i] = Math.min(0xffffffff, Math.round((time - least) / PER_SECOND[unit]));
    }
  }
  return out;
}

/** Times in seconds, fractions included; those that count something else stay as they are. @param unit by default by their size */
export function inSeconds(times: Float64Array, unit: TimeUnit = unitOf(largest(times))): Float64Array {
  const per = PER_SECOND[unit];
  return per === 1 ? times : times.map((time) => time / per);
}

const ISO = /^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?: ?(?:Z|UTC|[+-]\d\d(?::?\d\d)?))?)?$/;

/** An ISO 8601 date in milliseconds since 1970, UTC unless it names a zone; NaN for anything else. */
export function parseDate(text: string): number {
  if (!ISO.test(text) || !isDay(text)) return Number.NaN;
  if (text.length === 10) return Date.parse(text);
  const [, local = '', zone = ''] = /^(\S{10}[T ][\d:.]+) ?(.*)$/.exec(text) ?? [];
  const [, hours, minutes = '00'] = /^([+-]\d\d):?(\d\d)?$/.exec(zone) ?? [];
  return Date.parse(local.replace(' ', 'T') + (hours === undefined ? 'Z' : `${hours}:${minutes}`));
}

/** Whether the day exists: `Date.parse` reads the 30th of February as the 2nd of March. */
function isDay(text: string): boolean {
  const day = Number(text.slice(8, 10));
  if (day <= 28) return day > 0;
  return day <= new Date(Date.UTC(Number(text.slice(0, 4)), Number(text.slice(5, 7)), 0)).getUTCDate();
}

/** The time in a cell, in milliseconds since 1970; NaN for anything else. @param unit of numbers */
export function timeIn(text: string, unit: TimeUnit): number {
  const number = Number(text);
  return Number.isNaN(number) ? parseDate(text) : Number.isFinite(number) ? toMilliseconds(number, unit) : Number.NaN;
}

/** A number unchanged, or an ISO date in milliseconds since 1970; NaN for anything else. */
export function parseTime(text: string): number {
  const number = Number(text);
  if (!Number.isNaN(number)) return Number.isFinite(number) ? number : Number.NaN;
  return parseDate(text);
}
