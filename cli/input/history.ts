/** Whose history `generate` continues: one of item IDs, or that of a user of a log. */
import type { ColumnFlags } from './data.ts';
import { UsageError } from '../errors.ts';

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
