/**
 * What stands beside ratings: the attributes of their items, columns of their users, and how the events were. Each is a
 * weighted bag of rows of one table A (features.ts, side.ts): first those of events and users, then those of items.
 */
import { InputError, option } from '../errors.ts';
import type { CatalogItem, ItemInfo } from '../formats/catalog.ts';
import { attributeRows, bagEncoder, type BagEncoder, type UnseenCounts } from '../features/encoder.ts';
import type { Ratings } from './ratings.ts';
import { type ColumnChoice, inferSchema, type Schema } from '../features/schema.ts';
import {
  type EventColumn,
  type EventContext,
  inferEvents,
  maxBagSize,
  milliseconds,
  packBags,
  SideFeatureEncoder,
  type SideFeatureRows,
  type SideFeatureWriter,
} from '../features/side-features.ts';

/** How it is read; what is missing is not read at all. */
export interface RatingSchema {
  items?: Schema;
  users?: Schema;
  events?: EventColumn[];
}

/** Entries that a rating has at most beside it: columns of long texts would have more. */
const MOST_ENTRIES = 256;

export const readsAnything = ({ items, users, events }: RatingSchema): boolean => Boolean(items || users || events);

export class RatingEncoder {
  readonly schema: RatingSchema;
  /** Rows of the table A. */
  readonly rows: number;
  private readonly beside: SideFeatureEncoder;
  private readonly item: BagEncoder | null;
  /** Without texts, each in a table of its own: what factors are expected from (model/ratings/factors.ts). */
  private readonly plain: { items: PlainEncoder | null; users: PlainEncoder | null };

  constructor(schema: RatingSchema) {
    this.schema = schema;
    this.beside = new SideFeatureEncoder(schema);
    this.item = schema.items ? bagEncoder(schema.items, this.beside.rows) : null;
    this.rows = this.beside.rows + (schema.items ? attributeRows(schema.items) : 0);
    this.plain = { items: plainEncoder(schema.items), users: plainEncoder(schema.users) };
  }

  /** A bag for each item; null where items are not read. */
  items(items: readonly CatalogItem[], unseen?: UnseenCounts): SideFeatureRows | null {
    const { item } = this;
    return item && packBags(items.map((one) => item(described(one), unseen)));
  }

  /** The same without texts; null where that leaves nothing. */
  plainItems(items: readonly CatalogItem[]): PlainBags | null {
    const { items: encoder } = this.plain;
    return encoder && { rows: encoder.rows, bags: packBags(items.map((one) => encoder.bag(described(one)))) };
  }

  /** Those of users. */
  plainUsers(columns: readonly (Readonly<Record<string, string>> | null)[]): PlainBags | null {
    const { users: encoder } = this.plain;
    if (!encoder) return null;
    return {
      rows: encoder.rows,
      bags: packBags(columns.map((own) => encoder.bag({ title: '', attributes: own ?? {} }))),
    };
  }

  /** A bag for each user, from their columns, null where nothing is known; null where users are not read. */
  users(columns: readonly (Readonly<Record<string, string>> | null)[], unseen?: UnseenCounts): SideFeatureRows | null {
    return this.schema.users ? packBags(columns.map((own) => this.beside.userBag(own, unseen))) : null;
  }

  /** A bag for each event; null where events are not read. */
  events(facts: readonly (EventContext | null)[], unseen?: UnseenCounts): SideFeatureRows | null {
    return this.schema.events?.length ? packBags(facts.map((own) => this.beside.eventBag(own, unseen))) : null;
  }
}

/** The ID stands where a title is missing; it says nothing. */
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

/** Bags of some ratings, by the numbers of their items, users and rows. */
export class RatingSideFeatures {
  readonly encoder: RatingEncoder;
  /** Entries that a rating has at most. */
  readonly maxEntries: number;
  private readonly items: SideFeatureRows | null;
  private readonly users: SideFeatureRows | null;
  private readonly events: SideFeatureRows | null;
  private readonly nobody: SideFeatureRows | null;
  private readonly nothing: SideFeatureRows | null;

  /** @throws InputError where too much stands beside a rating */
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
    this.nobody = encoder.users([null]);
    this.nothing = encoder.events([null]);
    this.maxEntries = [items, users, events].reduce((sum, rows) => sum + maxBagSize(rows), 0);
    if (this.maxEntries <= MOST_ENTRIES) return;
    throw new InputError('too-large', `${this.maxEntries} values stand beside a rating, ${MOST_ENTRIES} are the most`, {
      hint: `give long texts and vectors the type skip with ${option('schema')} or ${option('usersSchema', 'FILE')}`,
    });
  }

  /** Writes what stands beside one rating. @param hide leave out what is known of the user, or of the event */
  write(
    writer: SideFeatureWriter,
    { item, user, row }: { item: number; user: number; row: number },
    hide: { user: boolean; event: boolean },
  ): void {
    const { events, users, items, nothing, nobody } = this;
    if (events && nothing) writer.addRow(hide.event ? nothing : events, hide.event ? 0 : row);
    if (users && nobody) writer.addRow(hide.user ? nobody : users, hide.user ? 0 : user);
    if (items) writer.addRow(items, item);
    writer.endToken();
  }
}

/**
 * What the columns of items are to models of ratings; undefined where they say nothing. Words of titles tell items apart
 * rather than what they are, and made predictions worse: they are left out unless a choice names them.
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
 * What the events of a log of ratings are to be read with.
 * @throws InputError for what the log lacks, or ratings read in any case
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
  return inferEvents(
    { ratings: null, clock: ratings.time, timeUnit: ratings.timeUnit, context: ratings.context },
    names,
    ratings.source,
  );
}

/** What a training reads beside its ratings. */
export interface RatingFeatures {
  side: RatingSideFeatures;
  /** What factors are expected from. */
  items: PlainBags | null;
  users: PlainBags | null;
  unseen: UnseenCounts;
}

/** What stands beside the ratings of a log. @param users columns by user ID */
export function ratingSideFeatures(
  encoder: RatingEncoder,
  ratings: Ratings,
  items: readonly CatalogItem[],
  users: ReadonlyMap<string, Readonly<Record<string, string>>> | null,
): RatingFeatures {
  const { time, context = [] } = ratings;
  const unit = time ? milliseconds(time, ratings.timeUnit) : 0;
  const facts = Array.from({ length: encoder.schema.events ? ratings.size : 0 }, (_, row): EventContext => {
    const named = context.map(({ name, values, rows }): [string, string] => [name, values[rows[row]]]);
    return { ms: time && unit > 0 ? time[row] * unit : Number.NaN, context: Object.fromEntries(named) };
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
