/** A training as `attune train` and the demo run it: its config, its progress bar, its Ctrl-C. */
import type { Dataset } from '../data/dataset.ts';
import { encodeItems, type ItemFeatures } from '../data/features/encoder.ts';
import type { Schema } from '../data/features/schema.ts';
import { type Similarity, similarity } from '../data/features/similarity.ts';
import type { Split } from '../data/splits/split.ts';
import type { Device } from '../engine/index.ts';
import type { Files } from '../model/storage/files.ts';
import type { Item, ModelConfig } from '../model/storage/folder.ts';
import type { Settings } from '../model/recipes/recipes.ts';
import { type ConfigOptions, newConfig as modelConfig } from '../train/model-config.ts';
import type { TrainProgress, TrainResult } from '../train/loop/trainer.ts';
import { trainWhole } from '../train/stages/whole.ts';
import { onInterrupt, type Output, versionOf } from './common.ts';
import { createProgress, formatCount, type Progress } from './output/ui.ts';

/** All that a training needs but for the device. */
export interface Training {
  files: Files;
  config: ModelConfig;
  settings: Settings;
  parts: Split;
  /** The catalogue as the item tower and the attribute memory read it, where there are any. */
  attributes?: Attributes | null;
}

export interface Attributes {
  features: ItemFeatures;
  similar: Similarity;
}

/** Items encoded by a schema; says which values it does not know. */
export function attributesOf(schema: Schema, items: readonly Item[], out: Output): Attributes {
  const features = encodeItems(schema, items);
  for (const [name, count] of features.unseen) {
    out.warn(`${formatCount(count)} values of ${name} are unknown to the schema and count as unknown`);
  }
  return { features, similar: similarity(schema, items) };
}

/** As `train/model-config.ts` has it, with this command's version. */
export const newConfig = (
  about: Omit<ConfigOptions, 'attune'>,
  dataset: Dataset,
  items: readonly Item[],
): ModelConfig => modelConfig({ ...about, attune: versionOf() }, dataset, items);

export interface Limits {
  /** `performance.now()` at which all must be saved. */
  deadline?: number;
  epochs?: number;
  resume?: boolean;
  /** Train the ranker alone. */
  rankerOnly?: boolean;
  /** Show the bar without a terminal, too. */
  progress?: boolean;
}

/** Trains under a progress bar; the first Ctrl-C makes it save and end with the reason `interrupted`. */
export async function trainWithProgress(device: Device, training: Training, limits: Limits): Promise<TrainResult> {
  const bar = createProgress({ total: 1000, force: limits.progress });
  const interrupt = onInterrupt(() =>
    process.stderr.write('\nattune: stopping after this step and saving (Ctrl-C again stops at once)\n'),
  );
  try {
    const { files, config, settings, parts } = training;
    return await trainWhole({
      device,
      files,
      parts,
      settings,
      config,
      features: training.attributes?.features,
      similar: training.attributes?.similar,
      seed: config.seed,
      resume: limits.resume,
      rankerOnly: limits.rankerOnly,
      epochs: limits.epochs,
      deadline: limits.deadline,
      signal: interrupt.signal,
      includeSeen: config.seen === 'kept',
      onProgress: showProgress(bar),
      log: (line) => bar.note(line),
    });
  } finally {
    interrupt.end();
    bar.stop();
  }
}

/** Moves a bar of 1000 with the trainer's progress; a better validation leaves a line above it. */
function showProgress(bar: Progress): (progress: TrainProgress) => void {
  let best: number | null = null;
  return (p) => {
    if (p.bestNdcg !== null && p.bestNdcg !== best) {
      best = p.bestNdcg;
      bar.note(`step ${formatCount(p.step)}: validation NDCG@10 ${best.toFixed(4)}, the best so far`);
    }
    const phase = {
      remembering: 'learning the memory',
      compiling: 'compiling the kernels',
      training: `epoch ${p.epoch + 1}, step ${formatCount(p.step)}`,
      validating: 'validating',
      saving: 'saving',
      blending: 'fitting the blend',
      ranking: `ranker, step ${formatCount(p.step)}`,
    }[p.phase];
    bar.update(Math.round(p.fraction * 1000), {
      phase,
      ...(p.loss !== null && { loss: p.loss }),
      ...(p.tokensPerSecond > 0 && { tokensPerSecond: p.tokensPerSecond }),
      ...(p.secondsLeft !== null && { secondsLeft: p.secondsLeft }),
    });
  };
}
