/** The page's side of the worker: started when it is first needed. */
import { proxy, type Remote, wrap } from 'comlink';
import { nameOptions } from '../data/errors.ts';
import type { WorkerApi } from './worker/index.ts';

let remote: Remote<WorkerApi> | null = null;

export function engine(): Remote<WorkerApi> {
  if (!remote) {
    const worker = new Worker(new URL('./worker/index.ts', import.meta.url), { type: 'module', name: 'attune' });
    remote = wrap<WorkerApi>(worker);
  }
  return remote;
}

/** A function of the page that the worker may call. */
export const callback = <F extends object>(fn: F): F => proxy(fn);

/** An error's one line, with options named as the page's fields. */
export const messageOf = (error: unknown): string => inWords(error instanceof Error ? error.message : String(error));

/** A line of the library's, with options named as the page's fields. */
export const inWords = (text: string): string =>
  nameOptions(text, (name, value) => {
    const [group, key] = name.split('.');
    const field = FIELDS[name] ?? (key && group === 'columns' ? `the ${key} column` : (key ?? name));
    return value === undefined || /^[A-Z]+$/.test(value) ? field : `${field} ${value}`;
  });

const FIELDS: Record<string, string> = {
  maxBadRows: 'the limit of rows that cannot be read',
  minInteractions: 'the fewest interactions',
  minRating: 'the lowest rating that counts',
  epochs: 'the number of epochs',
  items: 'the items file',
  users: 'the users file',
  reads: 'the context of events',
  'columns.all': 'the columns',
};
