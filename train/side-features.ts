/** The side features of a training (user features and event context): inferred from its log, or as a stored model has them. */
import { InputError } from '../data/errors.ts';
import { type ColumnChoice, describeSchema, inferSchema, type Schema } from '../data/features/schema.ts';
import {
  type EventColumn,
  inferEvents,
  requestColumns,
  SideFeatureEncoder,
  type SideFeatureSchema,
} from '../data/features/event-encoder.ts';
import { SideFeatures } from '../data/features/side-features.ts';
import type { Split } from '../data/splits/split.ts';
import { truncate } from '../data/visible.ts';

/** Columns by user ID. */
export type UserFeatures = ReadonlyMap<string, Readonly<Record<string, string>>>;

/** What to tell people about a plan. */
export interface Notes {
  /** What was found and chosen. */
  notes: string[];
  /** What to look at: data that will not do what it seems to. */
  warnings: string[];
}

/** Active features of one event at most: columns of long texts would have more. */
const MOST_FEATURES = 256;

export const count = (n: number): string => n.toLocaleString('en-US');

/** A few IDs, for a message: `"a", "b", "c", …`. */
export function examples(ids: readonly string[], most = 3): string {
  const shown = ids.slice(0, most).map((id) => truncate(JSON.stringify(id), 60));
  return shown.join(', ') + (ids.length > most ? `, … (${count(ids.length)} in all)` : '');
}

export interface InferOptions {
  users?: UserFeatures | null;
  /** Names of the users file and of the log, for messages. */
  usersName: string;
  source: string;
  /** What user columns are, where that is not inferred. */
  userColumns?: readonly ColumnChoice[];
  /** Event context to read: rating, gap, hour, weekday, columns of the log. */
  events?: readonly string[];
  /** Whether to read when the next event is asked for. */
  request?: boolean;
}

/** Infers the side features of a new model. @throws InputError where no user is in the log, or the log lacks a column */
export function inferSideFeatures(split: Split, options: InferOptions, to: Notes): SideFeatureSchema {
  const { users, usersName, source, userColumns = [], events = [], request = false } = options;
  const schema: SideFeatureSchema = {};
  if (users) schema.users = inferUsers(users, split.dataset.userIds, usersName, userColumns, to);
  const columns = [...inferEvents(split.dataset, events, source), ...(request ? requestColumns(split.dataset) : [])];
  if (columns.length > 0) schema.events = columns;
  noteEvents(schema.events, source, to);
  return schema;
}

/** Infers what the columns of a log's users are. @throws InputError where they say nothing */
export function inferUsers(
  users: UserFeatures,
  ids: readonly string[],
  name: string,
  choices: readonly ColumnChoice[],
  { notes }: Notes,
): Schema {
  const known = ids.filter((id) => users.has(id));
  if (known.length === 0) {
    const [other] = users.keys();
    throw new InputError(
      'mismatched-data',
      `${name}: none of its users is in the log; its IDs look like ${JSON.stringify(other)}, those of the log like ${JSON.stringify(ids[0])}`,
    );
  }
  const schema = inferSchema(
    known.map((id) => ({ id, title: '', attributes: users.get(id) ?? {} })),
    choices,
  );
  if (schema.columns.every(({ type }) => type === 'skip')) {
    throw new InputError('invalid-data', `${name}: no column tells users apart`, {
      hint: 'name the column types in a schema',
    });
  }
  notes.push(`${name}: columns of ${count(known.length)} of ${count(ids.length)} users`);
  for (const line of describeSchema(schema)) notes.push(`${name}: ${line}`);
  return schema;
}

export function noteEvents(columns: readonly EventColumn[] = [], source: string, { notes }: Notes): void {
  for (const { name, kind, values, knots, absent } of columns) {
    const rows = values
      ? `${values.length} values`
      : knots
        ? `${knots.length} ranges`
        : kind.endsWith('gap')
          ? 'powers of two'
          : 'cyclical, and by value';
    const missing = absent > 0 ? `, ${(100 * absent).toFixed(1)} % missing (learned)` : '';
    notes.push(`${source}: events: ${name}: ${rows}${missing}`);
  }
}

/**
 * The split with the side features that a model reads; as it is where it reads none.
 * @param name of the users file, or else of the log
 * @throws InputError where an event would have too many
 */
export function withSideFeatures(
  schema: SideFeatureSchema,
  split: Split,
  users: UserFeatures | null,
  name: string,
  to: Notes,
): Split {
  if (!schema.users && !schema.events) return split;
  const side = new SideFeatures(new SideFeatureEncoder(schema), split.dataset, users);
  warnUnseen(side.unseen, name, to);
  if (users) noteUnknownUsers(split.dataset.userIds, users, name, to);
  if (side.maxEntries > MOST_FEATURES) {
    throw new InputError(
      'too-large',
      `${name}: ${side.maxEntries} side features on one event, ${MOST_FEATURES} are the most`,
      { hint: 'give long texts and vectors the type skip in a schema' },
    );
  }
  return split.withSide(side);
}

/** The split with the side features of a stored model. @param users null where there is no users file */
export function storedSideFeatures(
  { users: userSchema, events }: SideFeatureSchema,
  split: Split,
  users: UserFeatures | null,
  name: string,
  to: Notes,
): Split {
  if (userSchema && !users) {
    to.warnings.push('the model reads columns of users: without a users file nothing is known of them here');
  }
  return withSideFeatures({ users: userSchema, events }, split, userSchema ? users : null, name, to);
}

export function noteUnknownUsers(ids: readonly string[], users: UserFeatures, name: string, { notes }: Notes): void {
  const strangers = ids.filter((id) => !users.has(id));
  if (strangers.length > 0) notes.push(`${name}: nothing of ${count(strangers.length)} users: ${examples(strangers)}`);
}

/** Says which values a schema does not know. @param unseen counts by column */
export function warnUnseen(unseen: ReadonlyMap<string, number>, name: string, { warnings }: Notes): void {
  for (const [column, n] of unseen)
    warnings.push(`${name}: ${count(n)} values of ${column} are new and count as unknown`);
}
