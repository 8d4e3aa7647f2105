/** What a model of ratings reads beside them, from flags and files: --items, --users, --events. */
import { existsSync } from 'node:fs';
import { InputError } from '../../data/errors.ts';
import {
  type RatingFeatures,
  ratingSideFeatures,
  inferRatingEvents,
  inferRatingItems,
  RatingEncoder,
  type RatingSchema,
  readsAnything,
} from '../../data/ratings/side-features.ts';
import type { Ratings } from '../../data/ratings/ratings.ts';
import { describeSchema, parseSchema } from '../../data/features/schema.ts';
import type { Item, ModelConfig } from '../../model/storage/folder.ts';
import type { Output } from '../common.ts';
import { readText } from './data.ts';
import { UsageError } from '../errors.ts';
import {
  eventNames,
  openUsers,
  type SideFeatureFlags,
  noteEvents,
  noteUnknownUsers,
  noteUnseen,
  usersSchema,
} from './side-features.ts';
import { printable } from '../output/ui.ts';

export interface RatingSideFeatureFlags extends SideFeatureFlags {
  items?: string;
  /** JSON that says what columns of the items are. */
  schema?: string;
  /** Files of ready-made vectors of the items. */
  vectors?: string[];
}

export interface ReadRatingFeatures {
  schema: RatingSchema;
  /** null where nothing is read. */
  beside: RatingFeatures | null;
}

/** What flags ask for, before anything is read. @throws UsageError */
export function checkRatingSideFeatureFlags(flags: RatingSideFeatureFlags): void {
  eventNames(flags);
  if (flags.usersSchema !== undefined && flags.users === undefined)
    throw new UsageError('--users-schema goes with --users, whose columns it describes');
  for (const name of ['schema', 'vectors'] as const) {
    if (flags[name] !== undefined && flags.items === undefined)
      throw new UsageError(`--${name} goes with --items, the items that it is about`);
  }
}

/** Infers and prints what a new model is to read. @throws InputError */
export async function inferRatingFeatures(
  flags: RatingSideFeatureFlags,
  ratings: Ratings,
  items: readonly Item[],
  out: Output,
): Promise<ReadRatingFeatures> {
  const schema: RatingSchema = {};
  if (flags.items !== undefined) {
    const choices = flags.schema === undefined ? [] : parseSchema(await readText(flags.schema), flags.schema);
    const described = inferRatingItems(items, choices);
    if (described) schema.items = described;
    for (const line of described ? describeSchema(described) : []) {
      out.note(`${printable(flags.items)}: ${printable(line)}`);
    }
  }
  const users = flags.users === undefined ? null : await openUsers(flags.users);
  if (users) schema.users = await usersSchema(flags, users, ratings.userIds, out);
  const names = eventNames(flags);
  if (names.length > 0) schema.events = inferRatingEvents(ratings, names);
  noteEvents(schema.events ?? [], ratings.source, out);
  return { schema, beside: attach(schema, ratings, items, users, flags.users, out) };
}

/** What a model that goes on reads. @throws InputError where its users file is not there */
export async function loadRatingFeatures(
  { schema, data }: ModelConfig,
  ratings: Ratings,
  items: readonly Item[],
  out: Output,
): Promise<ReadRatingFeatures> {
  const file = schema.users && data.usersFile;
  if (file !== undefined && !existsSync(file))
    throw new InputError(
      'not-found',
      `${file}: the columns of the users that the training was begun with are not there`,
    );
  const users = file === undefined ? null : await openUsers(file);
  return { schema, beside: attach(schema, ratings, items, users, file, out) };
}

function attach(
  schema: RatingSchema,
  ratings: Ratings,
  items: readonly Item[],
  users: Awaited<ReturnType<typeof openUsers>> | null,
  file: string | undefined,
  out: Output,
): RatingFeatures | null {
  if (!readsAnything(schema)) return null;
  const encoder = new RatingEncoder(schema);
  const beside = ratingSideFeatures(encoder, ratings, items, users);
  noteUnseen(encoder, file ?? ratings.source, out);
  if (users) noteUnknownUsers(ratings.userIds, users, file ?? '', out);
  return beside;
}
