/** The page's side of the worker: started when it is first needed. */
import { proxy, type Remote, wrap } from 'comlink';
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

/** An error's one line, with the command's flags in the page's words. */
export const messageOf = (error: unknown): string => inWords(error instanceof Error ? error.message : String(error));

/** A line that the command would print, without its flags. */
export const inWords = (text: string): string => WORDS.reduce((line, [flag, words]) => line.replace(flag, words), text);

const WORDS: [RegExp, string][] = [
  [/skip such rows with --max-bad-rows N/g, 'allow more rows that cannot be read'],
  [/\(--max-bad-rows N\)/g, '(rows that may be left out)'],
  [/name it with --(\w+)-column NAME/g, 'choose the $1 column above'],
  [/; name its column with --(\w+)-column NAME, or/g, '; choose the $1 column above, or'],
  [/--events (\S+): /g, '$1: '],
  [/try --min-interactions (\d+)/g, 'try $1 as the fewest interactions'],
  [/\(--min-interactions (\d+)\)/g, '(the fewest interactions, $1)'],
  [/--min-interactions/g, 'the fewest interactions'],
  [/\(--min-rating R changes that\)/g, '(the lowest rating that counts changes that)'],
  [/--min-rating ?/g, 'the lowest rating '],
  [/--set (\w+)=/g, 'setting $1='],
  [/--set /g, 'setting '],
  [/--epochs/g, 'the number of epochs'],
];
