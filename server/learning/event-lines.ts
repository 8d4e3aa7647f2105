/** Stored events as a log that joins the one of a model's training. */
import { ownValue } from '../../data/own-value.ts';
import type { ModelConfig } from '../../model/storage/config.ts';
import type { StoredEvent } from '../store/store.ts';

const cell = (text: string): string => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

/** CSV with the column names of the training's log; times in milliseconds since 1970. */
export function eventLines(events: readonly StoredEvent[], { schema, data }: ModelConfig): string {
  const { user = 'user', item = 'item', time = 'timestamp', rating = 'rating' } = schema.columns;
  const rated = data.minRating !== null || events.some((event) => event.rating !== null);
  const columns = (schema.events ?? []).flatMap(({ name, kind }) => (kind === 'column' ? [name] : []));
  const head = [user, item, time, rated ? [rating] : [], columns].flat();
  const rows = events.map((event) =>
    [
      event.user,
      event.item,
      String(event.time),
      rated ? [event.rating === null ? '' : String(event.rating)] : [],
      columns.map((name) => ownValue(event.context, name) ?? ''),
    ].flat(),
  );
  return `${[head]
    .concat(rows)
    .map((row) => row.map(cell).join(','))
    .join('\n')}\n`;
}
