/**
 * Cold-start users: of whom few events are known, or none. They get what users with the same columns like
 * (model/transitions/segment-prior.ts), or what is popular, until events say more.
 */
import { InputError } from '../data/errors.ts';
import type { SideFeatureEncoder } from '../data/features/event-encoder.ts';
import type { UserContext } from '../model/inference/query.ts';
import type { LoadedModel } from '../model/storage/load-model.ts';
import { logPopularity, weightedPrior } from '../model/transitions/segment-prior.ts';

/**
 * What is added to the scores [V] of a user of whom `events` events are known, which is all there is for none; null where
 * the events say enough.
 * @param encoder null where the model reads no side features
 * @throws InputError where nothing is known and the model does not even know what is popular
 */
export function coldStartScores(
  { prior, items }: Pick<LoadedModel, 'prior' | 'items'>,
  encoder: SideFeatureEncoder | null,
  user: UserContext['user'] | undefined,
  events: number,
): Float32Array | null {
  if (events > 0 && !(prior && user)) return null;
  if (prior && encoder) return weightedPrior(prior, user ? encoder.userBag(user) : [], events, items.length);
  if (items.every(({ count }) => count === undefined)) {
    throw new InputError(
      'unsupported',
      'the history is empty, and the model does not know what is popular (an earlier version made it)',
      { hint: 'train it again, or name at least one item' },
    );
  }
  return logPopularity(items.map(({ count }) => count ?? 0));
}
