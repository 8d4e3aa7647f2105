/**
 * The types of the columns of an items file, by which they are encoded (encoder.ts): inferred from their values, printed,
 * stored in config.json, or given as a file.
 *
 *   category   one of few values                     an embedding
 *   list       several of few values (`Drama|War`)   an embedding each
 *   number     a number, a year, a price ($1,299.00) linear interpolation between the embeddings of two quantiles
 *   text       words                                 a bag of hashed words and letter trigrams
 *   vector     floats of another model               a projection
 *   time       a date or a time                      month, weekday, hour, and the time itself as a number
 *   skip       not informative (a link, a distinct code for each item)
 */
import { InputError } from '../errors.ts';
import type { CatalogItem, ItemInfo } from '../formats/catalog.ts';
import { ownValue } from '../own-value.ts';
import { TimeColumn } from '../formats/time-column.ts';
import { dateOf, PER_SECOND, parseTime, type TimeUnit, timeIn } from '../formats/times.ts';
import {
  areNumbers,
  areSpaced,
  type Decimal,
  decimalOf,
  numberIn,
  numberText,
  splitCell,
  SEPARATORS,
} from './values.ts';

export const COLUMN_TYPES = ['category', 'list', 'number', 'text', 'vector', 'time', 'skip'] as const;
export type ColumnType = (typeof COLUMN_TYPES)[number];

/**
 * What replaces a missing value: an embedding of its own (`learned`), nothing (`drop`), the mean or the median of the
 * column (numbers), or the value after `constant:`.
 */
export type Missing = 'learned' | 'drop' | 'mean' | 'median' | `constant:${string}`;

export interface Column {
  name: string;
  type: ColumnType;
  missing: Missing;
  /** Share (0 to 1) of the items without a value. */
  absent: number;
  /** Between the values of a list or the numbers of a vector; `|,;` for any of the three. */
  separator?: string;
  /** Unit of times written as numbers; default milliseconds. */
  unit?: TimeUnit;
  /** Of numbers written with a decimal comma. */
  decimal?: ',';
  /** Values of a category or a list, in order; others count as unknown. */
  values?: string[];
  /** Rising quantiles of a number, or of a time in milliseconds. */
  knots?: number[];
  /** Mean and standard deviation of a number; its median. */
  mean?: number;
  deviation?: number;
  median?: number;
  /** Rows that words and letter trigrams are hashed to. */
  buckets?: number;
  /** Numbers of a vector; their mean and deviation are `centre` and `spread`. */
  width?: number;
  centre?: number[];
  spread?: number;
}

export interface Schema {
  /** Whether a year in parentheses at the end of titles is a column `year`. */
  titleYear: boolean;
  columns: Column[];
}

const YEAR = /\s*\((\d{4})\)\s*$/;
/** Share of titles that must end in a year for it to be one. */
const TITLES_WITH_YEAR = 0.8;
/** Numbers with no more distinct values than this are categories. */
const FEW_NUMBERS = 8;
const MOST_VALUES = 2000;
const KNOTS = 16;
const MOST_BUCKETS = 16384;

/** The columns of an item: its attributes, its title, and the year at the end of the title. */
export function recordOf({ title, attributes }: ItemInfo, id: string, titleYear: boolean): Map<string, string> {
  const record = new Map(Object.entries(attributes));
  const year = titleYear ? YEAR.exec(title)?.[1] : undefined;
  if (year !== undefined) record.set('year', year);
  if (title !== '' && title !== id) record.set('title', titleYear ? title.replace(YEAR, '') : title);
  return record;
}

/**
 * The schema of a catalog.
 * @param fixed choices for some columns from a schema file: type, separator and replacement of missing values
 * @throws InputError when `fixed` names a column that does not exist, or is inconsistent
 */
export function inferSchema(items: readonly CatalogItem[], fixed: readonly ColumnChoice[] = []): Schema {
  const has = items.some(({ attributes }) => ownValue(attributes, 'year') !== undefined);
  const titled = items.filter(({ id, title }) => title !== '' && title !== id);
  const years = titled.filter(({ title }) => YEAR.test(title)).length;
  const titleYear = !has && titled.length > 0 && years >= TITLES_WITH_YEAR * titled.length;
  const records = items.map((item) => recordOf(item, item.id, titleYear));
  const names = [...new Set(records.flatMap((record) => [...record.keys()]))];
  for (const { name } of fixed) {
    if (!names.includes(name)) {
      throw new InputError(
        'missing-column',
        `schema: no column ${JSON.stringify(name)}; there is ${names.join(', ') || 'none'}`,
      );
    }
  }
  const columns = names.map((name): Column => {
    const values = records.flatMap((record) => record.get(name)?.trim() || []);
    const choice = fixed.find((column) => column.name === name);
    const inferred = name === 'title' ? { type: 'text' as const } : typeOf(values);
    const type = choice?.type ?? inferred.type;
    const separator =
      choice?.separator ?? (type === inferred.type ? inferred.separator : type === 'list' ? '|' : undefined);
    const absent = 1 - values.length / Math.max(1, items.length);
    const column: Column = { name, type, missing: choice?.missing ?? 'learned', absent };
    return fitColumn(separator === undefined ? column : { ...column, separator }, values);
  });
  return { titleYear, columns };
}

