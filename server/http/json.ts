/**
 * JSON bodies as they must be: UTF-8, of bounded depth, no name twice in an object (what reads the first and what reads the
 * last would disagree), no `__proto__`, no text that a store could not give back as it came.
 */
import { Problem } from './problem.ts';
import { textFault } from './text.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false });

/** @throws Problem 400 */
export function parseJson(bytes: Uint8Array, maxDepth: number): unknown {
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch {
    throw new Problem(400, 'invalid-json', 'the body is not UTF-8');
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new Problem(400, 'invalid-json', `the body is not JSON: ${(error as Error).message}`);
  }
  checkTokens(text, maxDepth);
  return value;
}

/** A token of structure or a string: of valid JSON, in which every string is closed, these are found in linear time. */
const TOKEN = /[{}[\],:]|"(?:[^"\\]|\\.)*"/gs;

function checkTokens(text: string, maxDepth: number): void {
  /** Names of each open object; null for an array. */
  const open: (Set<string> | null)[] = [];
  let last: string | null = null;
  for (const [token] of text.matchAll(TOKEN)) {
    if (token === '{' || token === '[') {
      open.push(token === '{' ? new Set() : null);
      if (open.length > maxDepth)
        throw new Problem(400, 'invalid-json', `the body is nested more than ${maxDepth} levels deep`);
    } else if (token === '}' || token === ']') open.pop();
    else if (token === ':' && last !== null) checkName(JSON.parse(last), open.at(-1));
    last = token[0] === '"' ? token : null;
    const fault = last?.includes('\\u') ? textFault(JSON.parse(last)) : null;
    if (fault) throw new Problem(400, 'invalid-json', `the body has ${fault} in it: ${last}`);
  }
}

function checkName(name: string, names: Set<string> | null | undefined): void {
  if (name === '__proto__') throw new Problem(400, 'invalid-json', 'the body has a field __proto__');
  if (names?.has(name)) throw new Problem(400, 'invalid-json', `the body has the field ${name} twice`, name);
  names?.add(name);
}
