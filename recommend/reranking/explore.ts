/**
 * Exploration: a list shows some items of which little is known, so that more is learned of them than if only the best scores
 * were shown. Off by default; it re-ranks the best candidates.
 *
 *   epsilon-greedy   with probability `strength` each position goes to a candidate drawn from those left, else to the best
 *   thompson         scores are drawn from N(score, (strength · s)² / (1 + n)) (Thompson 1933; Chapelle & Li, NIPS 2011)
 *   ucb              scores are raised by strength · s · √(ln(1 + N) / (1 + n)) (UCB1: Auer et al. 2002)
 *
 * n is the number of training events of an item, N that of all candidates, s the deviation of the candidates' scores, so that
 * a strength means the same in every model. One seed, one list.
 */
import { InputError } from '../../data/errors.ts';
import { type Random, seeded } from '../../data/random.ts';

export const EXPLORATIONS = ['epsilon-greedy', 'thompson', 'ucb'] as const;

export interface Exploration {
  method: (typeof EXPLORATIONS)[number];
  /** epsilon-greedy: 0 to 1, 0.1 by default; the others: from 0 on, 2 by default. */
  strength?: number;
  /** Each seed explores differently; 1 by default. */
  seed?: number;
}

const STREAM = 0xe591;

/** @throws InputError, one line */
export function checkExploration({ method, strength, seed }: Exploration): void {
  if (!EXPLORATIONS.includes(method)) {
    throw new InputError('invalid-value', `explore ${method}: unknown; there is ${EXPLORATIONS.join(', ')}`);
  }
  const most = method === 'epsilon-greedy' ? 1 : Number.MAX_VALUE;
  if (strength !== undefined && !(strength >= 0 && strength <= most)) {
    throw new InputError(
      'invalid-value',
      `explore strength: expected a number ${most === 1 ? 'from 0 to 1' : '>= 0'}, got ${strength}`,
    );
  }
  if (seed !== undefined && !(Number.isInteger(seed) && seed >= 0)) {
    throw new InputError('invalid-value', `explore seed: expected an integer >= 0, got ${seed}`);
  }
}

/**
 * The candidates in the order that explores; their scores are as they were.
 * @param candidates best first @param countOf training events of a candidate
 */
export function explore<C extends { score: number }>(
  candidates: readonly C[],
  countOf: (candidate: C) => number,
  exploration: Exploration,
): C[] {
  checkExploration(exploration);
  const { method, strength = method === 'epsilon-greedy' ? 0.1 : 2, seed = 1 } = exploration;
  const random = seeded(seed, STREAM);
  if (method === 'epsilon-greedy') return greedy(candidates, strength, random);
  const n = candidates.length;
  const mean = candidates.reduce((sum, { score }) => sum + score, 0) / Math.max(1, n);
  const spread = Math.sqrt(candidates.reduce((sum, { score }) => sum + (score - mean) ** 2, 0) / Math.max(1, n));
  const counts = candidates.map(countOf);
  const all = counts.reduce((sum, count) => sum + count, 0);
  const values = candidates.map(({ score }, i) => {
    const unsure = (strength * spread) / Math.sqrt(1 + counts[i]);
    return score + unsure * (method === 'ucb' ? Math.sqrt(Math.log1p(all)) : normal(random));
  });
  return candidates
    .map((candidate, i) => ({ candidate, value: values[i], i }))
    .sort((a, b) => b.value - a.value || a.i - b.i)
    .map(({ candidate }) => candidate);
}

function greedy<C>(candidates: readonly C[], epsilon: number, random: Random): C[] {
  const left = [...candidates];
  return candidates.map(() => left.splice(random.chance(epsilon) ? random.below(left.length) : 0, 1)[0]);
}

/** Box and Muller. */
function normal(random: Random): number {
  const radius = Math.sqrt(-2 * Math.log(1 - random.next()));
  return radius * Math.cos(2 * Math.PI * random.next());
}
