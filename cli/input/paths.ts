/** Files of a log: one path, a pattern with `*` and `?`, or several of them as `{a.csv,b.csv}`, which `--data` given more than once makes. */
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { InputError } from '../../data/errors.ts';

/** Collects `--data PATH` given more than once, in that order. */
export function morePaths(text: string, previous: string | undefined): string {
  if (previous === undefined) return text;
  const before = isList(previous) ? previous.slice(1, -1) : escaped(previous);
  return `{${before},${escaped(text)}}`;
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
    return expandPaths(text).every((file) => existsSync(file));
  } catch {
    return false;
  }
}

const isList = (text: string): boolean => text.startsWith('{') && text.endsWith('}');
const escaped = (text: string): string => text.replace(/[\\,]/g, '\\$&');

function matches(pattern: string): string[] {
  if (!/[*?]/.test(pattern) || existsSync(pattern)) return [pattern];
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
