/** A setting is declared once: its default, its values, what it means, what it requires. Types, checks and help follow. */
import { InputError, option } from '../../data/errors.ts';

interface Range {
  integer?: boolean;
  min: number;
  max: number;
  /** Whether the bounds themselves are out of it. */
  above?: boolean;
  below?: boolean;
}

type Requirements = Readonly<Record<string, number | string>>;

interface Declared {
  help: string;
  /** Another name that is read for it. */
  alias?: string;
}

export interface NumberSetting extends Declared {
  default: number;
  range: Range;
  /** Other settings that any value but 0 requires. */
  requires?: Requirements;
}

export interface ChoiceSetting<T extends string = string> extends Declared {
  default: T;
  choices: readonly T[];
  /** What each choice means, where the name does not say. */
  meanings?: Readonly<Record<string, string>>;
  /** Other settings that a choice requires. */
  requires?: Readonly<Record<string, Requirements>>;
}

export type Setting = NumberSetting | ChoiceSetting;
export type Declarations = Readonly<Record<string, Setting>>;
/** The settings that declarations declare. */
export type Values<D> = { -readonly [K in keyof D]: D[K] extends ChoiceSetting<infer T> ? T : number };

type More<S> = Partial<Pick<S, Exclude<keyof S, 'default' | 'range' | 'choices' | 'help'>>>;
const numeric = (initial: number, range: Range, help: string, more?: More<NumberSetting>): NumberSetting => ({
  default: initial,
  range,
  help,
  ...more,
});

export const integer = (initial: number, min: number, max: number, help: string, more?: More<NumberSetting>) =>
  numeric(initial, { integer: true, min, max }, help, more);
export const number = (initial: number, min: number, max: number, help: string) => numeric(initial, { min, max }, help);
/** Above 0, up to `max`. */
export const positive = (initial: number, max: number, help: string) =>
  numeric(initial, { min: 0, max, above: true }, help);
/** From 0 to 1, both included. */
export const share = (initial: number, help: string) => numeric(initial, { min: 0, max: 1 }, help);
/** From 0 to below 1. */
export const rate = (initial: number, help: string, more?: More<NumberSetting>) =>
  numeric(initial, { min: 0, max: 1, below: true }, help, more);

export const choice = <const T extends string>(
  initial: NoInfer<T>,
  choices: readonly T[],
  help: string,
  more?: More<ChoiceSetting<T>>,
): ChoiceSetting<T> => ({ default: initial, choices, help, ...more });
export const onOff = (initial: 'on' | 'off', help: string, more?: More<ChoiceSetting<'on' | 'off'>>) =>
  choice(initial, ['on', 'off'], help, more);

interface AnyKind {
  help: string;
  /** Settings of its own. */
  settings?: Declarations;
  requires?: unknown;
}

/** An entry of a table of blocks, losses or heads, as far as settings go. */
export interface Kind<S> extends AnyKind {
  /** Settings that it requires. */
  requires?: Partial<S>;
  /** What else it refuses. */
  check?(s: S, fail: Fail): void;
}

/** The choice of an entry of a table. */
export function kindOf<T extends string>(
  initial: NoInfer<T>,
  table: Record<T, AnyKind>,
  help: string,
): ChoiceSetting<T> {
  const of = <V>(read: (kind: AnyKind) => V | undefined): Record<string, V> =>
    Object.fromEntries(
      Object.entries<AnyKind>(table).flatMap(([name, kind]) => {
        const value = read(kind);
        return value === undefined ? [] : [[name, value]];
      }),
    );
  return {
    default: initial,
    choices: Object.keys(table) as T[],
    help,
    meanings: of((kind) => kind.help),
    requires: of((kind) => kind.requires as Requirements | undefined),
  };
}

type Intersection<U> = (U extends unknown ? (u: U) => void : never) extends (all: infer I) => void ? I : never;
type Own<K> = K extends { settings: infer D } ? D : never;
type OwnSettings<T> = [Own<T[keyof T]>] extends [never] ? Record<never, Setting> : Intersection<Own<T[keyof T]>>;

/** The settings that the entries of a table have of their own. */
export const ownSettings = <T extends Record<string, AnyKind>>(table: T): OwnSettings<T> =>
  Object.fromEntries(Object.values(table).flatMap(({ settings }) => Object.entries(settings ?? {}))) as OwnSettings<T>;

export const defaultsOf = <D extends Declarations>(declared: D): Values<D> =>
  Object.fromEntries(Object.entries(declared).map(([key, setting]) => [key, setting.default])) as Values<D>;

export type Fail = (key: string, what: string) => never;

