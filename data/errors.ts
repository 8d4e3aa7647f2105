import { messageLine } from './visible.ts';

/** What kind of input cannot be used: stable, for programs to tell errors apart; docs/errors.md explains each. */
export const ERROR_CODES = [
  'invalid-value',
  'conflicting-settings',
  'unsupported',
  'unreadable-file',
  'invalid-data',
  'missing-column',
  'too-little-data',
  'mismatched-data',
  'trained-on',
  'unknown-id',
  'not-found',
  'already-exists',
  'file-access',
  'locked',
  'not-a-model',
  'damaged-model',
  'unfinished-model',
  'too-large',
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

export interface ErrorDetails {
  /** the option at fault, as the library calls it: `minInteractions`, `settings.window` */
  setting?: string;
  /** what it was given */
  value?: unknown;
  /** what to do about it */
  hint?: string;
  cause?: unknown;
}

/**
 * An error in what the user gave: a file, an option, a value. The reason says what was wrong and where (file:line when
 * there is one), the hint what to do. The message is one line of both, in the library's names for options; the command
 * and the page put their own in place (`nameOptions`). Control characters in it are made visible, and it is cut if long.
 */
export class InputError extends Error {
  override name = 'InputError';
  readonly code: ErrorCode;
  readonly setting: string | undefined;
  readonly value?: unknown;
  readonly reason: string;
  readonly hint: string | undefined;

  constructor(code: ErrorCode, reason: string, { setting, value, hint, cause }: ErrorDetails = {}) {
    const where = setting === undefined ? '' : `${option(setting, value)}: `;
    super(messageLine(`${where}${reason}${hint === undefined ? '' : `; ${hint}`}`), { cause });
    this.code = code;
    this.setting = setting;
    this.value = value;
    this.reason = messageLine(reason);
    this.hint = hint === undefined ? undefined : messageLine(hint);
  }
}

/** Refuses the file that `where` names: it cannot be a model's, or not an intact one. */
export const damaged =
  (where: string) =>
  (what: string): never => {
    throw new InputError('damaged-model', `${where}: ${what}`);
  };

/** An option in a message, as the library calls it: `` `minRating: 4` ``. `nameOptions` finds it again. */
export const option = (name: string, value?: unknown): string =>
  `\`${name}${value === undefined ? '' : `: ${value}`}\``;

/** The text with every `option` in it named anew; null leaves one as it is. */
export function nameOptions(text: string, rename: (name: string, value?: string) => string | null): string {
  return text.replace(/`([\w.]+)(?:: ([^`]*))?`/g, (mark, name, value) => rename(name, value) ?? mark);
}
