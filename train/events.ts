/** Events and items as a program has them, on their way to a training. */
import { InputError } from '../data/errors.ts';
import { contextNames } from '../data/features/event-encoder.ts';
import { type Log, IdIndex } from '../data/log.ts';
import { ownValue } from '../data/own-value.ts';
import { Device, type DeviceOptions } from '../engine/index.ts';
import { type Files, MemoryFiles } from '../model/storage/files.ts';
import type { TrainingSource } from './plan.ts';

/** Who did what, and when. */
export interface TrainingEvent {
  user: string;
  item: string;
  /** Any unit that grows; without it the events are in order. */
  time?: number;
  rating?: number;
  /** Other columns, such as the device; read where `reads` names them. */
  context?: Readonly<Record<string, string>>;
}

export interface TrainingUser {
  id: string;
  attributes: Readonly<Record<string, string>>;
}

export interface TrainingItem {
  id: string;
  title?: string;
  /** Several values of one attribute are separated by `|`. */
  attributes?: Record<string, string>;
}

/** What every training from a program takes. @template Progress what it tells while it runs */
export interface TrainingOptions<Progress> {
  /** Titles and attributes of the items. */
  items?: Iterable<TrainingItem>;
  /** Columns of the users, as `attune train --users` reads them. */
  users?: Iterable<TrainingUser>;
  /** How events were, as `--events` names it: hour, weekday, columns of their context. */
  reads?: readonly string[];
  /** As `--set` takes them: `{ window: 50 }`. They go over what suits the log. */
  settings?: Record<string, string | number>;
  epochs?: number;
  maxMinutes?: number;
  /** One seed, one result on one device; 1 by default. */
  seed?: number;
  /** Where the model is kept; in memory by default. */
  files?: Files;
  /** Replace a model that `files` holds. */
  overwrite?: boolean;
  /** A device to share, which stays open; or which one to open. */
  device?: Device | DeviceOptions['backend'];
  signal?: AbortSignal;
  onProgress?(progress: Progress): void;
  /** Name of the log in the model card. */
  source?: string;
}

/** What a kind of training is planned from: settings are text, and `events` are the columns that it reads. */
type Planned<Options> = Options & { settings: Record<string, string>; events: readonly string[] };

interface RunOptions<Progress> extends Pick<TrainingOptions<Progress>, 'overwrite' | 'signal' | 'onProgress'> {
  device: Device;
  files: Files;
  deadline?: number;
}

/** A kind of training: how its options are checked, how it is planned, and how the plan is run. */
interface TrainingKind<Progress, Options extends TrainingOptions<Progress>, Plan, Trained> {
  check(options: Planned<Options>): void;
  plan(source: TrainingSource, options: Planned<Options>): Plan | Promise<Plan>;
  run(plan: Plan, options: RunOptions<Progress>): Promise<Trained>;
}

/** Trains on events. @throws InputError, one line */
export async function trainEvents<Progress, Options extends TrainingOptions<Progress>, Plan, Trained>(
  events: Iterable<TrainingEvent>,
  options: Options & TrainingOptions<Progress>,
  kind: TrainingKind<Progress, Options, Plan, Trained>,
): Promise<Trained> {
  const started = performance.now();
  checkTraining(options);
  const { maxMinutes, signal, onProgress, overwrite, files = new MemoryFiles('model') } = options;
  const reads = [...new Set(options.reads ?? [])];
  const planned = { ...options, settings: settingsText(options), events: reads };
  kind.check(planned); // before the events are read, which may take long
  const log = logOf(events, options.source ?? 'events', contextNames(reads));
  const plan = await kind.plan(sourceOf(log, options), planned);
  const { device, close } = await openShared(options.device);
  try {
    const deadline = maxMinutes === undefined ? undefined : started + maxMinutes * 60_000;
    return await kind.run(plan, { device, files, overwrite, deadline, signal, onProgress });
  } finally {
    close();
  }
}

/** A device that is shared and stays open, or one that is opened for as long as it is needed. */
export async function openShared(
  given: Device | DeviceOptions['backend'],
): Promise<{ device: Device; close: () => void }> {
  if (given instanceof Device) return { device: given, close: () => {} };
  const device = await Device.open({ backend: given ?? 'auto' });
  return { device, close: () => device.close() };
}

