/** The segment prior of a split's users, as `recommend` adds it to the lists of users with few events. */
import type { Split } from '../../data/splits/split.ts';
import type { LoadedModel } from '../../model/storage/load-model.ts';
import { weightedPrior } from '../../model/transitions/segment-prior.ts';
import type { EvaluateOptions } from './evaluate.ts';

/** null where the model has none, or nothing is known of the users. */
export function splitPrior(
  { prior, items }: Pick<LoadedModel, 'prior' | 'items'>,
  split: Split,
  part: 'valid' | 'test',
): EvaluateOptions['prior'] {
  const { side } = split;
  if (!prior || !side) return null;
  return (u) => {
    const bag = side.knownBag(u);
    return bag && weightedPrior(prior, bag, split.history(u, part).length, items.length);
  };
}
