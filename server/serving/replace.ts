/** Replaces the model that answers, once another has passed its trial, and says what came of it. */
import type { Context } from '../context.ts';
import { describeFolder } from './model-folders.ts';
import { type Comparison, compare, requireCompared, requireFiniteScores, requireSameSchema } from './trial.ts';

export interface Replacement {
  folder: string;
  version: string;
  /** false: this very model answers already. */
  swapped: boolean;
  comparison: Comparison;
}

const SAME: Comparison = {
  compared: false,
  users: 0,
  current: null,
  candidate: null,
  difference: null,
  standardError: null,
  note: 'not compared: this very model answers already',
};

/**
 * @param force take it though it reads other columns, or is significantly worse
 * @param compared refuse it where too few stored events are newer than both trainings to compare them
 * @throws Problem or InputError where the model is damaged, or refused; the current one stays
 */
export async function replaceModel(
  context: Context,
  where: string,
  force: boolean,
  compared = false,
): Promise<Replacement> {
  const { models, metrics } = context;
  try {
    const { folder, version } = await describeFolder(where);
    if (version === models.current.version && where === models.current.folder)
      return { folder, version, swapped: false, comparison: SAME };
    const comparison = await models.swap(where, async (current, candidate) => {
      await requireFiniteScores(candidate);
      if (!force) requireSameSchema(current, candidate);
      const found = await compare(context, current, candidate, force);
      if (compared) requireCompared(found);
      return found;
    });
    metrics.swapped('swapped');
    const { current } = models;
    return { folder: current.name, version: current.version, swapped: true, comparison };
  } catch (error) {
    metrics.swapped('refused');
    throw error;
  }
}
