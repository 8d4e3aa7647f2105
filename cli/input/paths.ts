/**
 * Files of a log: one path, a pattern with `*` and `?`, or several of them as `{a.csv,b.csv}`, which `--data` given more
 * than once makes. Among them may be other sources of rows (interop/sources), which stay as they are.
 */
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { InputError } from '../../data/errors.ts';
import { isPostgres } from '../../interop/sources/postgres.node.ts';
import { rowSource } from '../../interop/sources/source.ts';
import { UsageError } from '../errors.ts';

/** Collects `--data PATH` given more than once, in that order. */
export function morePaths(text: string, previous: string | undefined): string {
  if (previous === undefined) return text;
  const before = isList(previous) ? previous.slice(1, -1) : escaped(previous);
  return `{${before},${escaped(text)}}`;
}

/** The source that `--query` makes, of the database that `--data` names, or of DuckDB without it. @throws UsageError */
export function joinQuery(sql: string, data: string | undefined): string {
  if (data === undefined) return `duckdb: ${sql.trim()}`;
  if (isPostgres(data)) return `${data} ${sql.trim()}`;
  throw new UsageError(
    "--query names its own files, as in FROM 'events/*.parquet': leave --data out, or give postgres://",
  );
}

/** The files that a path or pattern names, in the order given; those of a pattern by name. @throws InputError where none matches */
export function expandPaths(text: string): string[] {
  if (!isList(text) || existsSync(text)) return matches(text);
  const parts = text.slice(1, -1).match(/(?:\\.|[^\\,])+/gs) ?? [];
  return parts.flatMap((part) => matches(part.replace(/\\(.)/gs, '$1')));
}

/** Whether there is what a path or pattern names. */
export function pathsExist(text: string): boolean {
  try {
    return expandPaths(text).every((part) => rowSource(part) !== null || existsSync(part));
  } catch {
    return false;
  }
}

/** The files of a log, those of folders included. @throws InputError where none matches */
export const filesOfLog = (text: string): string[] =>
  expandPaths(text).flatMap((part) => rowSource(part)?.files ?? [part]);

const isList = (text: string): boolean => text.startsWith('{') && text.endsWith('}');
const escaped = (text: string): string => text.replace(/[\\,]/g, '\\$&');

function matches(pattern: string): string[] {
  if (!/[*?]/.test(pattern) || existsSync(pattern) || rowSource(pattern)) return [pattern];
  let found = [path.isAbsolute(pattern) ? path.parse(pattern).root : ''];
  for (const segment of pattern.split(/[\\/]/).filter((part) => part !== '')) {
    if (!/[*?]/.test(segment)) found = found.map((folder) => path.join(folder, segment));
    else {
      const source = segment
        .replace(/[.+^${}()|[\]\\]/g, '\\$&')
        .replaceAll('*', '.*')
        .replaceAll('?', '.');
      const fits = new RegExp(`^${source}$`, 's');
      found = found.flatMap((folder) =>
        namesIn(folder)
          .filter((name) => fits.test(name) && (segment.startsWith('.') || !name.startsWith('.')))
          .map((name) => path.join(folder, name)),
      );
    }
  }
  const files = found.filter((file) => existsSync(file));
  if (files.length === 0) throw new InputError('not-found', `${pattern}: no file matches`);
  return files;
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder === '' ? '.' : folder).sort();
  } catch {
    return [];
  }
}