/** A number of an event, NaN where there is none. @throws InputError for a text or a Date, whose unit is unknown */
function numberOr(value: number | null | undefined, what: 'time' | 'rating', event: number, source: string): number {
  if (value === undefined || value === null) return Number.NaN;
  if (typeof value === 'number' && (Number.isFinite(value) || Number.isNaN(value))) return value;
  const hint = what === 'time' ? ' (Date.parse and getTime() give milliseconds)' : '';
  const given = typeof value === 'string' ? JSON.stringify(value) : String(value);
  throw new InputError(
    'invalid-data',
    `${source}: event ${event + 1}: expected a number as ${what}, got ${given}${hint}`,
  );
}

/** Checks the numbers that every training takes. @throws InputError */
export function checkTraining({
  epochs,
  maxMinutes,
  seed,
}: Pick<TrainingOptions<never>, 'epochs' | 'maxMinutes' | 'seed'>): void {
  if (epochs !== undefined && !(Number.isSafeInteger(epochs) && epochs >= 1)) {
    throw new InputError('invalid-value', `expected an integer >= 1, got ${epochs}`, { setting: 'epochs' });
  }
  if (maxMinutes !== undefined && !(maxMinutes > 0)) {
    throw new InputError('invalid-value', `expected a number > 0, got ${maxMinutes}`, { setting: 'maxMinutes' });
  }
  if (seed !== undefined && !(Number.isSafeInteger(seed) && seed >= 0)) {
    throw new InputError('invalid-value', `expected an integer >= 0, got ${seed}`, { setting: 'seed' });
  }
}

/** Events as a log, with these columns of their context. @throws InputError for events without a user or an item */
export function logOf(events: Iterable<TrainingEvent>, source: string, columns: readonly string[] = []): Log {
  const users = new IdIndex();
  const items = new IdIndex();
  const all = Array.isArray(events) ? (events as TrainingEvent[]) : Array.from(events);
  const has = (key: 'time' | 'rating'): boolean => all.some((event) => event[key] !== undefined && event[key] !== null);
  const log: Log = {
    userIds: users.ids,
    itemIds: items.ids,
    user: new Uint32Array(all.length),
    item: new Uint32Array(all.length),
    rating: has('rating') ? new Float64Array(all.length) : null,
    time: has('time') ? new Float64Array(all.length) : null,
    size: all.length,
    source,
    notes: [],
  };
  const contexts = columns.map((name) => ({ name, values: new IdIndex(), rows: new Uint32Array(all.length) }));
  if (contexts.length > 0) log.context = contexts.map(({ name, values, rows }) => ({ name, values: values.ids, rows }));
  for (const [i, { user, item, time, rating, context }] of all.entries()) {
    if (typeof user !== 'string' || typeof item !== 'string' || user === '' || item === '') {
      throw new InputError('invalid-data', `${source}: event ${i + 1} needs a user and an item, both text`);
    }
    log.user[i] = users.add(user);
    log.item[i] = items.add(item);
    if (log.rating) log.rating[i] = numberOr(rating, 'rating', i, source);
    if (log.time) log.time[i] = numberOr(time, 'time', i, source);
    for (const { name, values, rows } of contexts) rows[i] = values.add(ownValue(context, name) ?? '');
  }
  return log;
}

/** A log with what a program says of its items and users. */
export function sourceOf(log: Log, { items, users }: Pick<TrainingOptions<never>, 'items' | 'users'>): TrainingSource {
  return {
    log,
    name: log.source,
    items: items && new Map(Array.from(items, (item) => [item.id, item])),
    users: users && new Map(Array.from(users, ({ id, attributes }) => [id, attributes])),
  };
}

/** Settings as a plan takes them: text. */
const settingsText = ({ settings = {} }: Pick<TrainingOptions<never>, 'settings'>): Record<string, string> =>
  Object.fromEntries(Object.entries(settings).map(([key, value]) => [key, String(value)]));
