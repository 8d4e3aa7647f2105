/** The library's names for options, as flags of the command. */
import { nameOptions } from '../../data/errors.ts';

/** Options whose flag has another name. */
const FLAGS = new Map([
  ['reads', 'events'],
  ['now', 'at'],
]);

/** `settings.window` with 50 is `--set window=50`, `minRating` with 4 `--min-rating 4`. */
export function flagFor(name: string, value?: string): string {
  const [group, key] = name.split('.');
  if (key && group === 'settings') return `--set ${key}${value === undefined ? '' : `=${value}`}`;
  const flag = key && key !== 'all' ? `${key}Column` : (FLAGS.get(group) ?? group);
  return `${kebab(flag)}${value === undefined ? '' : ` ${value}`}`;
}

/** `minRating` as `--min-rating`. */
export const kebab = (name: string): string => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

/** A message with its options named as flags. */
export const inFlags = (text: string): string => nameOptions(text, flagFor);
