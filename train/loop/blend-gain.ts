/**
 * When an encoder is trained in vain: blended with the item transitions it ranks no better than they do alone, and no
 * better than a while ago. What it gains alone is then nothing that the blend, which is served, gains.
 */
import type { Scored } from '../../model/inference/scored.ts';
import { criterionOf } from '../evaluation/metrics.ts';
import { gainOf } from '../evaluation/statistics.ts';
import type { TrainOptions } from './options.ts';

/** Standard errors of a paired difference that are significant. */
const SIGNIFICANT = 2;
/** Share by which the criterion must rise to count as progress: the best of several blends rises by chance alone. */
const PROGRESS = 0.005;

/** How blends rank on a validation. */
export interface Blended {
  /** Of the best blend: the mean over users (evaluation/metrics.ts). */
  criterion: number;
  /** Whether it is significantly better than the transitions alone. */
  helps: boolean;
}

/** What `blendedOf` reads: ranks by the components of the blend and by some blends. */
type Ranks = Pick<Scored, 'components' | 'trials'>;

/** @returns null where nothing was blended */
export function blendedOf(ranks: readonly Ranks[]): Blended | null {
  const [first] = ranks;
  if (!first?.components || !first.trials) return null;
  const criteria = (rank: (r: Required<Ranks>) => number): Float64Array =>
    Float64Array.from(ranks, (r) => criterionOf(rank(r as Required<Ranks>)));
  const alone = criteria(({ components }) => components.transitions);
  const blends = [criteria(({ components }) => components.transformer)];
  for (const i of first.trials.keys()) blends.push(criteria(({ trials }) => trials[i]));
  const [best] = blends.map((blend) => gainOf(alone, blend)).sort((a, b) => b.mean - a.mean);
  const criterion = best.mean + alone.reduce((sum, x) => sum + x, 0) / alone.length;
  return { criterion, helps: best.mean > SIGNIFICANT * best.error };
}

export class BlendGain {
  /** JSON; what a training that continues must find again. */
  state: { best: number; since: number; helps: boolean } = { best: 0, since: 0, helps: true };

  /** A validation. */
  add({ criterion, helps }: Blended): void {
    const { best, since } = this.state;
    const progress = criterion > (1 + PROGRESS) * best;
    this.state = { best: progress ? criterion : best, since: progress ? 0 : since + 1, helps };
  }

  /**
   * Whether a training ends here: its encoder alone has not become better for `patience` validations, or its blend for half
   * as many, which is logged.
   * @param validations since the encoder alone was best
   */
  endsTraining(validations: number, { settings: { patience }, log }: Pick<TrainOptions, 'settings' | 'log'>): boolean {
    if (validations >= patience) return true;
    if (this.state.helps || this.state.since < patience / 2) return false;
    log?.('stopped early: item transitions alone rank as well as their blend with the transformer');
    return true;
  }
}
