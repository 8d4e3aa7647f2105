/** The flags of what is done after the score, of `recommend` and `evaluate`; what they mean stands in after.ts. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { type Exploration, EXPLORATIONS } from '../../recommend/reranking/explore.ts';
import { number, whole } from '../common.ts';

export interface PostProcessingFlags {
  where?: string;
  allow?: string;
  deny?: string;
  diversity?: number;
  cap: ReadonlyMap<string, number>;
  popularityPenalty?: number;
  explore?: Exploration['method'];
  exploreStrength?: number;
  exploreSeed?: number;
}

export function addPostProcessingOptions(command: Command): Command {
  return command
    .option('--where <condition>', 'only items like these, as in "price<50 and category=shoes" (see below)')
    .option('--allow <ids>', 'only these items: ID,ID,... or @FILE with an ID a line')
    .option('--deny <ids>', 'never these items: ID,ID,... or @FILE with an ID a line')
    .option(
      '--diversity <share>',
      'from 0 to 1: how much likeness to the items above counts (MMR, of the 128 best)',
      share,
    )
    .addOption(
      new Option('--cap <attribute=n>', 'at most n items of a list with the same value, as genre=3; may be repeated')
        .argParser(cap)
        .default(new Map<string, number>(), 'none'),
    )
    .addOption(
      new Option('--explore <method>', 'show items of which little is known, too, among the 128 best').choices(
        EXPLORATIONS,
      ),
    )
    .option(
      '--explore-strength <x>',
      'epsilon-greedy: share of the places (0.1); thompson and ucb: a factor (2)',
      penalty,
    )
    .option('--explore-seed <n>', 'another one explores other items (1)', whole(0))
    .option('--popularity-penalty <x>', 'take x · log(1 + n) off the score of an item with n training events', penalty);
}

export const CONDITION_HELP = `
Conditions: ATTRIBUTE =, !=, <, <=, > or >= VALUE, ATTRIBUTE in (VALUE, ...), ATTRIBUTE is missing; and, or, not, ( ).
  Names and values with spaces are in double quotes. Of several values (Comedy|Drama) one must fit; letter case does
  not matter, nor how numbers are written: price<1500 finds $1,299.00 and, in a column with decimal commas, € 1.299,00.
  Attributes are the columns of the --items file that the model was trained with; id and title work, too.
Lists of IDs: an ID with a comma, or one that begins with @, stands in double quotes.`;

function share(text: string): number {
  const value = number()(text);
  if (value < 0 || value > 1) throw new InvalidArgumentError('a number from 0 to 1 was expected.');
  return value;
}

function penalty(text: string): number {
  const value = number()(text);
  if (value < 0) throw new InvalidArgumentError('a number from 0 on was expected.');
  return value;
}

/** Collects `--cap attribute=n`. */
function cap(text: string, previous: ReadonlyMap<string, number>): Map<string, number> {
  const at = text.lastIndexOf('=');
  const most = Number(text.slice(at + 1).trim() || Number.NaN);
  if (at < 1 || !Number.isInteger(most) || most < 1) {
    throw new InvalidArgumentError('attribute=n was expected with a whole number from 1 on, as genre=3.');
  }
  return new Map(previous).set(text.slice(0, at).trim(), most);
}
