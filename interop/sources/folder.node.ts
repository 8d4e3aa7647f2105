/**
 * A folder, or a pattern with `**`: all files below it, read by DuckDB, where folders named `column=value` are columns. The
 * files are of one kind.
 */
import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { InputError } from '../../data/errors.ts';
import type { FolderKind } from './duckdb.node.ts';
import type { SourceKind } from './source-kind.ts';

const KINDS: readonly [FolderKind, RegExp][] = [
  ['parquet', /\.(?:parquet|pq)$/i],
  ['csv', /\.(?:csv|tsv|txt)(?:\.gz)?$/i],
  ['json', /\.(?:json|jsonl|ndjson)(?:\.gz)?$/i],
];

export const folder: SourceKind = {
  fits: (text) =>
    /(?:^|[\\/])\*\*[\\/]/.test(text) || (statSync(text, { throwIfNoEntry: false })?.isDirectory() ?? false),
  open(text) {
    const files = filesOf(text);
    const kinds = KINDS.filter(([, name]) => files.some((file) => name.test(file)));
    if (kinds.length !== 1) {
      const found =
        kinds.length === 0
          ? 'no file named .parquet, .csv or .json(l)'
          : `${kinds.map(([kind]) => kind).join(' and ')} files`;
      throw new InputError(kinds.length === 0 ? 'not-found' : 'unreadable-file', `${text}: ${found}`, {
        hint: `expected files of one kind; name them with a pattern, as "${text.replace(/[\\/]?(\*\*.*)?$/, '')}/**/*.parquet"`,
      });
    }
    const [[kind, name]] = kinds;
    const own = files.filter((file) => name.test(file));
    return {
      name: text,
      files: own,
      async rows(sink, tick) {
        const { DuckDB } = await import('./duckdb.node.ts'); // an optional peer
        await DuckDB.using(text, tick, (db) => db.files(own, kind, sink));
      },
    };
  },
};

/** The files below a folder, or those that a pattern names, by name; hidden ones and those of Spark (`_SUCCESS`) are none. */
function filesOf(text: string): string[] {
  const [, root, pattern] = /^(.*?)(?:^|[\\/])(\*\*[\\/].*)$/s.exec(text) ?? [null, text, '**/*'];
  const dir = root === '' ? (path.isAbsolute(text) ? path.parse(text).root : '.') : root;
  let names: string[];
  try {
    names = readdirSync(dir, { recursive: true, encoding: 'utf8' });
  } catch {
    throw new InputError('not-found', `${text}: no such folder`);
  }
  const fits = new RegExp(`^${pattern.split(/[\\/]/).map(segmentSource).join('')}$`, 's');
  return names
    .map((name) => name.replaceAll('\\', '/'))
    .filter((name) => fits.test(name) && !name.split('/').some((part) => /^[._]/.test(part)))
    .sort()
    .map((name) => path.join(dir, name))
    .filter((file) => statSync(file).isFile());
}

/** A segment of a pattern as a regular expression. */
function segmentSource(segment: string, i: number, all: readonly string[]): string {
  if (segment === '**') return '(?:[^/]+/)*';
  const source = segment
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '[^/]*')
    .replaceAll('?', '[^/]');
  return i + 1 < all.length ? `${source}/` : source;
}
