/** Runs the stages of a training into a folder that a test has made. */
import type { Split } from '../../data/splits/split.ts';
import type { Settings } from '../../model/recipes/settings.ts';
import type { Files } from '../../model/storage/files.ts';
import { loadConfig, loadItems } from '../../model/storage/config.ts';
import type { TrainResult } from '../../train/loop/options.ts';
import { RankingPlan } from '../../train/plan.ts';
import { type RunOptions, runPlan } from '../../train/run-plan.ts';

export interface StageOptions extends RunOptions {
  split: Split;
  settings: Settings;
  epochs?: number;
  resume?: boolean;
  rankerOnly?: boolean;
}

/** The folder is one of `createFolder`, with the config and the items of the training. */
export async function trainStages(options: StageOptions): Promise<TrainResult> {
  const files: Files = options.files;
  const [config, items] = [await loadConfig(files), await loadItems(files)];
  const { split, settings, epochs, resume, rankerOnly } = options;
  const known = { notes: [], warnings: [] };
  const again = resume || rankerOnly;
  const plan = new RankingPlan({ ...known, config, items, split, settings, epochs, resume: again, rankerOnly });
  return (await runPlan(plan, options)).result;
}
