/** A log as CSV, in the columns that every command finds by their names. */
import type { Log } from '../../data/log.ts';

/** One line of CSV. */
export const csvLine = (cells: readonly (string | number | undefined)[]): string =>
  cells.map((cell = '') => (/[",\r\n]/.test(`${cell}`) ? `"${`${cell}`.replaceAll('"', '""')}"` : cell)).join(',');

export function logCsv({ userIds, itemIds, user, item, rating, time, size }: Log): string {
  const known = (value: number) => (Number.isNaN(value) ? '' : value);
  const lines = [csvLine(['user', 'item', ...(rating ? ['rating'] : []), ...(time ? ['timestamp'] : [])])];
  for (let i = 0; i < size; i++)
    lines.push(
      csvLine([
        userIds[user[i]],
        itemIds[item[i]],
        ...(rating ? [known(rating[i])] : []),
        ...(time ? [known(time[i])] : []),
      ]),
    );
  return `${lines.join('\n')}\n`;
}
