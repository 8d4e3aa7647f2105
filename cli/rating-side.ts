/** What a model of ratings reads beside them, from flags and files: --items, --users, --events. */
import { existsSync } from 'node:fs';
import { InputError } from '../data/errors.ts';
import {
  type Beside,
  besideRatings,
  inferRatingEvents,
  inferRatingItems,
  RatingEncoder,
  type RatingSchema,
  readsAnything,
} from '../data/rating-side.ts';
import type { Ratings } from '../data/ratings.ts';
import { describeSchema, parseSchema } from '../data/schema.ts';
import type { Item, ModelConfig } from '../model/folder.ts';
import type { Output } from './common.ts';
import { readText } from './data.ts';
import { UsageError } from './errors.ts';
import { eventNames, openUsers, type SideFlags, tellEvents, tellStrangers, tellUnseen, usersSchema } from './side.ts';
import { printable } from './ui.ts';

export interface RatingSideFlags extends SideFlags {
  items?: string;
  /** JSON that says what columns of the items are. */
  schema?: string;
  /** Files of ready-made vectors of the items. */
  vectors?: string[];
}

export interface ReadBeside {
  schema: RatingSchema;
  /** null where nothing is read. */
  beside: Beside | null;
}

/** What flags ask for, before anything is read. @throws UsageError */
export function checkRatingSideFlags(flags: RatingSideFlags): void {
  eventNames(flags);
  if (flags.usersSchema !== undefined && flags.users === undefined)
    throw new UsageError('--users-schema goes with --users, whose columns it describes');
  for (const name of ['schema', 'vectors'] as const) {
    if (flags[name] !== undefined && flags.items === undefined)
      throw new UsageError(`--${name} goes with --items, the items that it is about`);
  }
}

/** Infers and prints what a new model is to read. @throws InputError */
export async function inferBeside(
  flags: RatingSideFlags,
  ratings: Ratings,
  items: readonly Item[],
  out: Output,
): Promise<ReadBeside> {
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
  tellEvents(schema.events ?? [], ratings.source, out);
  return { schema, beside: attach(schema, ratings, items, users, flags.users, out) };
}

/** What a model that goes on reads. @throws InputError where its users file is not there */
export async function loadBeside(
  { schema, data }: ModelConfig,
  ratings: Ratings,
  items: readonly Item[],
  out: Output,
): Promise<ReadBeside> {
  const file = schema.users && data.usersFile;
  if (file !== undefined && !existsSync(file))
    throw new InputError(`${file}: the columns of the users that the training was begun with are not there`);
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
): Beside | null {
  if (!readsAnything(schema)) return null;
  const encoder = new RatingEncoder(schema);
  const beside = besideRatings(encoder, ratings, items, users);
  tellUnseen(encoder, file ?? ratings.source, out);
  if (users) tellStrangers(ratings.userIds, users, file ?? '', out);
  return beside;
}
