/** A log cut into periods, and what is asked of a model in each: the next items of its users. */
import { byUser } from '../../data/by-user.ts';
import { InputError, option } from '../../data/errors.ts';
import { inSeconds, largest, unitOf } from '../../data/formats/times.ts';
import type { Log } from '../../data/log.ts';
import { seeded, shuffle } from '../../data/random.ts';
import { take } from '../../data/spans.ts';

export interface Period {
  /** Seconds since 1970: events at `from` or later and before `to`. */
  from: number;
  to: number;
  /** Rows of the log before the period. */
  before: Uint32Array;
  questions: Question[];
}

/** One event to be predicted, as rows of the log. */
export interface Question {
  /** Index into the log's users. */
  user: number;
  target: number;
  /** All earlier events of the user, oldest first; at least one. */
  history: Uint32Array;
  /** Whether the user had an event before the period. */
  warm: boolean;
}

export interface PeriodOptions {
  /** Length of a period in seconds. */
  every: number;
  /** Share of the events that the first model is trained on. */
  start: number;
  /** Events of a user that are predicted in a period, at most. */
  targets: number;
  /** Users that are judged in a period, at most; others are drawn by the seed. */
  users: number;
  minRating?: number;
  includeSeen?: boolean;
  seed: number;
}

/**
 * The periods that are judged. The first model is trained on the events before the first cut, which is at the share
 * `start` of all events; one period passes, the strategies learn from it, and judging starts with the next one.
 *
 * A user's targets are the first events of the period whose items are new to the user (with `includeSeen` all items
 * are), each predicted from all events before it. The first event of a user has no history and is no target.
 *
 * @throws InputError where the log has no times, or is too short for two periods
 */
export function periodsOf(log: Log, options: PeriodOptions): Period[] {
  const { every, start, minRating } = options;
  const { rating } = log;
  const seconds = secondsOf(log);
  const counts = (row: number): boolean =>
    !Number.isNaN(seconds[row]) && (minRating === undefined || !rating || rating[row] >= minRating);
  const rows = Uint32Array.from({ length: log.size }, (_, row) => row).filter(counts);
  const times = take(seconds, rows).sort();
  const first = times[Math.floor(times.length * start)];
  const last = times.at(-1) ?? Number.NaN;
  const cuts: number[] = [];
  for (let at = first + every; at <= last; at += every) cuts.push(at);
  if (cuts.length === 0)
    throw new InputError(
      'too-little-data',
      `${log.source}: its last ${Math.round(100 * (1 - start))} % of events span less than two periods`,
      { setting: 'every', hint: 'choose a shorter one' },
    );
  const histories = new Histories(log, rows, seconds);
  return cuts.map((from, i): Period => {
    const to = from + every;
    const before = rows.filter((row) => seconds[row] < from);
    return { from, to, before, questions: histories.questions(from, to, options, i) };
  });
}

/** The log's times in seconds since 1970. @throws InputError where it has none */
export function secondsOf(log: Log): Float64Array {
  if (!log.time)
    throw new InputError('missing-column', `${log.source}: no time column, which a walk through time requires`, {
      hint: `name it with ${option('columns.time', 'NAME')}`,
    });
  const unit = log.timeUnit ?? unitOf(largest(log.time));
  if (unit === 'order')
    throw new InputError('invalid-data', `${log.source}: its times are no times since 1970, and have no days`);
  return inSeconds(log.time, unit);
}

/** Users' events in time order. */
class Histories {
  private readonly log: Log;
  private readonly seconds: Float64Array;
  /** Rows of the log. */
  private readonly order: Uint32Array;
  private readonly starts: Uint32Array;

  constructor(log: Log, rows: Uint32Array, seconds: Float64Array) {
    this.log = log;
    this.seconds = seconds;
    const { order, starts } = byUser(take(log.user, rows), log.userIds.length, take(seconds, rows));
    this.order = take(rows, order);
    this.starts = starts;
  }

  questions(from: number, to: number, options: PeriodOptions, period: number): Question[] {
    const { starts, seconds, order } = this;
    const active: number[] = [];
    for (let u = 0; u + 1 < starts.length; u++) {
      const within = (at: number): boolean => seconds[order[at]] >= from && seconds[order[at]] < to;
      for (let at = starts[u]; at < starts[u + 1]; at++) {
        if (!within(at)) continue;
        active.push(u);
        break;
      }
    }
    const drawn = shuffle(active, seeded(options.seed, period)).slice(0, options.users);
    return drawn.sort((a, b) => a - b).flatMap((u) => this.ofUser(u, from, to, options));
  }

  private ofUser(user: number, from: number, to: number, { targets, includeSeen }: PeriodOptions): Question[] {
    const { log, seconds } = this;
    const own = this.order.subarray(this.starts[user], this.starts[user + 1]);
    const warm = own.length > 0 && seconds[own[0]] < from;
    const seen = new Set<number>();
    const questions: Question[] = [];
    for (const [at, row] of own.entries()) {
      if (seconds[row] >= to || questions.length === targets) break;
      const item = log.item[row];
      if (seconds[row] >= from && at > 0 && (includeSeen || !seen.has(item)))
        questions.push({ user, target: row, history: own.subarray(0, at), warm });
      seen.add(item);
    }
    return questions;
  }
}

/** Rows of a log as a log; `fresh` are those that a model has not seen. */
export function rowsOfLog(log: Log, rows: Uint32Array, fresh?: (row: number) => boolean): Log {
  const { rating, time, context } = log;
  return {
    ...log,
    user: take(log.user, rows),
    item: take(log.item, rows),
    rating: rating && take(rating, rows),
    time: time && take(time, rows),
    ...(context && { context: context.map((column) => ({ ...column, rows: take(column.rows, rows) })) }),
    ...(fresh && { fresh: Uint8Array.from(rows, (row) => Number(fresh(row))) }),
    size: rows.length,
    notes: [],
  };
}
