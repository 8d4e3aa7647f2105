/** The flags of re-ranking and post-processing, of `recommend` and `evaluate`; input/post-processing.ts reads them. */
import { InvalidArgumentError } from 'commander';
import { EXPLORATIONS } from '../../recommend/reranking/explore.ts';
import type { ExposureOptions } from '../../recommend/reranking/post-processing.ts';
import { choiceFlag, type FlagsOf, parsed, text, withDefault } from './declare.ts';
import { integerFlag, numberFlag } from './values.ts';

export const postProcessingFlags = {
  where: text('<condition>', 'only items like these, as in "price<50 and category=shoes" (see below)'),
  allow: text('<ids>', 'only these items: ID,ID,... or @FILE with one ID on each line'),
  deny: text('<ids>', 'never these items: ID,ID,... or @FILE with one ID on each line'),
  diversity: numberFlag('<share>', 'from 0 to 1: weight of the similarity to items above (MMR over the 128 best)', {
    min: 0,
    max: 1,
  }),
  cap: withDefault(
    parsed<ReadonlyMap<string, number>>(
      '<attribute=n>',
      'at most n items of a list with the same value, as genre=3; may be repeated',
      (given, previous) => {
        const at = given.lastIndexOf('=');
        const most = Number(given.slice(at + 1).trim() || Number.NaN);
        if (at < 1 || !Number.isInteger(most) || most < 1) {
          throw new InvalidArgumentError('expected attribute=n with an integer >= 1, as genre=3.');
        }
        return new Map(previous).set(given.slice(0, at).trim(), most);
      },
    ),
    new Map(),
    'none',
  ),
  calibrate: withDefault(
    parsed<ReadonlyMap<string, number>>(
      '<attribute:weight>',
      "values of the attribute in the proportions of the user's history, as genre:0.3; may be repeated",
      (given, previous) => {
        const at = given.lastIndexOf(':');
        const weight = Number(given.slice(at + 1).trim() || Number.NaN);
        if (at < 1 || !(weight >= 0 && weight <= 1)) {
          throw new InvalidArgumentError('expected attribute:weight with a weight from 0 to 1, as genre:0.3.');
        }
        return new Map(previous).set(given.slice(0, at).trim(), weight);
      },
    ),
    new Map(),
    'none',
  ),
  expose: withDefault(
    parsed<readonly ExposureOptions[]>(
      '<floor>',
      'items like these get a share of the exposure of a list, as "brand:small>=0.2"; may be repeated',
      (given, previous) => {
        const [, attribute, value, share] = /^([^:]+):(.+)>=([^>=]+)$/.exec(given) ?? [];
        if (share === undefined || !(Number(share) > 0 && Number(share) <= 1)) {
          throw new InvalidArgumentError(
            'expected attribute:value>=share with a share above 0, at most 1, as "brand:small>=0.2".',
          );
        }
        return [...(previous ?? []), { attribute: attribute.trim(), value: value.trim(), share: Number(share) }];
      },
    ),
    [],
    'none',
  ),
  explore: choiceFlag('<method>', 'also show items of which little is known, among the 128 best', EXPLORATIONS),
  exploreStrength: numberFlag('<x>', 'epsilon-greedy: share of the positions (0.1); thompson and ucb: a factor (2)', {
    min: 0,
  }),
  exploreSeed: integerFlag('<n>', 'another seed explores other items (1)', 0),
  popularityPenalty: numberFlag('<x>', 'subtract x · log(1 + n) from the score of an item with n training events', {
    min: 0,
  }),
};

export type PostProcessingFlags = FlagsOf<typeof postProcessingFlags>;

export const CONDITION_HELP = `Conditions: ATTRIBUTE =, !=, <, <=, > or >= VALUE, ATTRIBUTE in (VALUE, ...), ATTRIBUTE is missing; and, or, not, ( ).
  Names and values with spaces are in double quotes. One of several values (Comedy|Drama) must match; letter case and
  the way numbers are written do not matter: price<1500 finds $1,299.00 and, in a column with decimal commas, € 1.299,00.
  Attributes are the columns of the --items file that the model was trained with; id and title work, too.
Lists of IDs: an ID with a comma, or one that begins with @, is in double quotes.`;