function typeOf(values: readonly string[]): { type: ColumnType; separator?: string } {
  const distinct = new Set(values);
  if (values.length === 0) return { type: 'skip' };
  // Before vectors: `1,299,000` is one number.
  if (areNumbers(values, decimalOf(values))) return { type: distinct.size > FEW_NUMBERS ? 'number' : 'category' };
  for (const separator of [' ', ',', ';', '|']) {
    const [width = 0, ...others] = new Set(values.map((value) => numbersOf(value, separator)?.length ?? 0));
    if (others.length === 0 && width >= 3) return { type: 'vector', separator };
  }
  if (values.every((value) => !Number.isNaN(parseTime(value)))) return { type: 'time' };
  const limit = Math.max(2, Math.min(MOST_VALUES, values.length / 2));
  const used = [...SEPARATORS].filter((separator) => values.some((value) => value.includes(separator)));
  const separator = used.length > 1 ? SEPARATORS : (used[0] ?? (areSpaced(values) ? ' ' : ''));
  if (separator !== '') {
    const lists = values.map((value) => splitCell(value, separator));
    // Lists share a few values.
    const words = new Set(lists.flat());
    if (words.size <= limit && lists.some((parts) => parts.length > 1)) return { type: 'list', separator };
  }
  if (distinct.size <= limit) return { type: 'category' };
  const words = values.reduce((sum, value) => sum + splitCell(value, ' ').length, 0) / values.length;
  return { type: words >= 1.5 && !values.every((value) => /^https?:/.test(value)) ? 'text' : 'skip' };
}

/** The numbers of a cell; null if it holds anything else. */
export function numbersOf(text: string, separator: string): number[] | null {
  const numbers = splitCell(text, separator).map(Number);
  return numbers.every(Number.isFinite) ? numbers : null;
}

/** The column with the statistics of its values that encoding requires. */
function fitColumn(column: Column, values: readonly string[]): Column {
  const { name, type, missing } = column;
  const numeric = type === 'number' || type === 'time';
  if ((missing === 'mean' || missing === 'median') && !numeric) {
    throw new InputError(
      'invalid-value',
      `schema: ${name} is a ${type}, so it has no ${missing}; learned, drop or constant:VALUE`,
    );
  }
  switch (type) {
    case 'category':
    case 'list': {
      const counts = new Map<string, number>();
      for (const value of values) {
        const parts = type === 'list' ? splitCell(value, column.separator as string) : [value];
        for (const part of parts) counts.set(part, (counts.get(part) ?? 0) + 1);
      }
      const known = [...counts].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1)).slice(0, MOST_VALUES);
      return { ...column, values: known.map(([value]) => value) };
    }
    case 'number':
    case 'time': {
      const decimal = type === 'number' ? decimalOf(values) : '.';
      const unit = type === 'time' ? unitOfCells(values, name) : undefined;
      const numbers = values
        .map((value) => numberOf(value, { type, name, decimal, ...(unit && { unit }) }))
        .sort((a, b) => a - b);
      const n = numbers.length;
      const mean = numbers.reduce((sum, x) => sum + x, 0) / Math.max(1, n);
      const variance = numbers.reduce((sum, x) => sum + (x - mean) ** 2, 0) / Math.max(1, n);
      const at = (q: number): number => numbers[Math.min(n - 1, Math.round(q * (n - 1)))] ?? 0;
      const knots = [...new Set(Array.from({ length: KNOTS }, (_, k) => at(k / (KNOTS - 1))))];
      return {
        ...column,
        ...(decimal === ',' ? { decimal } : {}),
        ...(unit && { unit }),
        knots,
        mean,
        median: at(0.5),
        deviation: Math.sqrt(variance),
      };
    }
    case 'text': {
      const words = new Set(values.flatMap((value) => gramsOf(value).flat()));
      const buckets = Math.min(MOST_BUCKETS, 2 ** Math.ceil(Math.log2(2 * words.size + 2)));
      return { ...column, buckets };
    }
    case 'vector': {
      const separator = column.separator ?? ' ';
      const rows = values.map((value) => numbersOf(value, separator) ?? []);
      const width = rows[0]?.length ?? 0;
      if (width === 0 || rows.some((row) => row.length !== width)) {
        throw new InputError(
          'invalid-data',
          `schema: ${name} is no vector: ${width} numbers were expected in every row`,
        );
      }
      const mean = (c: number): number => rows.reduce((sum, row) => sum + (row[c] as number), 0) / rows.length;
      const centre = Array.from({ length: width }, (_, c) => mean(c));
      const sum = rows.reduce((s, row) => s + row.reduce((t, x, c) => t + (x - (centre[c] as number)) ** 2, 0), 0);
      return { ...column, separator, width, centre, spread: Math.sqrt(sum / rows.length / width) || 1 };
    }
    case 'skip':
      return column;
  }
}

