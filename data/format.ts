import { parse } from 'csv-parse/browser/esm/sync';
import { InputError } from './errors.ts';

/** What the first line of a text table gives away, or a Parquet file's footer. */
export interface Format {
  kind: 'table' | 'movielens' | 'pairs' | 'parquet';
  delimiter: string;
  /** fields may stand in double quotes (RFC 4180) */
  quoted: boolean;
  /** column names of a table, RecBole's `:token` suffixes removed; null where the file has no header */
  header: string[] | null;
}

const RECBOLE = /:(token|float|token_seq|float_seq)$/;

const EXPECTED =
  'expected CSV or TSV with a header, RecBole `user_id:token`, MovieLens `user::item::rating::time`, or `user item` lines';

/**
 * Tells the format from the first line that is not blank.
 *
 * - `::` between fields: MovieLens, no header
 * - tabs, or else commas or semicolons: a table with a header; RecBole atomic files are tables whose names carry types
 *   and whose fields are never quoted
 * - two words, or two whole numbers with a tab between: SASRec's `user item` text, no header
 *
 * @throws InputError when it is none of these
 */
export function sniffFormat(line: string, source: string): Format {
  if (hasControl(line)) throw new InputError(`${source}: is not text; ${EXPECTED}`);
  if (line.includes('::')) return { kind: 'movielens', delimiter: '::', quoted: false, header: null };
  if (/^\s*\S+ +\S+\s*$/.test(line) && !/[,;\t]/.test(line)) {
    return { kind: 'pairs', delimiter: ' ', quoted: false, header: null };
  }
  if (/^\d+\t\d+\s*$/.test(line)) return { kind: 'pairs', delimiter: '\t', quoted: false, header: null };
  const delimiter = line.includes('\t') ? '\t' : count(line, ';') > count(line, ',') ? ';' : ',';
  if (!line.includes(delimiter) && !RECBOLE.test(line)) {
    const shown = line.length > 60 ? `${line.slice(0, 60)}…` : line;
    throw new InputError(`${source}:1: cannot tell the columns of ${JSON.stringify(shown)}; ${EXPECTED}`);
  }
  if (line.split(delimiter).every((name) => RECBOLE.test(name.trim()))) {
    const header = line.split(delimiter).map((name) => name.trim().replace(RECBOLE, ''));
    return { kind: 'table', delimiter, quoted: false, header };
  }
  const [names] = parse(line, { delimiter, relax_quotes: true, relax_column_count: true }) as string[][];
  return { kind: 'table', delimiter, quoted: true, header: names.map((name) => name.trim()) };
}

function count(text: string, mark: string): number {
  return text.split(mark).length - 1;
}

function hasControl(line: string): boolean {
  for (let i = 0; i < line.length; i++) {
    const code = line.charCodeAt(i);
    if (code < 32 && code !== 9) return true;
  }
  return false;
}
