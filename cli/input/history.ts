/** Whose history `generate` continues: one of item IDs, or that of a user of a log. */
import { InputError } from '../../data/errors.ts';
import { dateOf, inUnit, largest, unitOf } from '../../data/formats/times.ts';
import { currentTime, type Query } from '../../model/inference/query.ts';
import type { Recommender } from '../../recommend/recommender.ts';
import type { Output } from '../common.ts';
import type { ColumnFlags } from './data.ts';
import { UsageError } from '../errors.ts';
import { formatCount } from '../output/ui.ts';

export interface HistoryFlags extends ColumnFlags {
  history?: string;
  user?: string;
  data?: string;
  /** Columns of the users, for --user, and of whoever is asked for. */
  users?: string;
  about: ReadonlyMap<string, string>;
  maxBadRows: number;
}

/** That either a history is given, or a user and the log. @throws UsageError */
export function checkHistory({ history, user, data, users, about }: HistoryFlags): void {
  if (history !== undefined && user !== undefined) throw new UsageError('--history and --user exclude each other');
  if (history === undefined && user === undefined) {
    throw new UsageError('no user: give --history ID,ID,... or --user ID with --data PATH');
  }
  if (user !== undefined && data === undefined) throw new UsageError('--user needs the log it is in: --data PATH');
  if (user === undefined && users !== undefined)
    throw new UsageError('--users requires --user; without one use --about');
  if (users !== undefined && about.size > 0)
    throw new UsageError('--users says what is known of --user; leave --about out');
  if (history !== undefined && data !== undefined) throw new UsageError('--data requires --user, not --history');
}

/** A time for people and programs: as a date where it is one; null where it is unknown. */
export function shownTime(time: number | null): string | null {
  if (time === null) return null;
  const ms = dateOf(time, unitOf(Math.abs(time)));
  return ms === null ? String(time) : new Date(ms).toISOString();
}

/**
 * The query as of `--at`, without the events after it; by default as of now where the model reads when it is asked.
 * @throws InputError where the times of the history are none of the kind
 */
export function askedAt(
  { readsNow }: Pick<Recommender, 'readsNow'>,
  query: Omit<Query, 'history'> & { history: string[] },
  at: number | undefined,
  out: Pick<Output, 'note'>,
): Omit<Query, 'history'> & { history: string[]; now: number | null } {
  const { history, times, ratings, context } = query;
  if (at === undefined) {
    const now = readsNow ? currentTime(times) : null;
    if (now !== null)
      out.note(`the model reads when it is asked: as of ${shownTime(now)} (--at TIME for another time)`);
    return { ...query, now };
  }
  if (!readsNow)
    out.note(
      `the model does not read when it is asked: --at ${times ? 'only leaves out later events' : 'changes nothing'}`,
    );
  if (!times) return { ...query, now: at };
  const limit = largest(times) > 0 ? inUnit(at, unitOf(largest(times))) : at;
  if (Number.isNaN(limit))
    throw new InputError(
      'invalid-value',
      `--at ${shownTime(at)}: expected a time like those of the log (${times.at(-1)})`,
    );
  const kept = history.flatMap((_, i) => (times[i] > limit ? [] : [i]));
  const left = history.length - kept.length;
  if (left > 0) out.note(`${formatCount(left)} of ${formatCount(history.length)} events are later, and left out`);
  const take = <T>(of: readonly T[]): T[] => kept.map((i) => of[i]);
  return {
    ...query,
    history: take(history),
    times: take(times),
    ...(ratings && { ratings: take(ratings) }),
    ...(context && { context: Object.fromEntries(Object.entries(context).map(([name, of]) => [name, take(of)])) }),
    now: at,
  };
}
