/** What a parsed JSON file must look like, composed of checks. An object's unknown keys are refused. */

/** Returns what is wrong with a value, or null. `at` is the path to it, `data.items` say. */
export type Check = (value: unknown, at: string) => string | null;

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

export const checkText: Check = (value, at) => (typeof value === 'string' ? null : expected('text', value, at));
export const flag: Check = (value, at) => (typeof value === 'boolean' ? null : expected('true or false', value, at));
export const checkNumber =
  (min: number, max = Number.MAX_VALUE): Check =>
  (value, at) =>
    typeof value === 'number' && value >= min && value <= max
      ? null
      : expected(`a number from ${min} to ${max}`, value, at);
export const checkInteger =
  (min: number, max: number): Check =>
  (value, at) =>
    Number.isInteger(value) && (value as number) >= min && (value as number) <= max
      ? null
      : expected(`an integer from ${min} to ${max}`, value, at);
export const oneOf =
  (values: readonly (string | null)[]): Check =>
  (value, at) =>
    values.includes(value as string) ? null : expected(values.join(', '), value, at);
export const listOf =
  (check: Check): Check =>
  (value, at) =>
    Array.isArray(value) ? first(value.map((one, i) => check(one, `${at}[${i}]`))) : expected('a list', value, at);
export const checkRecord =
  (check: Check): Check =>
  (value, at) =>
    isObject(value)
      ? first(Object.entries(value).map(([key, one]) => check(one, `${at}.${key}`)))
      : expected('an object', value, at);
export const either =
  (a: Check, b: Check): Check =>
  (value, at) =>
    a(value, at) && b(value, at);

/** Which keys may be left out follows from the type; the compiler holds that no key is forgotten here. */
type Fields<T> = { readonly [K in keyof T]-?: undefined extends T[K] ? { optional: Check } : Check };

export const object =
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
