/**
 * JSON bodies as they must be: UTF-8, of bounded depth, no name twice in an object (what reads the first and what reads the
 * last would disagree), no `__proto__`, no text that a store could not give back as it came.
 */
import { Problem } from './problem.ts';
import { textFault } from './text.ts';
import { pointerOf } from './validation.ts';

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

/** An object or an array that is open: its names so far, null for an array; and the name or the index that comes now. */
interface Open {
  names: Set<string> | null;
  at: string | number;
}

function checkTokens(text: string, maxDepth: number): void {
  const open: Open[] = [];
  let last: string | null = null;
  for (const [token] of text.matchAll(TOKEN)) {
    const inside = open.at(-1);
    if (token === '{' || token === '[') {
      open.push(token === '{' ? { names: new Set(), at: '' } : { names: null, at: 0 });
      if (open.length > maxDepth)
        throw new Problem(400, 'invalid-json', `the body is nested more than ${maxDepth} levels deep`);
    } else if (token === '}' || token === ']') open.pop();
    else if (token === ',' && typeof inside?.at === 'number') inside.at++;
    else if (token === ':' && last !== null && inside) takeName(JSON.parse(last), inside, open);
    last = token[0] === '"' ? token : null;
    const fault = last?.includes('\\u') ? textFault(JSON.parse(last)) : null;
    if (fault) throw new Problem(400, 'invalid-json', `the body has ${fault} in it: ${last}`);
  }
}

function takeName(name: string, inside: Open, open: readonly Open[]): void {
  inside.at = name;
  const fault = name === '__proto__' ? 'a field __proto__' : inside.names?.has(name) ? `the field ${name} twice` : null;
  if (fault) throw new Problem(400, 'invalid-json', `the body has ${fault}`, pointerOf(open.map(({ at }) => at)));
  inside.names?.add(name);
}
