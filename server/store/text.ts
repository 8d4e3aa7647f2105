/** What no store can hold: U+0000, which PostgreSQL refuses, and halves of surrogate pairs, which are no text in UTF-8. */
import { InputError } from '../../data/errors.ts';

const UNSTORABLE = /[\0\p{Cs}]/u;

export const isStorable = (text: string): boolean => !UNSTORABLE.test(text);

/** @throws InputError */
export function requireStorable(texts: Iterable<string | null>): void {
  for (const text of texts) {
    if (text !== null && !isStorable(text))
      throw new InputError('invalid-data', `${JSON.stringify(text)}: has U+0000 or half a surrogate pair in it`);
  }
}

/** The address of the first text in a JSON value that cannot be stored, as a JSON pointer; null where all can. */
export function unstorableIn(value: unknown, at = ''): string | null {
  if (typeof value === 'string') return isStorable(value) ? null : at;
  if (typeof value !== 'object' || value === null) return null;
  for (const [name, own] of Object.entries(value)) {
    const found = isStorable(name) ? unstorableIn(own, `${at}/${name}`) : at;
    if (found !== null) return found;
  }
  return null;
}
