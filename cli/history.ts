/** Whose history `generate` continues: one of item IDs, or that of a user of a log. */
import type { ModelConfig } from '../model/folder.ts';
import { type ColumnFlags, columnsOf, historyOf, openLog } from './data.ts';
import { UsageError } from './errors.ts';

export interface HistoryFlags extends ColumnFlags {
  history?: string;
  user?: string;
  data?: string;
  maxBadRows: number;
}

/** That either a history is given, or a user and the log. @throws UsageError */
export function checkHistory({ history, user, data }: HistoryFlags): void {
  if (history !== undefined && user !== undefined) throw new UsageError('--history and --user exclude each other');
  if (history === undefined && user === undefined) {
    throw new UsageError('whom for? give --history ID,ID,... or --user ID with --data PATH');
  }
  if (user !== undefined && data === undefined) throw new UsageError('--user needs the log it is in: --data PATH');
  if (history !== undefined && data !== undefined) throw new UsageError('--data goes with --user, not with --history');
}

/** The history that was `given`, or that of the user in the log, read as that of the training was. */
export async function historyFor(
  flags: HistoryFlags,
  { schema, data }: ModelConfig,
  given: readonly string[] | null,
): Promise<readonly string[]> {
  if (given) return given;
  const reading = { columns: columnsOf(flags, schema.columns), maxBadRows: flags.maxBadRows };
  const log = await openLog(flags.data as string, reading);
  return historyOf(log, flags.user as string, data.minRating).history;
}
