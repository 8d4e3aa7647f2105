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
import { describeSchema } from '../../data/features/schema.ts';
import type { Item, ModelConfig } from '../../model/storage/config.ts';
import { inferUsers, noteEvents, noteUnknownUsers, type Notes, warnUnseen } from '../../train/side-features.ts';
import { UsageError } from '../errors.ts';
import { columnChoices, eventNames, openUsers, type SideFeatureFlags } from './side-features.ts';

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
  to: Notes,
): Promise<ReadRatingFeatures> {
  const schema: RatingSchema = {};
  if (flags.items !== undefined) {
    const described = inferRatingItems(items, await columnChoices(flags.schema));
    if (described) schema.items = described;
    for (const line of described ? describeSchema(described) : []) to.notes.push(`${flags.items}: ${line}`);
  }
  const users = flags.users === undefined ? null : await openUsers(flags.users);
  if (users) {
    const choices = await columnChoices(flags.usersSchema);
    schema.users = inferUsers(users, ratings.userIds, flags.users as string, choices, to);
  }
  const names = eventNames(flags);
  if (names.length > 0) schema.events = inferRatingEvents(ratings, names);
  noteEvents(schema.events, ratings.source, to);
  return { schema, beside: attach(schema, ratings, items, users, flags.users, to) };
}

/** What a model that goes on reads. @throws InputError where its users file is not there */
export async function loadRatingFeatures(
  { schema, data }: ModelConfig,
  ratings: Ratings,
  items: readonly Item[],
  to: Notes,
): Promise<ReadRatingFeatures> {
  const file = schema.users && data.usersFile;
  if (file !== undefined && !existsSync(file))
    throw new InputError(
      'not-found',
      `${file}: the columns of the users that the training was begun with are not there`,
    );
  const users = file === undefined ? null : await openUsers(file);
  return { schema, beside: attach(schema, ratings, items, users, file, to) };
}

function attach(
  schema: RatingSchema,
  ratings: Ratings,
  items: readonly Item[],
  users: Awaited<ReturnType<typeof openUsers>> | null,
  file: string | undefined,
  to: Notes,
): RatingFeatures | null {
  if (!readsAnything(schema)) return null;
  const beside = ratingSideFeatures(new RatingEncoder(schema), ratings, items, users);
  warnUnseen(beside.unseen, file ?? ratings.source, to);
  if (users) noteUnknownUsers(ratings.userIds, users, file ?? '', to);
  return beside;
}
