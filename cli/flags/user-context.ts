/** The flags that tell what is known of a user and of the moment, of `recommend` and `generate`. */
import { Option } from 'commander';
import { keyValue } from '../common.ts';

/** Columns of whoever is asked for. */
export function aboutOption(): Option {
  return new Option(
    '--about <column=value>',
    'what is known of the user, as age=25 (models with --users); may be repeated',
  )
    .argParser(keyValue)
    .default(new Map<string, string>(), 'nothing');
}

/** Columns of the log as items are rated. */
export function contextOption(): Option {
  return new Option(
    '--context <column=value>',
    'with a model of ratings that reads --events: how the items are rated, as device=phone; may be repeated',
  )
    .argParser(keyValue)
    .default(new Map<string, string>(), 'unknown');
}