/** The unit of a column of times, from all of them together. @throws InputError for a mixture */
function unitOfCells(values: readonly string[], name: string): TimeUnit | undefined {
  const column = new TimeColumn();
  for (const [i, value] of values.entries()) column.push(value, name, i + 1);
  const { unit } = column.finish();
  return unit === 'order' || unit === 'ms' ? undefined : unit;
}

/** A number, or a time in milliseconds. @throws InputError if the cell is neither */
export function numberOf(text: string, column: Pick<Column, 'type' | 'name' | 'unit'> & { decimal?: Decimal }): number {
  const { type, name, decimal = '.', unit = 'ms' } = column;
  const number = type === 'time' ? timeIn(text.trim(), unit) : numberIn(text, decimal);
  if (Number.isFinite(number)) return number;
  const how = decimal === ',' ? ' with a decimal comma' : '';
  throw new InputError('invalid-data', `schema: ${name} is a ${type}${how}, found ${JSON.stringify(text)}`, {
    hint: 'fix the value, or leave it empty',
  });
}

/** What replaces a missing value, as a cell of the column; null if nothing does. */
export function replacementOf(column: Column): string | null {
  const { missing, mean, median, type, unit = 'ms' } = column;
  const perMs = type === 'time' ? PER_SECOND[unit] / 1e3 : 1;
  const decimal: Decimal = column.decimal ?? '.';
  if (missing === 'mean') return numberText((mean as number) * perMs, decimal);
  if (missing === 'median') return numberText((median as number) * perMs, decimal);
  if (!missing.startsWith('constant:')) return null;
  const text = missing.slice('constant:'.length);
  const number = Number(text);
  return type === 'number' && Number.isFinite(number) ? numberText(number, decimal) : text;
}

/** Words, and letter trigrams with a space at both ends, in lower case. */
export function gramsOf(text: string): [words: string[], trigrams: string[]] {
  const words = text.toLowerCase().match(/[\p{L}\p{N}']+/gu) ?? [];
  const line = ` ${words.join(' ')} `;
  return [words, Array.from({ length: Math.max(0, line.length - 2) }, (_, i) => line.slice(i, i + 3))];
}

/** Choices for a column in a schema file. */
export interface ColumnChoice {
  name: string;
  type?: ColumnType;
  missing?: Missing;
  separator?: string;
}

/**
 * Parses a schema file: `{"columns":[{"name":"price","type":"number","missing":"median"},…]}`; the rest is inferred.
 * @throws InputError, one line
 */
export function parseSchema(text: string, source: string): ColumnChoice[] {
  let given: unknown;
  try {
    given = JSON.parse(text);
  } catch (error) {
    throw new InputError('unreadable-file', `${source}: no JSON (${(error as Error).message})`);
  }
  const columns = (given as { columns?: unknown } | null)?.columns;
  if (!Array.isArray(columns))
    throw new InputError('unreadable-file', `${source}: {"columns":[{"name":…,"type":…},…]} was expected`);
  return columns.map((column: Partial<ColumnChoice> | null): ColumnChoice => {
    const { name, type, missing, separator } = column ?? {};
    if (typeof name !== 'string') throw new InputError('unreadable-file', `${source}: a column without a name`);
    if (type !== undefined && !COLUMN_TYPES.includes(type)) {
      throw new InputError(
        'unreadable-file',
        `${source}: ${name}: type ${type} is unknown; there is ${COLUMN_TYPES.join(', ')}`,
      );
    }
    if (missing !== undefined && !/^(learned|drop|mean|median|constant:.*)$/s.test(String(missing))) {
      throw new InputError(
        'unreadable-file',
        `${source}: ${name}: missing ${missing}; learned, drop, mean, median or constant:VALUE`,
      );
    }
    return { name, ...(type && { type }), ...(missing && { missing }), ...(separator && { separator }) };
  });
}

/** Lines to print: each column, its type, and how much of it is missing. */
export function describeSchema({ columns, titleYear }: Schema): string[] {
  return columns.map((column) => {
    const { name, type, values, knots, width, buckets, absent, missing, decimal } = column;
    const from = name === 'year' && titleYear ? ' from titles' : '';
    const about = values
      ? `${values.length} values`
      : type === 'time' && knots
        ? `${dayOf(knots[0])} to ${dayOf(knots.at(-1))}`
        : knots
          ? `${knots[0]} to ${knots.at(-1)}${decimal ? ', written with a decimal comma' : ''}`
          : width
            ? `${width} numbers`
            : buckets
              ? `${buckets} hashed rows`
              : 'left out';
    const share = absent > 0 ? `, ${(100 * absent).toFixed(1)} % missing (${missing})` : '';
    return `${name}${from}: ${type}, ${about}${share}`;
  });
}

const dayOf = (ms = Number.NaN): string =>
  dateOf(ms, 'ms') === null ? String(ms) : new Date(ms).toISOString().slice(0, 10);
