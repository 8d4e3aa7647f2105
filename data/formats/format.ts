/** Detects the format of a text file from its first lines. */
import { namesUserAndItem } from './columns.ts';
import { InputError, option } from '../errors.ts';
import { fieldsOf } from './quotes.ts';
import { parseTime } from './times.ts';

export interface Format {
  /** `sequences`: a user and its items on each line; `json`: an object on each line */
  kind: 'table' | 'sequences' | 'json' | 'parquet';
  /** between the fields of a table; a space stands for any run of spaces */
  delimiter: string;
  /** fields may be in double quotes (RFC 4180) */
  quoted: boolean;
  /** column names, RecBole's `:token` suffixes removed */
  header: string[];
  /** whether the names come from the file or the user; otherwise they were guessed from the rows */
  named: boolean;
  /** what comment lines start with */
  comment: string | null;
  /** lines before the first row */
  skip: number;
}

export interface FormatOptions {
  /** names of the columns of a file without a header */
  columns?: readonly string[];
  /** names that the user expects in the header */
  expected?: readonly (string | undefined)[];
  /** a file of items or users: its first line is a header, or it is MovieLens' `::` */
  catalog?: boolean;
}

/** Lines that the format is detected from, not counting blank ones and comments. */
export const SAMPLE = 20;

