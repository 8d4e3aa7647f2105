/** A training from a program, with events in memory: what `attune train` does, into a model folder of any kind. */
import { prepare } from '../data/dataset.ts';
import { requireTrainable } from '../data/splits/checks.ts';
import { InputError } from '../data/errors.ts';
import { encodeItems } from '../data/features/encoder.ts';
import { LEAVE_ONE_OUT, type Protocol } from '../data/splits/protocol.ts';
import { inferSchema } from '../data/features/schema.ts';
import { similarity } from '../data/features/similarity.ts';
import { contextNames } from '../data/features/side-features.ts';
import { splitDataset } from '../data/splits/split.ts';
import { writeModelCard } from '../model/storage/card.ts';
import { chooseRecipe, logSize } from '../model/recipes/defaults.ts';
import { type Files, MemoryFiles } from '../model/storage/files.ts';
import { createFolder, type Item } from '../model/storage/folder.ts';
import { settingsFor } from '../model/recipes/recipes.ts';
import { countItems } from './baselines/baselines.ts';
import type { Metrics } from './evaluation/metrics.ts';
import { checkTraining, logOf, openShared, type TrainingEvent, type TrainingOptions, VERSION } from './events.ts';
import { newConfig } from './model-config.ts';
import { requireHorizon } from './loop/schedule.ts';
import { requirePrecision, type TrainProgress, type TrainResult, validationUsers } from './loop/trainer.ts';
import { withSideFeatures } from './side-features.ts';
import { trainWhole } from './stages/whole.ts';

/** Without `epochs` and `maxMinutes` early stopping ends the training; `reads` takes rating and gap, too. */
export interface TrainModelOptions extends TrainingOptions<TrainProgress> {
  /** See `attune recipes`; the size of the log decides without it. */
  recipe?: string;
  /** Users and items with fewer events are left out, 5 by default. */
  minInteractions?: number;
  minRating?: number;
  protocol?: Protocol;
  /** Recommend what a user has had before, too: validation then ranks it. */
  includeSeen?: boolean;
}

export interface TrainedModel {
  /** The model folder: `Recommender.load(files)` opens it, `packModel(files)` makes one file of it. */
  files: Files;
  result: TrainResult;
  /** Of the best validation, the transformer alone; null where none has run. */
  metrics: Metrics | null;
  /** Which recipe was picked and why, what the filter removed. */
  notes: string[];
}

/**
 * Trains a recommender on events.
 *
 * @throws InputError, one line, where nothing can be learned from the events or a setting makes no sense
 */
export async function trainModel(
  events: Iterable<TrainingEvent>,
  options: TrainModelOptions = {},
): Promise<TrainedModel> {
  const started = performance.now();
  const { minInteractions = 5, minRating, includeSeen = false, seed = 1, epochs } = options;
  const source = options.source ?? 'events';
  checkTraining(options);
  const given = Object.fromEntries(Object.entries(options.settings ?? {}).map(([key, value]) => [key, String(value)]));
  // Before the events are read, which may take long: whatever is chosen, these must make sense.
  const asked = settingsFor(options.recipe ?? 'sasrec', given);
  const tower = asked.items === 'tower';
  requireHorizon(asked, epochs);
  const reads = [...new Set(options.reads ?? [])];
  if ((options.users || reads.length > 0) && asked.direction !== 'causal') {
    throw new InputError('conflicting-settings', 'users and reads need a causal recipe', {
      hint: 'leave them out, or choose another',
    });
  }
  const columns = contextNames(reads);
  const dataset = prepare(logOf(events, source, columns), { minInteractions, minRating });
  let parts = splitDataset(dataset, options.protocol ?? LEAVE_ONE_OUT, source);
  requireTrainable(parts, source);
  const notes: string[] = [];
  let { recipe } = options;
  let settings = asked;
  if (recipe === undefined && tower) recipe = 'sasrec'; // as attune train: the tower's loss is over all items
  if (recipe === undefined) {
    const choice = chooseRecipe(logSize(parts), given);
    recipe = choice.recipe;
    settings = settingsFor(recipe, { ...choice.settings, ...given });
    notes.push(`no recipe: ${recipe} with ${choice.reasons.join('; ')}`);
  }
  if (validationUsers(parts, settings, seed).length === 0) {
    throw new InputError(
      'too-little-data',
      `${source}: no user has three events, one each to train, to validate and to test on`,
    );
  }
  const known = new Map(Array.from(options.items ?? [], (item) => [item.id, item]));
  const counts = countItems(parts);
  const items = dataset.itemIds.map((id, row): Item => {
    const { title, attributes = {} } = known.get(id) ?? {};
    return { id, title: title || id, attributes, count: counts[row] };
  });
  const schema = tower ? inferSchema(items, []) : null;
  if (schema?.columns.every(({ type }) => type === 'skip')) {
    throw new InputError(
      'conflicting-settings',
      `${source}: items=tower reads the items' attributes, and there are none`,
    );
  }
  const seen = includeSeen ? 'kept' : 'excluded';
  const users = options.users && new Map(Array.from(options.users, ({ id, attributes }) => [id, attributes]));
  parts = withSideFeatures(parts, users, reads, source);
  const about = {
    side: parts.sideSchema,
    recipe,
    settings,
    source,
    columns: {},
    minInteractions,
    minRating,
    seen,
    seed,
    schema,
  } as const;
  const config = newConfig({ ...about, attune: VERSION, protocol: parts.protocol }, dataset, items);
  const { device, close } = await openShared(options.device);
  const files = options.files ?? new MemoryFiles('model');
  try {
    requirePrecision(device, settings);
    config.device = device.name;
    await createFolder(files, config, items, { overwrite: options.overwrite });
    const deadline = options.maxMinutes === undefined ? undefined : started + options.maxMinutes * 60_000;
    const { signal, onProgress } = options;
    const run = { device, files, parts, settings, config, seed, epochs, deadline, signal, includeSeen, onProgress };
    const features = schema && encodeItems(schema, items);
    const result = await trainWhole(
      schema && features ? { ...run, features, similar: similarity(schema, items) } : run,
    );
    const best = result.validations.find(({ step }) => step === result.bestStep) ?? null;
    await writeModelCard(files, config, {
      date: new Date(),
      step: result.step,
      epoch: result.epoch,
      elapsedSeconds: result.seconds,
      split: 'valid',
      seen,
      users: validationUsers(parts, settings, seed).length,
      metrics: best?.metrics ?? null,
    });
    return { files, result, metrics: best?.metrics ?? null, notes };
  } finally {
    close();
  }
}
