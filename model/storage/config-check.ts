/**
 * What config.json may hold, key by key. A key that is not listed here is refused: it is damage, or of a newer version, and
 * either way something would be left aside without a word.
 */
import { InputError } from '../../data/errors.ts';
import { COLUMN_TYPES, type Column, type Schema } from '../../data/features/schema.ts';
import type { EventColumn } from '../../data/features/event-encoder.ts';
import { PER_SECOND } from '../../data/formats/times.ts';
import type { AttributeModel } from '../transitions/attribute-model.ts';
import type { ModelConfig } from './config.ts';
import type { Blend } from '../transitions/transitions.ts';

/** Returns what is wrong with a value, or null. `at` is the path to it, `data.items` say. */
type Check = (value: unknown, at: string) => string | null;

const show = (value: unknown): string => {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
};
const expected = (what: string, value: unknown, at: string): string => `${at}: expected ${what}, got ${show(value)}`;
const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const first = (found: Iterable<string | null>): string | null => {
  for (const problem of found) if (problem !== null) return problem;
  return null;
};

const text: Check = (value, at) => (typeof value === 'string' ? null : expected('text', value, at));
const flag: Check = (value, at) => (typeof value === 'boolean' ? null : expected('true or false', value, at));
const number =
  (min: number, max = Number.MAX_VALUE): Check =>
  (value, at) =>
    typeof value === 'number' && value >= min && value <= max
      ? null
      : expected(`a number from ${min} to ${max}`, value, at);
const integer =
  (min: number, max: number): Check =>
  (value, at) =>
    Number.isInteger(value) && (value as number) >= min && (value as number) <= max
      ? null
      : expected(`an integer from ${min} to ${max}`, value, at);
const oneOf =
  (values: readonly (string | null)[]): Check =>
  (value, at) =>
    values.includes(value as string) ? null : expected(values.join(', '), value, at);
const listOf =
  (check: Check): Check =>
  (value, at) =>
    Array.isArray(value) ? first(value.map((one, i) => check(one, `${at}[${i}]`))) : expected('a list', value, at);
const recordOf =
  (check: Check): Check =>
  (value, at) =>
    isObject(value)
      ? first(Object.entries(value).map(([key, one]) => check(one, `${at}.${key}`)))
      : expected('an object', value, at);
const either =
  (a: Check, b: Check): Check =>
  (value, at) =>
    a(value, at) && b(value, at);

/** Which keys may be left out follows from the type; the compiler holds that no key is forgotten here. */
type Fields<T> = { readonly [K in keyof T]-?: undefined extends T[K] ? { optional: Check } : Check };

const object =
  <T>(fields: Fields<T>): Check =>
  (value, at) => {
    if (!isObject(value)) return expected('an object', value, at);
    const path = (key: string): string => (at === '' ? key : `${at}.${key}`);
    for (const key of Object.keys(value)) if (!Object.hasOwn(fields, key)) return `${path(key)}: unknown key`;
    return first(
      Object.entries(fields as Record<string, Check | { optional: Check }>).map(([key, check]) => {
        if (typeof check === 'function') return check(value[key], path(key));
        return value[key] === undefined ? null : check.optional(value[key], path(key));
      }),
    );
  };

/** Larger numbers are no integers any more. */
const MOST = Number.MAX_SAFE_INTEGER;
/** Rows of a matrix are counted in 32 bits. */
const MOST_ROWS = 2 ** 31;
const share = number(0, 1);
const finite = number(-Number.MAX_VALUE);
const metrics = recordOf(finite);

const column = object<Column>({
  name: text,
  type: oneOf(COLUMN_TYPES),
  missing: text,
  absent: share,
  unit: { optional: oneOf(Object.keys(PER_SECOND)) },
  decimal: { optional: oneOf([',']) },
  separator: { optional: text },
  values: { optional: listOf(text) },
  knots: { optional: listOf(finite) },
  mean: { optional: finite },
  deviation: { optional: number(0) },
  median: { optional: finite },
  buckets: { optional: integer(0, MOST_ROWS) },
  width: { optional: integer(0, MOST_ROWS) },
  centre: { optional: listOf(finite) },
  spread: { optional: number(0) },
});

const schema = object<Schema>({ titleYear: flag, columns: listOf(column) });

const event = object<EventColumn>({
  name: text,
  kind: oneOf(['rating', 'gap', 'hour', 'weekday', 'column']),
  values: { optional: listOf(text) },
  knots: { optional: listOf(finite) },
  absent: share,
});

const blend = object<Blend>({
  memory: number(0),
  epsilon: number(Number.MIN_VALUE),
  fitted: object<Blend['fitted']>({ users: integer(0, MOST), transformer: metrics, memory: metrics, blend: metrics }),
});

const attributeMemory = object<AttributeModel>({
  lambda: number(0),
  text: number(0),
  weight: share,
  fitted: object<AttributeModel['fitted']>({
    users: integer(0, MOST),
    transformer: metrics,
    attributes: metrics,
    blend: metrics,
  }),
});

const config = object<ModelConfig>({
  formatVersion: integer(1, MOST),
  attune: text,
  created: text,
  recipe: text,
  task: { optional: oneOf(['rating', 'ctr']) },
  positive: { optional: finite },
  ratingRange: { optional: object<NonNullable<ModelConfig['ratingRange']>>({ least: finite, most: finite }) },
  // Checked as settings: recipes.ts and rating-settings.ts have their ranges.
  hyperparameters: recordOf(either(text, either(finite, flag))),
  schema: object<ModelConfig['schema']>({
    columns: recordOf(text),
    attributes: listOf(text),
    items: { optional: schema },
    users: { optional: schema },
    events: { optional: listOf(event) },
  }),
  data: object<ModelConfig['data']>({
    source: text,
    usersFile: { optional: text },
    users: integer(0, MOST),
    items: integer(0, MOST_ROWS),
    interactions: integer(0, MOST),
    minInteractions: integer(0, MOST),
    minRating: either(finite, oneOf([null])),
  }),
  protocol: text,
  protocolParameters: { optional: recordOf(either(text, finite)) },
  seen: oneOf(['excluded', 'kept']),
  tokenBudget: integer(0, MOST),
  seed: finite,
  device: text,
  variants: recordOf(listOf(text)),
  blend: { optional: blend },
  attributeMemory: { optional: attributeMemory },
});

/** @throws InputError with the first thing that is wrong: file, key, expected value */
export function checkConfig(value: unknown, path: string): void {
  const problem = config(value, '');
  if (problem !== null) throw new InputError('damaged-model', `${path}: ${problem}`);
}