/** The width of an attention head, D / heads, is a multiple of 4, at most 128. */
export function checkHeadWidth(d: number, heads: number, fail: Fail, key = 'heads'): void {
  const width = d / heads;
  if (!Number.isInteger(width) || width % 4 !== 0 || width > 128)
    fail(key, `the width of a head, d/heads = ${width}, must be a multiple of 4, at most 128`);
}

/** The error of a setting: the caller's own, or one of a file that is named by `where`. */
export function badSetting(key: string, value: unknown, what: string, where?: string): InputError {
  return where === undefined
    ? new InputError('invalid-value', what, { setting: `settings.${key}`, value })
    : new InputError('damaged-model', `${where}${key}=${value}: ${what}`);
}

const holds = ({ integer: whole, min, max, above, below }: Range, value: unknown): boolean =>
  typeof value === 'number' &&
  (above ? value > min : value >= min) &&
  (below ? value < max : value <= max) &&
  (!whole || Number.isInteger(value));

/** What a setting may be, in words. */
export function allowedValues(setting: Setting): string {
  if ('choices' in setting) return `${setting.choices.slice(0, -1).join(', ')} or ${setting.choices.at(-1)}`;
  const { integer: whole, min, max, above, below } = setting.range;
  return `${whole ? 'an integer' : 'a number'} ${above ? 'above' : 'from'} ${min} to ${below ? 'below ' : ''}${max}`;
}

/** A setting's value of its text; NaN for text that is no number. */
function parse(setting: Setting, text: string): number | string {
  if ('choices' in setting) return text;
  return text.trim() === '' ? Number.NaN : Number(text);
}

const isValid = (setting: Setting, value: unknown): boolean =>
  'choices' in setting ? setting.choices.includes(String(value)) : holds(setting.range, value);

/** What is wrong with a value given as text; null if nothing is. */
export const faultOf = (setting: Setting, text: string): string | null =>
  isValid(setting, parse(setting, text)) ? null : `expected ${allowedValues(setting)}, got ${text}`;

/** What people call a setting: its newer name where it has two. */
export const labelOf = (name: string, setting?: Setting): string => setting?.alias ?? name;

/** What each setting means: a line, and one for each choice whose name does not say it. */
export function describeSettings(declared: Declarations): { name: string; about: string[] }[] {
  return Object.entries(declared).map(([name, setting]) => {
    const { help, alias } = setting;
    const also = alias === undefined ? '' : `; also called ${alias}`;
    const meanings = 'choices' in setting ? Object.entries(setting.meanings ?? {}) : [];
    const values = meanings.length > 0 ? '' : ` (${allowedValues(setting)})`;
    return { name, about: [`${help}${values}${also}`, ...meanings.map(([of, meaning]) => `${of}: ${meaning}`)] };
  });
}

/** Refuses values out of their range, and then those without what they require, by `fail(key, what)`. */
export function checkDeclared(declared: Declarations, values: object, fail: Fail): void {
  const s = values as Record<string, number | string>;
  const all = Object.entries(declared);
  for (const [key, setting] of all) if (!isValid(setting, s[key])) fail(key, `expected ${allowedValues(setting)}`);
  for (const [key, setting] of all) {
    const requires = 'choices' in setting ? setting.requires?.[s[key]] : s[key] !== 0 && setting.requires;
    for (const [other, value] of Object.entries(requires || {}))
      if (s[other] !== value) fail(key, `requires ${option(`settings.${other}`, value)}`);
  }
}

/**
 * Settings as text, `key=value`, over others.
 * @throws InputError for an unknown key, or a number that is none
 */
export function withText<S extends object>(declared: Declarations, s: S, text: Readonly<Record<string, string>>): S {
  const changes = Object.entries(renamed(declared, text)).map(([key, value]): [string, number | string] => {
    if (!Object.hasOwn(declared, key))
      throw new InputError('invalid-value', `unknown setting; there is ${Object.keys(declared).join(', ')}`, {
        setting: `settings.${key}`,
        value,
      });
    const parsed = parse(declared[key], value);
    if (typeof parsed === 'number' && !Number.isFinite(parsed)) throw badSetting(key, value, 'expected a number');
    return [key, parsed];
  });
  return { ...s, ...Object.fromEntries(changes) };
}

/** The same with aliases replaced by the names of settings. */
export function renamed<V>(declared: Declarations, given: Readonly<Record<string, V>>): Record<string, V> {
  const names = new Map(Object.entries(declared).map(([key, { alias }]) => [alias, key]));
  return Object.fromEntries(Object.entries(given).map(([key, value]) => [names.get(key) ?? key, value]));
}