const RECBOLE = /:(token|float|token_seq|float_seq)$/;
const COMMENT = /^\s*([#%])/;
const MOVIELENS = ['user', 'item', 'rating', 'timestamp'];
const DELIMITERS = [',', ';', '|'];

const EXPECTED =
  'expected CSV or TSV with a header, RecBole `user_id:token`, MovieLens `user::item::rating::time`, JSON lines, ' +
  '`user item` or `user item item ...` lines';

const isBlank = (line: string): boolean => line.trim() === '';

/**
 * Detects the format from the first lines of a file.
 *
 * @throws InputError when it is none of the known ones
 */
export function sniffFormat(lines: readonly string[], source: string, options: FormatOptions = {}): Format {
  let at = 0;
  let comment: string | null = null;
  let lastComment = '';
  let delimiter: string | null = null;
  for (const line of lines) {
    const separator = /^\ufeff?sep=(.)\s*$/i.exec(line)?.[1];
    const mark = COMMENT.exec(line)?.[1];
    if (separator !== undefined) delimiter = separator;
    else if (mark !== undefined) {
      comment = mark;
      lastComment = line.replace(/^\s*[#%]+\s*/, '');
    } else if (!isBlank(line)) break;
    at++;
  }
  const first = lines[at];
  if (first === undefined) throw new InputError('too-little-data', `${source}: the file is empty`);
  const sample = lines.slice(at).filter((line) => !isBlank(line) && !(comment && line.trimStart().startsWith(comment)));
  const where = `${source}:${at + 1}`;
  rejectOthers(first, source, where);
  const base = { comment, skip: at, named: true };
  if (/^\s*\{/.test(first)) return { ...base, ...jsonLines(sample, where) };
  const { columns } = options;
  const table = shapeOf(first, sample, delimiter);
  if (!table) {
    const shown = first.length > 60 ? `${first.slice(0, 60)}…` : first;
    throw new InputError(
      'unreadable-file',
      `${where}: cannot tell the columns of ${JSON.stringify(shown)}; ${EXPECTED}`,
    );
  }
  const fields = fieldsOf(first, table.delimiter, table.quoted).map((name) => name.trim());
  if (fields.every((name) => RECBOLE.test(name))) {
    const header = fields.map((name) => name.replace(RECBOLE, ''));
    return { ...base, kind: 'table', ...table, quoted: false, header, skip: at + 1 };
  }
  const isHeader = namesUserAndItem(fields) || fields.some((name) => options.expected?.includes(name));
  if (columns && !isHeader) return { ...base, ...table, kind: 'table', header: [...columns] };
  if (isHeader) return { ...base, ...table, kind: 'table', header: fields, skip: at + 1 };
  const chosen = { ...base, ...table, named: false };
  if (table.delimiter === '::') {
    if (fields.length > 4 && !options.catalog) {
      throw new InputError(
        'unreadable-file',
        `${where}: expected user::item::rating::time, found ${fields.length} fields`,
      );
    }
    return { ...chosen, kind: 'table', header: MOVIELENS.slice(0, fields.length) };
  }
  if (options.catalog) {
    if (table.delimiter !== ' ') return { ...base, ...table, kind: 'table', header: fields, skip: at + 1 };
    throw new InputError('unreadable-file', `${source}: expected items or users as CSV or TSV with a header`);
  }
  const names = fieldsOf(lastComment, table.delimiter, false).map((name) => name.trim());
  if (names.length === fields.length && namesUserAndItem(names)) {
    return { ...base, ...table, kind: 'table', header: names };
  }
  const rows = sample.map((line) => fieldsOf(line, table.delimiter, table.quoted));
  const plain = plainNames(rows, table.delimiter);
  if (plain) return { ...chosen, kind: 'table', header: plain };
  if (table.delimiter === ' ') {
    if (isSequences(rows)) return { ...chosen, kind: 'sequences', header: ['user', 'item'] };
    throw new InputError(
      'unreadable-file',
      `${where}: cannot tell the columns of ${JSON.stringify(first.slice(0, 60))}; ${EXPECTED}`,
    );
  }
  if (fields.some(isValue)) {
    throw new InputError(
      'unreadable-file',
      `${where}: the first line looks like data (${fields.slice(0, 6).join(', ')})`,
      {
        hint: `name its columns with ${option('columns.all', 'user,item,...')}, or put a header such as user,item,timestamp above it`,
      },
    );
  }
  return { ...base, ...table, kind: 'table', header: fields, skip: at + 1 };
}

/** @throws InputError for what is no table, list or lines of JSON */
function rejectOthers(first: string, source: string, where: string): void {
  if (hasControl(first)) throw new InputError('unreadable-file', `${source}: is not text; ${EXPECTED}`);
  if (/^\s*<(!doctype|html|head|body|\?xml|!--)/i.test(first)) {
    throw new InputError('unreadable-file', `${where}: is an HTML or XML page, not a log`, {
      hint: 'download the file itself',
    });
  }
  if (/^\s*(\[\s*$|\[\s*[[{])/.test(first)) {
    throw new InputError('unreadable-file', `${where}: is a JSON array`, {
      hint: `write one object a line (jq -c '.[]')`,
    });
  }
  if (/^\s*\{\s*$/.test(first)) {
    throw new InputError('unreadable-file', `${where}: is JSON over several lines`, {
      hint: 'write one object a line (jq -c .)',
    });
  }
}

/** How lines are split; null if no delimiter fits. */
function shapeOf(
  first: string,
  sample: readonly string[],
  given: string | null,
): { delimiter: string; quoted: boolean } | null {
  if (given !== null) return { delimiter: given, quoted: true };
  if (first.includes('::')) return { delimiter: '::', quoted: false };
  if (first.includes('\t')) return { delimiter: '\t', quoted: true };
  const splits = DELIMITERS.map((delimiter) => {
    const width = fieldsOf(first, delimiter, true).length;
    const even = sample.every((line) => fieldsOf(line, delimiter, true).length === width);
    return { delimiter, width, even };
  }).filter(({ width }) => width > 1);
  splits.sort((a, b) => Number(b.even) - Number(a.even) || b.width - a.width);
  const [best] = splits;
  if (best) return { delimiter: best.delimiter, quoted: true };
  if (/\S[ \u00a0]+\S/.test(first)) return { delimiter: ' ', quoted: false };
  return RECBOLE.test(first.trim()) ? { delimiter: '\t', quoted: false } : null;
}

/** Share of the sampled rows that must have the width of the first. */
const EVEN = 0.8;

/** Names for the columns of rows without a header, if the only guess is which of the first two is the user. */
function plainNames(rows: readonly string[][], delimiter: string): string[] | null {
  const [first = []] = rows;
  const width = first.length;
  const looksLikeData = first.some(isValue);
  if (width === 2 && rows.every((row) => row.length <= 2)) {
    return looksLikeData || delimiter === ' ' ? ['user', 'item'] : null;
  }
  const even = rows.filter((row) => row.length === width);
  if (width < 3 || width > 4 || even.length < EVEN * rows.length || !looksLikeData) return null;
  const roles = first.slice(2).map((_, i) => {
    const values = even.map((row) => row[i + 2]?.trim() ?? '');
    return values.every(isDated) ? 'timestamp' : values.every(isRating) ? 'rating' : '';
  });
  const known = roles.every((role) => role !== '') && new Set(roles).size === roles.length;
  return known ? ['user', 'item', ...roles] : null;
}

/** A value that cannot be a column name: a number or a date. */
const isValue = (text: string): boolean => text.trim() !== '' && !Number.isNaN(parseTime(text.trim()));
const isRating = (text: string): boolean => text !== '' && Math.abs(Number(text)) <= 100;
/** A date, or seconds since 1970, from 1973 on. */
const isDated = (text: string): boolean =>
  !Number.isNaN(parseTime(text)) && (Number.isNaN(Number(text)) || Number(text) >= 1e8);

/** `user item item ...` lines: numbers or codes, and not the same number of them on every line unless there are many. */
function isSequences(rows: readonly string[][]): boolean {
  const width = rows[0]?.length ?? 0;
  const uneven = width > 4 || rows.some((row) => row.length !== width);
  return uneven && rows.every((row) => row.length > 1 && row.every((word) => /\d/.test(word)));
}

function jsonLines(sample: readonly string[], where: string) {
  const names = new Set<string>();
  for (const line of sample) {
    try {
      for (const name of Object.keys(JSON.parse(line))) names.add(name);
    } catch {
      // a bad row, which is reported when it is read
    }
  }
  if (names.size === 0) throw new InputError('unreadable-file', `${where}: is not a JSON object; ${EXPECTED}`);
  return { kind: 'json' as const, delimiter: '', quoted: false, header: [...names] };
}

function hasControl(line: string): boolean {
  for (let i = 0; i < line.length; i++) {
    const code = line.charCodeAt(i);
    if (code < 32 && code !== 9) return true;
  }
  return false;
}
