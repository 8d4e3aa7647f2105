/** Rows of a file with one JSON object per line. */
import { ownValue } from '../own-value.ts';

/** A number that JSON.parse would round: IDs of 64 bits must stay apart. Strings are matched first, to be left alone. */
const LONG_NUMBERS = /"(?:[^"\\]|\\.)*"|-?\d{16,}(?![\d.eE])/g;

/**
 * Values of an object by the names in `header`, as text; a missing value is empty, the values of a list are joined by `|`.
 *
 * @param ids columns whose values cannot be lists or objects
 * @returns what is wrong with the line if it is no such object
 */
export function fieldsOfObject(line: string, header: readonly string[], ids: readonly number[]): string[] | string {
  let value: unknown;
  try {
    value = exactJson(line);
  } catch {
    return 'is not a JSON object';
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'is not a JSON object';
  const object = value as Record<string, unknown>;
  const nested = ids
    .map((at) => header[at] as string)
    .find((name) => typeof (ownValue(object, name) ?? '') === 'object');
  if (nested !== undefined) return `${nested} is a list or an object, not an ID; write one line per event`;
  return header.map((name) => textOf(ownValue(object, name)));
}

/** JSON whose integers are not rounded: the long ones are strings. @throws SyntaxError */
function exactJson(text: string): unknown {
  const exact = /\d{16}/.test(text)
    ? text.replace(LONG_NUMBERS, (found) => (found.startsWith('"') ? found : `"${found}"`))
    : text;
  return JSON.parse(exact);
}

/** A JSON value as the text of a field. @throws SyntaxError */
export const textOfJson = (json: string): string => textOf(exactJson(json));

function textOf(value: unknown): string {
  if (value === null || value === undefined) return '';
  if (Array.isArray(value)) return value.map(textOf).join('|');
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}
