/**
 * The weights that a blend is chosen from, b and ε (model/transitions/transitions.ts): from the transformer alone to the
 * item transitions alone. The device ranks the same users by all of them in one pass.
 */
import type { BlendWeights } from '../../model/transitions/transitions.ts';

/** So heavy that the transformer only orders items that the transitions do not tell apart. */
export const DECIDES = 1000;
/** From an encoder that leads to one that does not help. */
const WEIGHTS = [0.1, 0.2, 0.35, 0.5, 0.7, 1, 1.4, 2, 3, 5, 10, 30, DECIDES];
/** ε, in units of 1 / V: m is about a probability. */
const EPSILONS = [1, 5];
/** What tells how a training proceeds: a few of them. */
const COARSE = [0.5, 1, 2, 5, 10, DECIDES];

/** All that a blend is chosen from, but for the transformer alone. */
export const blendTrials = (items: number): BlendWeights[] =>
  EPSILONS.flatMap((e) => WEIGHTS.map((memory) => ({ memory, epsilon: e / items })));

/** A few of them, cheap enough for every validation of a training. */
export const coarseTrials = (items: number): BlendWeights[] => COARSE.map((memory) => ({ memory, epsilon: 1 / items }));

/** The transformer alone. */
export const unblended = (items: number): BlendWeights => ({ memory: 0, epsilon: 1 / items });
