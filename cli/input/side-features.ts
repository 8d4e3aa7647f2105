/** What a model reads beside items, from flags and files: columns of users (--users) and of events (--events). */
import { createReadStream } from 'node:fs';
import { readUsers } from '../../data/formats/catalog.ts';
import { InputError } from '../../data/errors.ts';
import { describeSchema, inferSchema, parseSchema, type Schema } from '../../data/features/schema.ts';
import {
  type EventColumn,
  inferEvents,
  SideFeatures,
  SideFeatureEncoder,
  type SideFeatureSchema,
} from '../../data/features/side-features.ts';
import type { Split } from '../../data/splits/split.ts';
import type { ModelConfig } from '../../model/storage/folder.ts';
import type { Settings } from '../../model/recipes/recipes.ts';
import { openParquetWorker } from './parquet-worker.ts';
import type { Output } from '../common.ts';
import { examples, readText, sizeOf } from './data.ts';
import { UsageError } from '../errors.ts';
import { formatCount, printable } from '../output/ui.ts';

export interface SideFeatureFlags {
  /** Columns of the users. */
  users?: string;
  usersSchema?: string;
  /** What is read of events: rating, gap, hour, weekday, columns of the log. */
  events?: string;
}

type Users = Map<string, Record<string, string>>;

/** Entries that a token has at most: columns of long texts would have more. */
const MOST_ENTRIES = 256;

/** Names of --events. @throws UsageError */
export function eventNames({ events }: SideFeatureFlags): string[] {
  if (events === undefined) return [];
  const names = events.split(',').map((name) => name.trim());
  if (names.some((name) => name === '')) {
    throw new UsageError('--events: names with commas between them were expected, as in rating,gap,device');
  }
  return [...new Set(names)];
}

/** Columns of the log that a model reads as they are. */
export const contextOf = ({ schema }: Pick<ModelConfig, 'schema'>): string[] =>
  (schema.events ?? []).flatMap(({ name, kind }) => (kind === 'column' ? [name] : []));

/** What flags ask for, before anything is read. */
export function checkSideFeatureFlags(flags: SideFeatureFlags, settings: Settings): void {
  eventNames(flags);
  if (flags.usersSchema !== undefined && flags.users === undefined) {
    throw new UsageError('--users-schema goes with --users, whose columns it describes');
  }
  if ((flags.users !== undefined || flags.events !== undefined) && settings.direction !== 'causal') {
    throw new UsageError('--users and --events need a causal model (--set direction=causal)');
  }
}

/** Reads a users file. @throws InputError */
export async function openUsers(file: string): Promise<Users> {
  await sizeOf(file);
  return readUsers(createReadStream(file), file, { openParquetWorker });
}

/** Infers and prints the side features that a new model reads. @returns the split with them */
export async function inferSideFeatures(
  flags: SideFeatureFlags,
  split: Split,
  source: string,
  out: Output,
): Promise<Split> {
  const users = flags.users === undefined ? null : await openUsers(flags.users);
  const schema: SideFeatureSchema = {};
  if (users) schema.users = await usersSchema(flags, users, split.dataset.userIds, out);
  const names = eventNames(flags);
  if (names.length > 0) schema.events = inferEvents(split.dataset, names, source);
  noteEvents(schema.events ?? [], source, out);
  return withSide(schema, split, users, flags.users, out);
}

/** Says how events are read. */
export function noteEvents(columns: readonly EventColumn[], source: string, out: Output): void {
  for (const column of columns) out.note(`${printable(source)}: events: ${printable(describeEvent(column))}`);
}

/** Infers and prints what the columns of a log's users are. @throws InputError where the file says nothing of them */
export async function usersSchema(
  flags: SideFeatureFlags,
  users: Users,
  ids: readonly string[],
  out: Output,
): Promise<Schema> {
  const source = flags.users as string;
  const { usersSchema } = flags;
  const fixed = usersSchema === undefined ? [] : parseSchema(await readText(usersSchema), usersSchema);
  const known = ids.filter((id) => users.has(id));
  if (known.length === 0) {
    throw new InputError(
      'mismatched-data',
      `${source}: none of its users is in the log; its IDs look like ${JSON.stringify(users.keys().next().value)}, those of the log like ${JSON.stringify(ids[0])}`,
    );
  }
  const rows = known.map((id) => ({ id, title: '', attributes: users.get(id) ?? {} }));
  const schema = inferSchema(rows, fixed);
  if (schema.columns.every(({ type }) => type === 'skip')) {
    throw new InputError('missing-column', `${source}: no column that says anything of the users`, {
      hint: 'name their types with --users-schema',
    });
  }
  out.note(`${printable(source)}: columns of ${formatCount(known.length)} of ${formatCount(ids.length)} users`);
  for (const line of describeSchema(schema)) out.note(`${printable(source)}: ${printable(line)}`);
  return schema;
}

function describeEvent({ name, kind, values, knots, absent }: EventColumn): string {
  const rows = values
    ? `${values.length} values`
    : knots
      ? `${knots.length} ranges`
      : kind === 'gap'
        ? 'powers of two'
        : 'cyclical, and by value';
  return `${name}: ${rows}${absent > 0 ? `, ${(100 * absent).toFixed(1)} % missing (learned)` : ''}`;
}

/** The split with the side features that a trained model reads. @throws InputError */
export async function loadSideFeatures(
  { schema }: Pick<ModelConfig, 'schema'>,
  split: Split,
  usersFile: string | undefined,
  out: Output,
): Promise<Split> {
  if (usersFile !== undefined && !schema.users) out.warn('--users: the model reads no columns of users');
  const users = usersFile === undefined || !schema.users ? null : await openUsers(usersFile);
  if (schema.users && !users) {
    out.warn('the model reads columns of users: without --users PATH nothing is known of them here');
  }
  return withSide({ users: schema.users, events: schema.events }, split, users, usersFile, out);
}

function withSide(
  schema: SideFeatureSchema,
  split: Split,
  users: Users | null,
  file: string | undefined,
  out: Output,
): Split {
  if (!schema.users && !schema.events) return split;
  const encoder = new SideFeatureEncoder(schema);
  const side = new SideFeatures(encoder, split.dataset, users);
  noteUnseen(encoder, file ?? 'the log', out);
  if (users) noteUnknownUsers(split.dataset.userIds, users, file ?? '', out);
  if (side.maxEntries > MOST_ENTRIES) {
    throw new InputError(
      'too-large',
      `--users, --events: ${side.maxEntries} values stand beside an event, ${MOST_ENTRIES} are the most`,
      { hint: 'give long texts and vectors the type skip with --users-schema FILE' },
    );
  }
  return split.withSide(side);
}

/** Says of whom a users file says nothing. */
export function noteUnknownUsers(ids: readonly string[], users: Users, file: string, out: Output): void {
  const strangers = ids.filter((id) => !users.has(id));
  if (strangers.length === 0) return;
  out.note(`${printable(file)}: nothing of ${formatCount(strangers.length)} users: ${examples(strangers)}`);
}

/** Says which values a schema does not know. */
export function noteUnseen({ unseen }: Pick<SideFeatureEncoder, 'unseen'>, source: string, out: Output): void {
  for (const [name, count] of unseen) {
    out.warn(`${printable(source)}: ${formatCount(count)} values of ${printable(name)} are new and count as unknown`);
  }
}
