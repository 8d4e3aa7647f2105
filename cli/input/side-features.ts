/** Side features from flags and files: user features (--users) and event context (--events). */
import { createReadStream } from 'node:fs';
import { readUsers } from '../../data/formats/catalog.ts';
import { type ColumnChoice, parseSchema } from '../../data/features/schema.ts';
import type { Split } from '../../data/splits/split.ts';
import type { ModelConfig } from '../../model/storage/config.ts';
import type { Settings } from '../../model/recipes/settings.ts';
import { openParquetWorker } from './parquet-worker.ts';
import { type Notes, storedSideFeatures } from '../../train/side-features.ts';
import { type Output, say } from '../common.ts';
import { readText, fileSize } from './data.ts';
import { UsageError } from '../errors.ts';

export interface SideFeatureFlags {
  /** Columns of the users. */
  users?: string;
  usersSchema?: string;
  /** What is read of events: rating, gap, hour, weekday, columns of the log. */
  events?: string;
}

type Users = Map<string, Record<string, string>>;

/** Names of --events. @throws UsageError */
export function eventNames({ events }: SideFeatureFlags): string[] {
  if (events === undefined) return [];
  const names = events.split(',').map((name) => name.trim());
  if (names.some((name) => name === '')) {
    throw new UsageError('--events: expected names with commas between them, as in rating,gap,device');
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
    throw new UsageError('--users-schema requires --users, whose columns it describes');
  }
  if ((flags.users !== undefined || flags.events !== undefined) && settings.direction !== 'causal') {
    throw new UsageError('--users and --events require a causal model (--set direction=causal)');
  }
}

/** Reads a users file. @throws InputError */
export async function openUsers(file: string): Promise<Users> {
  await fileSize(file);
  return readUsers(createReadStream(file), file, { openParquetWorker });
}

/** The types of columns that a schema file names; none without a file. @throws InputError */
export async function columnChoices(file: string | undefined): Promise<ColumnChoice[]> {
  return file === undefined ? [] : parseSchema(await readText(file), file);
}

/** The split with the side features that a trained model reads. @throws InputError */
export async function loadSideFeatures(
  { schema }: Pick<ModelConfig, 'schema'>,
  split: Split,
  usersFile: string | undefined,
  out: Output,
): Promise<Split> {
  const users = usersFile === undefined || !schema.users ? null : await openUsers(usersFile);
  const said: Notes = { notes: [], warnings: [] };
  const own = storedSideFeatures(schema, split, users, usersFile ?? 'the log', said);
  if (usersFile !== undefined && !schema.users) out.warn('--users: the model reads no columns of users');
  say(said, out);
  return own;
}
