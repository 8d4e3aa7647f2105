/**
 * A flag is declared once: what it takes, its parser, default and help. What a command gets is typed from the
 * declarations, so that a misspelled flag does not compile, and only this file tells commander of them.
 */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { InputError } from '../../data/errors.ts';
import { kebab } from './names.ts';

export interface Flag<T> {
  help: string;
  /** what stands for the value in help, as `<n>`; a switch has none */
  value?: string;
  /** @throws InputError or InvalidArgumentError; `previous` is there where a flag may be repeated */
  parse?(text: string, previous: T | undefined): unknown;
  choices?: readonly string[];
  default?: T;
  /** the default in words */
  shown?: string;
  required?: boolean;
  /** what the flag means without its value */
  preset?: string;
  /** `--no-NAME`: on unless given */
  negated?: boolean;
  /** It is a part of another flag, which alone the command gets. @throws UsageError for what does not fit the other's value */
  partOf?: { name: string; join(own: string, other: string | undefined): string };
  /** taken, and left out of help */
  hidden?: boolean;
}

export type Flags = Readonly<Record<string, Flag<never>>>;
type ValueOf<F> = F extends Flag<infer T> ? T : never;
type Optional<D> = { [K in keyof D]: undefined extends ValueOf<D[K]> ? K : never }[keyof D];

/** What a command gets of the flags that it declares. */
export type FlagsOf<D> = { [K in Exclude<keyof D, Optional<D>>]: ValueOf<D[K]> } & {
  [K in Optional<D>]?: ValueOf<D[K]>;
};

export const on = (help: string): Flag<boolean | undefined> => ({ help });

/** On unless `--no-NAME` is given. */
export const onUnless = (help: string): Flag<boolean> => ({ help, negated: true });

export const text = (value: string, help: string): Flag<string | undefined> => ({ value, help });

export const parsed = <T>(
  value: string,
  help: string,
  parse: (text: string, previous: T | undefined) => T,
): Flag<T | undefined> => ({ value, help, parse });

export const choiceFlag = <const C extends string>(
  value: string,
  help: string,
  choices: readonly C[],
): Flag<C | undefined> => ({ value, help, choices });

/** @param shown the default in words, where its value is not to be printed */
export const withDefault = <T>(flag: Flag<T | undefined>, value: NoInfer<T>, shown?: string): Flag<T> => ({
  ...(flag as Flag<T>),
  default: value,
  shown,
});

/** A flag without a default, for whose absence help has words. */
export const withoutDefault = <T>(flag: Flag<T | undefined>, shown: string): Flag<T | undefined> => ({
  ...flag,
  shown,
});

export const hidden = <T>(flag: Flag<T>): Flag<T> => ({ ...flag, hidden: true });

export const required = <T>(flag: Flag<T | undefined>): Flag<T> => ({ ...(flag as Flag<T>), required: true });

export interface Given {
  /** names of the flags that were typed, not defaulted */
  typed: ReadonlySet<string>;
  args: readonly string[];
}

export interface CommandSpec<D> {
  name: string;
  summary: string;
  /** a paragraph */
  details: string;
  /** without the name of the program */
  example: string;
  args?: readonly { name: string; help: string; parse?(text: string): string }[];
  flags: D;
  /** what help adds below the flags */
  notes?: readonly string[];
  /** Loads the code that does it: help must be quick. */
  run(flags: FlagsOf<D>, given: Given): Promise<void> | void;
}

/** Adds a command to a program. */
export type Register = (program: Command, starter: string) => void;

export function command<D extends { [K in keyof D]: Flag<ValueOf<D[K]>> }>(spec: CommandSpec<D>): Register {
  return (program, starter) => {
    const added = program
      .command(spec.name)
      .description(`${spec.summary}.\n\n${spec.details}`)
      .summary(spec.summary)
      .helpOption('-h, --help', 'print this help')
      .addHelpText('after', `\nExample:\n  ${starter} ${spec.example}`);
    const args = spec.args ?? [];
    for (const { name, help, parse } of args) added.argument(`<${name}>`, help, parse ?? ((value: string) => value));
    const flags = Object.entries(spec.flags) as [string, Flag<unknown>][];
    const joined = flags.flatMap(([name, { partOf }]) => (partOf ? [{ name, partOf }] : []));
    const late = new Set(joined.map(({ partOf }) => partOf.name));
    for (const [name, flag] of flags) {
      added.addOption(
        optionOf(
          name,
          flag.required && late.has(name)
            ? { ...flag, required: false, help: `${flag.help} (required, or --query)` }
            : flag,
        ),
      );
    }
    for (const note of spec.notes ?? []) added.addHelpText('after', `\n${note}`);
    added.action(() => {
      const names = added.options.map((option) => option.attributeName());
      for (const { name, partOf } of joined) {
        const own: string | undefined = added.getOptionValue(name);
        if (own === undefined) continue;
        added.setOptionValueWithSource(partOf.name, partOf.join(own, added.getOptionValue(partOf.name)), 'cli');
        added.setOptionValue(name, undefined);
      }
      for (const [name, flag] of flags) {
        if (!flag.required || added.getOptionValue(name) !== undefined) continue;
        const { flags: shown } = optionOf(name, flag);
        added.error(`error: required option '${shown}' not specified`, {
          code: 'commander.missingMandatoryOptionValue',
        });
      }
      const typed = new Set(names.filter((name) => added.getOptionValueSource(name) === 'cli'));
      return spec.run(added.opts() as FlagsOf<D>, { typed, args: added.processedArgs as string[] });
    });
  };
}

function optionOf(name: string, flag: Flag<unknown>): Option {
  const long = kebab(flag.negated ? `no${name[0].toUpperCase()}${name.slice(1)}` : name);
  const option = new Option(flag.value === undefined ? long : `${long} ${flag.value}`, flag.help);
  const { parse } = flag;
  if (flag.choices) option.choices(flag.choices);
  if (parse) {
    option.argParser((given: string, previous: unknown) => {
      try {
        return parse(given, previous);
      } catch (error) {
        if (error instanceof InputError) throw new InvalidArgumentError(`${error.reason}.`);
        throw error;
      }
    });
  }
  if (flag.preset !== undefined) option.preset(flag.preset);
  if (flag.hidden) option.hideHelp();
  if (flag.required) option.makeOptionMandatory();
  if (flag.default !== undefined || flag.shown !== undefined) option.default(flag.default, flag.shown);
  return option;
}
