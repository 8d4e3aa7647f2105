/** DuckDB's values as text, as the readers of data/ have the same file's: see data/formats/parquet.ts. */
import {
  DuckDBArrayValue,
  DuckDBBlobValue,
  DuckDBDateValue,
  DuckDBListValue,
  DuckDBMapValue,
  DuckDBStructValue,
  DuckDBTimestampMillisecondsValue,
  DuckDBTimestampNanosecondsValue,
  DuckDBTimestampSecondsValue,
  DuckDBTimestampTZValue,
  DuckDBTimestampValue,
  type DuckDBValue,
} from '@duckdb/node-api';
import { textOfJson } from '../../data/formats/json-lines.ts';
import { hexOf, utf8Text } from '../../data/formats/text.ts';

/** A value of a column of type JSON. */
export const textOfJsonValue = (value: DuckDBValue): string => (value === null ? '' : textOfJson(value as string));

/** Null is empty, dates are ISO 8601, lists are joined by `|`. */
export function textOfValue(value: DuckDBValue): string {
  if (typeof value === 'string') return value;
  if (value === null || Number.isNaN(value)) return '';
  if (typeof value !== 'object') return String(value);
  if (value instanceof DuckDBListValue || value instanceof DuckDBArrayValue)
    return value.items.map(textOfValue).join('|');
  if (value instanceof DuckDBBlobValue) return utf8Text(value.bytes) ?? hexOf(value.bytes);
  if (value instanceof DuckDBStructValue || value instanceof DuckDBMapValue) return JSON.stringify(plain(value));
  return dateText(value) ?? String(value);
}

/** ISO 8601 in UTC; null for what is no date, and for infinity. */
function dateText(value: DuckDBValue): string | null {
  const ms =
    value instanceof DuckDBTimestampValue || value instanceof DuckDBTimestampTZValue
      ? value.micros / 1000n
      : value instanceof DuckDBTimestampNanosecondsValue
        ? value.nanos / 1_000_000n
        : value instanceof DuckDBTimestampMillisecondsValue
          ? value.millis
          : value instanceof DuckDBTimestampSecondsValue
            ? value.seconds * 1000n
            : value instanceof DuckDBDateValue
              ? value.days * 86_400_000
              : null;
  if (ms === null) return null;
  const date = new Date(Number(ms));
  return Number.isNaN(date.getTime()) ? null : date.toISOString();
}

/** A value for JSON, which has no 64-bit integers. */
function plain(value: DuckDBValue): unknown {
  if (value instanceof DuckDBListValue || value instanceof DuckDBArrayValue) return value.items.map(plain);
  if (value instanceof DuckDBStructValue)
    return Object.fromEntries(Object.entries(value.entries).map(([key, own]) => [key, plain(own)]));
  if (value instanceof DuckDBMapValue)
    return value.entries.map(({ key, value: own }) => ({ key: plain(key), value: plain(own) }));
  return value === null || typeof value === 'number' || typeof value === 'boolean' ? value : textOfValue(value);
}
