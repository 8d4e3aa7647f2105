/**
 * Side features of ratings: attributes of items, columns of users, and the context of events. Each is a weighted bag of
 * rows of one table A (data/features): first those of events and users, then those of items.
 */
import { InputError, option } from '../errors.ts';
import type { CatalogItem, ItemInfo } from '../formats/catalog.ts';
import { attributeRows, bagEncoder, type BagEncoder, type UnseenCounts } from '../features/encoder.ts';
import { contextAt } from '../log.ts';
import type { Ratings } from './ratings.ts';
import { type ColumnChoice, inferSchema, type Schema } from '../features/schema.ts';
import {
  type EventColumn,
  type EventContext,
  inferEvents,
  milliseconds,
  SideFeatureEncoder,
} from '../features/event-encoder.ts';
import { maxBagSize, packBags, type SideFeatureRows, type SideFeatureWriter } from '../features/side-rows.ts';

/** How side features are encoded; what is missing is not read. */
export interface RatingSchema {
  items?: Schema;
  users?: Schema;
  events?: EventColumn[];
}

/** Most entries of a rating's side features; columns of long texts would have more. */
const MOST_ENTRIES = 256;

export const readsAnything = ({ items, users, events }: RatingSchema): boolean => Boolean(items || users || events);

export class RatingEncoder {
  readonly schema: RatingSchema;
  /** Rows of the table A. */
  readonly rows: number;
  private readonly encoder: SideFeatureEncoder;
  private readonly item: BagEncoder | null;
  /** Without texts, each in a table of its own: the prior mean of factors is a function of them (model/ratings/factors.ts). */
  private readonly plain: { items: PlainEncoder | null; users: PlainEncoder | null };

  constructor(schema: RatingSchema) {
    this.schema = schema;
    this.encoder = new SideFeatureEncoder(schema);
    this.item = schema.items ? bagEncoder(schema.items, this.encoder.rows) : null;
    this.rows = this.encoder.rows + (schema.items ? attributeRows(schema.items) : 0);
    this.plain = { items: plainEncoder(schema.items), users: plainEncoder(schema.users) };
  }

  /** A bag for each item; null if items are not read. */
  items(items: readonly CatalogItem[], unseen?: UnseenCounts): SideFeatureRows | null {
    const { item } = this;
    return item && packBags(items.map((one) => item(described(one), unseen)));
  }

  /** The same without texts; null if no column is left. */
  plainItems(items: readonly CatalogItem[]): PlainBags | null {
    const { items: encoder } = this.plain;
    return encoder && { rows: encoder.rows, bags: packBags(items.map((one) => encoder.bag(described(one)))) };
  }

  /** The same for users. */
  plainUsers(columns: readonly (Readonly<Record<string, string>> | null)[]): PlainBags | null {
    const { users: encoder } = this.plain;
    if (!encoder) return null;
    return {
      rows: encoder.rows,
      bags: packBags(columns.map((own) => encoder.bag({ title: '', attributes: own ?? {} }))),
    };
  }

  /** A bag for each user, from their columns or null; null if users are not read. */
  users(columns: readonly (Readonly<Record<string, string>> | null)[], unseen?: UnseenCounts): SideFeatureRows | null {
    return this.schema.users ? packBags(columns.map((own) => this.encoder.userBag(own, unseen))) : null;
  }

  /** A bag for each event; null if events are not read. */
  events(facts: readonly (EventContext | null)[], unseen?: UnseenCounts): SideFeatureRows | null {
    return this.schema.events?.length ? packBags(facts.map((own) => this.encoder.eventBag(own, unseen))) : null;
  }
}

/** The ID replaces a missing title; it is not informative. */
const described = ({ id, title, attributes }: CatalogItem): ItemInfo => {
  return { title: title === id ? '' : title, attributes };
};

/** Bags of rows of a table of their own. */
export interface PlainBags {
  rows: number;
  bags: SideFeatureRows;
}

interface PlainEncoder {
  rows: number;
  bag: BagEncoder;
}

function plainEncoder(schema: Schema | undefined): PlainEncoder | null {
  const columns = schema?.columns.filter(({ type }) => type !== 'text' && type !== 'skip') ?? [];
  if (!schema || columns.length === 0) return null;
  const plain = { ...schema, columns };
  return { rows: attributeRows(plain), bag: bagEncoder(plain, 0) };
}

/** Side features of ratings, by item, user and row number. */
export class RatingSideFeatures {
  readonly encoder: RatingEncoder;
  /** The largest number of entries of a rating. */
  readonly maxEntries: number;
  private readonly items: SideFeatureRows | null;
  private readonly users: SideFeatureRows | null;
  private readonly events: SideFeatureRows | null;
  private readonly unknownUser: SideFeatureRows | null;
  private readonly unknownEvent: SideFeatureRows | null;

