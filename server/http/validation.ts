/** Checks requests against their schemas, and says in one line what was wrong: `/3/item: expected X, got Y`. */
import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import type { TSchema } from 'typebox';

export type Part = 'body' | 'params' | 'querystring' | 'headers';

/** Compiles schemas: bodies are taken as they are, addresses hold text alone, which is read as what it should be. */
export function requestChecker(shared: readonly TSchema[]): (schema: object, part: Part) => ValidateFunction {
  const options = { allErrors: false, strict: false, allowUnionTypes: true, ownProperties: true, verbose: true };
  const strict = new Ajv({ ...options, coerceTypes: false });
  const coercing = new Ajv({ ...options, coerceTypes: 'array' });
  for (const schema of shared) {
    strict.addSchema(schema);
    coercing.addSchema(schema);
  }
  return (schema, part) => (part === 'body' ? strict : coercing).compile(schema);
}

interface Fault {
  /** of a body a JSON pointer, or `body` for all of it; otherwise a name */
  field: string;
  detail: string;
}

interface Schema {
  const?: unknown;
  enum?: readonly unknown[];
  type?: string;
  properties?: object;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  pattern?: string;
  examples?: readonly unknown[];
  minLength?: number;
  maxLength?: number;
  minItems?: number;
  maxItems?: number;
}

/** The name that an error is about beyond its path: what is missing, must not be there, or is no name. */
const nameIn = ({ params, propertyName }: ErrorObject): string | undefined =>
  params.missingProperty ?? params.additionalProperty ?? propertyName;

/** A JSON pointer (RFC 6901). */
export const pointerOf = (names: readonly (string | number)[]): string =>
  names.map((name) => `/${String(name).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');

const pathOf = (error: ErrorObject): string => {
  const name = nameIn(error);
  return `${error.instancePath}${name === undefined ? '' : pointerOf([name])}`;
};

/** Errors that say "not this branch" alone. */
const isBranch = ({ keyword }: ErrorObject): boolean => keyword === 'type' || keyword === 'const' || keyword === 'enum';

/**
 * The one cause of several errors. Each branch of a union reports its own: the branch that was meant is the one that got
 * furthest into the value.
 */
export function faultOf(errors: readonly ErrorObject[], part: Part | 'config'): Fault {
  const own = errors.filter(({ keyword }) => keyword !== 'anyOf' && keyword !== 'propertyNames');
  const depth = (error: ErrorObject): number => pathOf(error).split('/').length;
  const deepest = own.reduce((most, error) => Math.max(most, depth(error)), 0);
  const furthest = own.filter((error) => depth(error) === deepest);
  const found = furthest.find((error) => !isBranch(error)) ?? furthest[0];
  const path = pathOf(found);
  const [, name] = path.split('/');
  const field = part === 'body' || part === 'config' ? path || part : name;
  return { field, detail: `${field}: ${reason(found, furthest)}` };
}

function reason(error: ErrorObject, alike: readonly ErrorObject[]): string {
  const { keyword, data, parentSchema } = error;
  if (keyword === 'required') return 'is missing';
  if (keyword === 'additionalProperties') {
    const names = Object.keys((parentSchema as Schema).properties ?? {});
    return names.length > 0 ? `unknown field; there are ${names.join(', ')}` : 'unknown field';
  }
  if (keyword === 'maxProperties')
    return `expected at most ${error.params.limit} names, got ${Object.keys(data as object).length}`;
  const schemas = isBranch(error) ? alike.map((one) => one.parentSchema as Schema) : [parentSchema as Schema];
  const expected = [...new Set(schemas.flatMap(expectations))];
  const last = expected.pop();
  const list = expected.length > 0 ? `${expected.join(', ')} or ${last}` : last;
  return `expected ${list}, got ${shown(data, parentSchema as Schema)}`;
}

const expectations = (schema: Schema): string[] =>
  schema.enum?.map((value) => JSON.stringify(value)) ?? [expectation(schema)];

/** `an integer from 1 to 128` */
function expectation(schema: Schema): string {
  const { minimum, maximum, exclusiveMinimum } = schema;
  if ('const' in schema) return JSON.stringify(schema.const);
  switch (schema.type) {
    case 'integer':
    case 'number': {
      const least = minimum === undefined ? '' : `${maximum === undefined ? 'at least' : 'from'} ${minimum}`;
      const above = exclusiveMinimum === undefined ? '' : `above ${exclusiveMinimum}`;
      const most = maximum === undefined ? '' : `${minimum === undefined ? 'up' : ''} to ${maximum}`;
      return [schema.type === 'integer' ? 'an integer' : 'a number', least, above, most.trim()]
        .filter(Boolean)
        .join(' ');
    }
    case 'string':
      return schema.pattern === undefined
        ? `a string${size(schema.minLength, schema.maxLength, 'characters')}`
        : `a string like ${schema.examples?.[0] ?? schema.pattern}`;
    case 'array':
      return `an array${size(schema.minItems, schema.maxItems, 'entries')}`;
    case 'object':
      return 'an object';
    case 'boolean':
      return 'true or false';
    default:
      return schema.type ?? 'another value';
  }
}

const size = (least: number | undefined, most: number | undefined, what: string): string => {
  if (most === undefined) return least === undefined ? '' : ` of at least ${least} ${what}`;
  return least === undefined ? ` of at most ${most} ${what}` : ` of ${least} to ${most} ${what}`;
};

/** A value in a message: its kind where it is long or the kind is what matters. */
function shown(value: unknown, schema: Schema): string {
  if (value === undefined || value === null) return 'null';
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === 'object') return 'an object';
  if (typeof value === 'string' && schema.type === 'string' && value.length > 40)
    return `${[...value].length} characters`;
  const text = JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 80)}...` : text;
}
