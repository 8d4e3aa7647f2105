/** The page's side of the worker: started when it is first needed. */
import { proxy, type Remote, wrap } from 'comlink';
import { nameOptions } from '../data/errors.ts';
import { labelOf } from '../model/recipes/setting.ts';
import { planState } from './state.ts';
import type { SentError } from './worker/errors.ts';
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
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { reason, hint, setting, value } = error as Partial<SentError>;
  if (reason === undefined) return error.message;
  const where = setting === undefined ? '' : `${fieldOf(setting, value)}: `;
  return inWords(`${where}${reason}${hint === undefined ? '' : `; ${hint}`}`);
}

/** A line of the library's, with options named as the page's fields. */
export const inWords = (text: string): string => nameOptions(text, fieldOf);

/** `settings.window` with 50 is `window 50`, as the form of settings names it. */
function fieldOf(name: string, value?: string): string {
  const [group, key] = name.split('.');
  const label = FIELDS[name] ?? (group === 'settings' ? settingLabel(key) : key ? `the ${key} column` : name);
  // A word in place of a value is an example of the command's.
  const shown = group === 'settings' || Number.isFinite(Number(value));
  return shown && value !== undefined ? `${label} ${value}` : label;
}

function settingLabel(key: string): string {
  const groups = planState.get().form?.groups ?? [];
  const setting = groups.map(({ settings }) => settings[key]).find((one) => one !== undefined);
  return labelOf(key, setting);
}

const FIELDS: Record<string, string> = {
  maxBadRows: 'the limit of rows that cannot be read',
  minInteractions: 'the fewest interactions',
  minRating: 'the lowest rating that counts',
  epochs: 'the number of epochs',
  items: 'the items file',
  users: 'the users file',
  reads: 'the event context',
  'columns.all': 'the columns',
};