  /** @throws InputError if a rating has too many entries */
  constructor(
    encoder: RatingEncoder,
    items: SideFeatureRows | null,
    users: SideFeatureRows | null,
    events: SideFeatureRows | null,
  ) {
    this.encoder = encoder;
    this.items = items;
    this.users = users;
    this.events = events;
    this.unknownUser = encoder.users([null]);
    this.unknownEvent = encoder.events([null]);
    this.maxEntries = [items, users, events].reduce((sum, rows) => sum + maxBagSize(rows), 0);
    if (this.maxEntries <= MOST_ENTRIES) return;
    throw new InputError(
      'too-large',
      `${this.maxEntries} values are side features of one rating, at most ${MOST_ENTRIES} are supported`,
      {
        hint: `give long texts and vectors the type skip with ${option('schema')} or ${option('usersSchema', 'FILE')}`,
      },
    );
  }

  /** Writes one rating's token. @param hide encode the user, or the event, as unknown */
  write(
    writer: SideFeatureWriter,
    { item, user, row }: { item: number; user: number; row: number },
    hide: { user: boolean; event: boolean },
  ): void {
    const { events, users, items, unknownEvent, unknownUser } = this;
    if (events && unknownEvent) writer.addRow(hide.event ? unknownEvent : events, hide.event ? 0 : row);
    if (users && unknownUser) writer.addRow(hide.user ? unknownUser : users, hide.user ? 0 : user);
    if (items) writer.addRow(items, item);
    writer.endToken();
  }
}

/**
 * The schema of items for models of ratings; undefined if no column is informative. Words of titles identify items more
 * than they describe them, and made predictions worse: they are left out unless a choice names them.
 */
export function inferRatingItems(
  items: readonly CatalogItem[],
  choices: readonly ColumnChoice[] = [],
): Schema | undefined {
  const titled = items.some(({ id, title }) => title !== '' && title !== id);
  const chosen = choices.some(({ name }) => name === 'title');
  const plain: ColumnChoice[] = titled && !chosen ? [...choices, { name: 'title', type: 'skip' }] : [...choices];
  const schema = inferSchema(items, plain);
  return schema.columns.every(({ type }) => type === 'skip') ? undefined : schema;
}

/**
 * The event columns of a log of ratings.
 * @throws InputError for what the log lacks, or what models of ratings read in any case
 */
export function inferRatingEvents(ratings: Ratings, names: readonly string[]): EventColumn[] {
  for (const name of names) {
    if (name !== 'rating' && name !== 'gap') continue;
    throw new InputError(
      'invalid-value',
      name === 'rating'
        ? 'ratings are what is predicted, and the known ones are read in any case'
        : 'models of ratings read the time between ratings in any case',
      { setting: 'reads', value: name, hint: `leave ${name} out` },
    );
  }
  const { time, timeUnit, context } = ratings;
  return inferEvents(
    { ratings: null, clock: time, ...(timeUnit && { timeUnit }), ...(context && { context }) },
    names,
    ratings.source,
  );
}

/** The side features that a training on ratings reads. */
export interface RatingFeatures {
  side: RatingSideFeatures;
  /** What the prior mean of factors is a function of. */
  items: PlainBags | null;
  users: PlainBags | null;
  unseen: UnseenCounts;
}

/** The side features of a log's ratings. @param users columns by user ID */
export function ratingSideFeatures(
  encoder: RatingEncoder,
  ratings: Ratings,
  items: readonly CatalogItem[],
  users: ReadonlyMap<string, Readonly<Record<string, string>>> | null,
): RatingFeatures {
  const { time, context = [] } = ratings;
  const unit = time ? milliseconds(time, ratings.timeUnit) : 0;
  const facts = Array.from({ length: encoder.schema.events ? ratings.size : 0 }, (_, row): EventContext => {
    const at = time?.[row] ?? Number.NaN;
    return { ms: unit > 0 ? at * unit : Number.NaN, context: contextAt(context, row) };
  });
  const columns = ratings.userIds.map((id) => users?.get(id) ?? null);
  const unseen: UnseenCounts = new Map();
  const [itemRows, userRows] = [encoder.items(items, unseen), encoder.users(columns, unseen)];
  return {
    side: new RatingSideFeatures(encoder, itemRows, userRows, encoder.events(facts, unseen)),
    items: encoder.plainItems(items),
    users: encoder.plainUsers(columns),
    unseen,
  };
}
