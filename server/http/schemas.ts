/** What requests and answers consist of. The OpenAPI document and the client's types are made of these. */
import Type, { type Static, type TSchema } from 'typebox';

const strict = { additionalProperties: false };

/** A reference to a schema that has a name, typed as the schema. */
export const ref = <S extends TSchema>(schema: S) =>
  Type.Unsafe<Static<S>>({ $ref: `${(schema as { $id?: string }).$id}#` });

/** An object with names of the caller's own, whatever characters they have (a pattern's `.` would leave out line breaks). */
export const record = <S extends TSchema>(value: S, description: string) =>
  Type.Unsafe<Record<string, Static<S>>>({
    type: 'object',
    additionalProperties: value,
    propertyNames: { type: 'string', maxLength: 256 },
    maxProperties: 1000,
    description,
  });

export const Id = Type.String({
  minLength: 1,
  maxLength: 512,
  description: "the ID of a user or an item: any text, as the training's log has it",
});
export const Columns = record(
  Type.String({ maxLength: 4096 }),
  'column → value, as the users or items file of the training had them',
);
export const Time = Type.Union([Type.Number({ minimum: 0, maximum: 8.64e15 }), Type.String({ maxLength: 40 })], {
  description: 'milliseconds since 1970, or an ISO 8601 date',
});
export const Limit = Type.Integer({ minimum: 1, maximum: 128, description: 'how many' });

export const Event = Type.Object(
  {
    user: Id,
    item: Id,
    time: Type.Optional(Time),
    type: Type.Optional(
      Type.String({ minLength: 1, maxLength: 64, description: 'what the user did; the config weighs types' }),
    ),
    rating: Type.Optional(
      Type.Number({ minimum: -1e6, maximum: 1e6, description: "on the scale of the training's ratings" }),
    ),
    context: Type.Optional(Columns),
    id: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 256,
        description: 'makes it idempotent: an event whose id is there is not added again',
      }),
    ),
  },
  { ...strict, $id: 'Event' },
);
export type Event = Static<typeof Event>;

export const Item = Type.Object(
  {
    id: Id,
    title: Type.Optional(Type.String({ maxLength: 4096, description: 'what people read' })),
    attributes: Type.Optional(Columns),
  },
  { ...strict, $id: 'Item' },
);
export type Item = Static<typeof Item>;

export const User = Type.Object({ id: Id, columns: Type.Optional(Columns) }, { ...strict, $id: 'User' });
export type User = Static<typeof User>;

export const Exploration = Type.Object(
  {
    method: Type.Enum(['epsilon-greedy', 'thompson', 'ucb']),
    strength: Type.Optional(
      Type.Number({
        minimum: 0,
        maximum: 100,
        description: 'epsilon-greedy: 0 to 1, 0.1 by default; the others: 2 by default',
      }),
    ),
    seed: Type.Optional(Type.Integer({ minimum: 0, maximum: 2 ** 31 - 1 })),
  },
  strict,
);

const Floor = Type.Object(
  {
    attribute: Type.String({ minLength: 1, maxLength: 256 }),
    value: Type.String({ minLength: 1, maxLength: 1024 }),
    share: Type.Number({ exclusiveMinimum: 0, maximum: 1 }),
  },
  strict,
);

/** What every list takes. */
export const listOptions = {
  k: Type.Optional(Limit),
  exclude: Type.Optional(Type.Array(Id, { maxItems: 10_000, description: 'items that are left out of this list' })),
  includeSeen: Type.Optional(Type.Boolean({ description: "list the user's own items, too" })),
  where: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 2000,
      description:
        "only items whose attributes fulfill this condition, as `price<50 and seller != $user`; $user is the user's ID",
    }),
  ),
  caps: Type.Optional(
    record(
      Type.Integer({ minimum: 1, maximum: 128 }),
      'attribute → how many items of the list may share a value of it',
    ),
  ),
  calibrate: Type.Optional(
    record(
      Type.Number({ minimum: 0, maximum: 1 }),
      "attribute → how much having its values in the proportions of the user's history counts against the score",
    ),
  ),
  expose: Type.Optional(
    Type.Array(Floor, {
      maxItems: 16,
      description: "items whose attribute has a value get at least a share of the list's exposure",
    }),
  ),
  diversity: Type.Optional(
    Type.Number({
      minimum: 0,
      maximum: 1,
      description: 'how much being unlike the items above it counts against the score; 0 leaves the order',
    }),
  ),
  explore: Type.Optional(Exploration),
  explain: Type.Optional(
    Type.Boolean({ description: 'say which stage listed each item, and which events it is due to' }),
  ),
  cursor: Type.Optional(Type.String({ maxLength: 512, description: 'the `cursor` of the page before' })),
  scenario: Type.Optional(Type.String({ maxLength: 64, description: 'a named set of options from the config' })),
  now: Type.Optional(
    Type.Union(Time.anyOf, {
      description:
        "when the list is asked for: milliseconds since 1970, or an ISO 8601 date; later events do not count, and models that read the time of a request read it; by default the server's clock",
    }),
  ),
};

export const Explanation = Type.Object(
  {
    stage: Type.Enum(['transformer', 'transitions', 'prior', 'exploration', 'filter'], {
      description: 'what put the item into the list; filter: it moved up because others were left out or capped',
    }),
    component: Type.Enum(['transformer', 'transitions', 'prior'], {
      description: 'which of the components of its score is the strongest',
    }),
    transformer: Type.Number({
      description: "how far the transformer ranks it above the catalog's mean, in standard deviations",
    }),
    transitions: Type.Number({ description: 'the same by the item transitions' }),
    events: Type.Array(Type.Object({ id: Type.String(), title: Type.String(), share: Type.Number() }), {
      description: 'the events of the history that it is most due to, with their shares',
    }),
    sentence: Type.String({ description: 'the same in words' }),
  },
  { $id: 'Explanation' },
);

export const ListedItem = Type.Object(
  {
    id: Type.String(),
    title: Type.String(),
    score: Type.Number(),
    attributes: Columns,
    explanation: Type.Optional(ref(Explanation)),
  },
  { $id: 'ListedItem' },
);

export const List = Type.Object(
  {
    items: Type.Array(ref(ListedItem)),
    cursor: Type.Union([Type.String(), Type.Null()], { description: 'for the next page; null at the end' }),
    model: Type.String({ description: 'version of the model that made the list' }),
  },
  { $id: 'List' },
);
