/**
 * Membership inference by a loss threshold (Yeom et al., "Privacy Risk in Machine Learning: Analyzing the Connection to
 * Overfitting", 2018): whoever has a user's history, and guesses that it was trained on where the model's loss on it is
 * low, is right how often? A model that keeps users private gives it no better than a guess.
 */
import { userBatches } from '../../data/batching/batches.ts';
import { InputError } from '../../data/errors.ts';
import { seeded, shuffle } from '../../data/random.ts';
import type { Split } from '../../data/splits/split.ts';
import type { SequenceModel } from '../../model/encoders/sequence-model.ts';
import { LOSSES } from '../../model/heads/losses/index.ts';
import { isCloze, windowsOf } from '../../model/recipes/derived.ts';
import { Feed, needsOf } from '../loop/feed.ts';

/** What the attack reaches on as many members as outsiders, or more of either. */
export interface Membership {
  /** Users that the model was trained on, and others. */
  members: number;
  outsiders: number;
  /** Largest difference of the true-positive and the false-positive rate over all thresholds: 0 for a guess, 1 for certainty. */
  advantage: number;
  /** What it reaches by chance, where members and outsiders are alike: the 95 % quantile over random labels. */
  chance: number;
  /** Area under the curve of both rates: the probability that a member's loss is less than an outsider's. */
  auc: number;
  /** Limits of its 95 % interval (bootstrap over users). */
  low: number;
  high: number;
  /** Mean losses, in nats an event. */
  loss: { members: number; outsiders: number };
}

const RESAMPLES = 1000;
const STREAMS = { bootstrap: 0x3e3b, labels: 0x1abe };

/**
 * The mean loss of a window of each user's training history (`userBatches`): cross-entropy over the catalog, in nats an
 * event, by the transformer alone.
 * @throws InputError for models whose loss is of another kind
 */
export async function userLosses(
  model: SequenceModel,
  split: Split,
  users: ArrayLike<number>,
  onProgress: (done: number) => void = () => {},
): Promise<Float64Array> {
  const { device, head } = model;
  const settings = { ...model.settings, budget: model.settings.window, labelSmoothing: 0 };
  if (isCloze(settings) || settings.decoder > 0 || !head.vectors)
    throw new InputError(
      'unsupported',
      'membership is measured by the loss of next items, which this model has none of',
    );
  const feed = new Feed(device, settings.budget, needsOf(settings, split.side));
  const program = device.program('loss of a user', () =>
    device.noGrad(() => {
      const tokens = feed.tensors;
      const states = model.encode(tokens);
      const { items, table } = model;
      return { loss: LOSSES.softmax.forward({ ...tokens, states, table, items, head }, settings) };
    }),
  );
  const losses = new Float64Array(users.length);
  let done = 0;
  try {
    await model.refresh();
    const windows = { ...windowsOf(settings), augment: undefined, sideDropout: 0, seed: 0, epoch: 0 };
    for (const batch of userBatches(split, users, windows)) {
      feed.stage(batch);
      feed.upload();
      losses[done++] = (await program.values()).loss[0];
      onProgress(done);
    }
  } finally {
    program.dispose();
    feed.dispose();
  }
  return losses;
}

/** How well a threshold on the loss tells members from outsiders. @throws Error without any of either */
export function attackByLoss(members: Float64Array, outsiders: Float64Array, seed = 1): Membership {
  if (members.length === 0 || outsiders.length === 0)
    throw new Error(`membership: expected users of both kinds, got ${members.length} and ${outsiders.length}`);
  const { advantage, auc } = ratesOf(members, outsiders);
  const random = seeded(seed, STREAMS.bootstrap);
  const draw = (from: Float64Array): Float64Array => from.map(() => from[random.below(from.length)]);
  const areas = Float64Array.from({ length: RESAMPLES }, () => ratesOf(draw(members), draw(outsiders)).auc).sort();
  const labels = seeded(seed, STREAMS.labels);
  const all = Float64Array.from([...members, ...outsiders]);
  const byChance = Float64Array.from({ length: RESAMPLES }, () => {
    shuffle(all, labels);
    return ratesOf(all.subarray(0, members.length), all.subarray(members.length)).advantage;
  }).sort();
  const at = (sorted: Float64Array, share: number): number => sorted[Math.round(share * (sorted.length - 1))];
  return {
    members: members.length,
    outsiders: outsiders.length,
    advantage,
    chance: at(byChance, 0.95),
    auc,
    low: at(areas, 0.025),
    high: at(areas, 0.975),
    loss: { members: meanOf(members), outsiders: meanOf(outsiders) },
  };
}

/** Thresholds from low to high, users of one loss at once. */
function ratesOf(members: Float64Array, outsiders: Float64Array): { advantage: number; auc: number } {
  const [own, others] = [members.slice().sort(), outsiders.slice().sort()];
  let [i, j, advantage, area] = [0, 0, 0, 0];
  while (i < own.length || j < others.length) {
    const threshold = Math.min(own[i] ?? Number.POSITIVE_INFINITY, others[j] ?? Number.POSITIVE_INFINITY);
    const [fromI, fromJ] = [i, j];
    while (own[i] <= threshold) i++;
    while (others[j] <= threshold) j++;
    area += ((j - fromJ) * (fromI + i)) / 2;
    advantage = Math.max(advantage, i / own.length - j / others.length);
  }
  return { advantage, auc: area / (own.length * others.length) };
}

const meanOf = (values: Float64Array): number => values.reduce((sum, x) => sum + x, 0) / values.length;
