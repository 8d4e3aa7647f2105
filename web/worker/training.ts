/** A training in the worker: the same as `attune train`, into a folder of the private file system. */
import { prepare } from '../../data/dataset.ts';
import { requireTrainable } from '../../data/splits/checks.ts';
import { InputError } from '../../data/errors.ts';
import { encodeItems } from '../../data/features/encoder.ts';
import { inferSchema, type Schema } from '../../data/features/schema.ts';
import { SideFeatures, SideFeatureEncoder } from '../../data/features/side-features.ts';
import { similarity } from '../../data/features/similarity.ts';
import { splitDataset, type Split } from '../../data/splits/split.ts';
import { writeModelCard } from '../../model/storage/card.ts';
import { chooseRecipe, logSize } from '../../model/recipes/defaults.ts';
import {
  createFolder,
  type Item,
  loadConfig,
  loadItems,
  loadModel,
  type ModelConfig,
  readMetrics,
} from '../../model/storage/folder.ts';
import { checkSettings, type Settings, settingsFor } from '../../model/recipes/recipes.ts';
import { baselineMetrics } from '../../train/baselines/metrics.ts';
import { countItems } from '../../train/baselines/baselines.ts';
import type { Metrics } from '../../train/evaluation/metrics.ts';
import { newConfig } from '../../train/model-config.ts';
import { requireHorizon } from '../../train/loop/schedule.ts';
import { requirePrecision, type TrainProgress, validationUsers } from '../../train/loop/trainer.ts';
import { withSideFeatures } from '../../train/side-features.ts';
import { trainEncoderAndTransitions } from '../../train/stages/transitions-and-encoder.ts';
import type { Filter, Outcome, Plan, TrainEvent, ValidationPoint } from './contract.ts';
import { openDevice, trim } from './device.ts';
import type { FolderFiles } from './files.ts';
import { keepSource, keptSource, loadRun, newModel, openModel, type Run, saveRun } from './library.ts';
import { filterOf, openSource, type Opened } from './log.ts';

declare const ATTUNE_VERSION: string;

export type OnTrain = (event: TrainEvent) => void;

/** Milliseconds between two words of progress: what a chart can show. */
const TELL_EVERY = 120;

interface Prepared {
  files: FolderFiles;
  run: Run;
  parts: Split;
  settings: Settings;
  config: ModelConfig;
  items: readonly Item[];
  notes: string[];
}

/** Begins a training on an opened log. @throws InputError */
export async function prepareNew(opened: Opened, filter: Filter, plan: Plan): Promise<Prepared> {
  const { log, infos, reading, source } = opened;
  requireHorizon(settingsFor(plan.recipe ?? 'sasrec', plan.settings), plan.epochs ?? undefined);
  const dataset = prepare(log, filterOf(filter));
  let parts = splitDataset(dataset, undefined, log.source);
  requireTrainable(parts, log.source);
  const { recipe, settings, notes } = chosen(plan, parts);
  parts = addSideFeatures(opened, parts, settings);
  const counts = countItems(parts);
  const items = dataset.itemIds.map((id, row): Item => {
    const info = infos?.get(id);
    return { id, title: info?.title || id, attributes: info?.attributes ?? {}, count: counts[row] };
  });
  const schema = settings.items === 'tower' ? schemaOf(items) : null;
  const config = newConfig(
    {
      schema,
      side: parts.sideSchema,
      usersFile: source.kind === 'file' ? source.users?.name : undefined,
      attune: ATTUNE_VERSION,
      recipe,
      settings,
      source: log.source,
      columns: reading.columns,
      minInteractions: filter.minInteractions,
      minRating: filter.minRating ?? undefined,
      protocol: parts.protocol,
      seen: plan.includeSeen ? 'kept' : 'excluded',
      seed: plan.seed,
    },
    dataset,
    items,
  );
  const device = await openDevice();
  requirePrecision(device, settings);
  config.device = `${device.name} in a browser`;
  const files = await newModel(plan.name);
  const run: Run = {
    source:
      source.kind === 'shop'
        ? source
        : {
            kind: 'file',
            name: source.file.name,
            items: source.items?.name ?? null,
            users: source.users?.name ?? null,
          },
    reading,
    filter,
    plan,
    state: 'running',
  };
  if (source.kind === 'file') await keepSource(files, source);
  await saveRun(files, run);
  await createFolder(files, config, items);
  return { files, run, parts, settings, config, items, notes };
}

/** Adds the columns of users and events that are to be read. @throws InputError where the recipe reads none */
function addSideFeatures({ log, users, reading }: Opened, split: Split, settings: Settings): Split {
  if ((users || reading.events.length > 0) && settings.direction !== 'causal')
    throw new InputError('conflicting-settings', 'what is known of users and events is read by causal recipes alone', {
      hint: 'choose another recipe',
    });
  return withSideFeatures(split, users ?? undefined, reading.events, log.source);
}

/** For the item tower, which reads attributes. @throws InputError where there are none */
function schemaOf(items: readonly Item[]): Schema {
  const schema = inferSchema(items);
  if (schema.columns.some(({ type }) => type !== 'skip')) return schema;
  throw new InputError(
    'conflicting-settings',
    'items=tower reads the attributes of items: add an items file that has some',
  );
}

function chosen(plan: Plan, parts: Split): { recipe: string; settings: Settings; notes: string[] } {
  const recipe = plan.recipe ?? 'sasrec';
  if (plan.recipe !== null || plan.settings.items === 'tower') {
    return { recipe, settings: settingsFor(recipe, plan.settings), notes: [] };
  }
  const choice = chooseRecipe(logSize(parts), plan.settings);
  const settings = settingsFor(choice.recipe, { ...choice.settings, ...plan.settings });
  return { recipe: choice.recipe, settings, notes: choice.reasons };
}

/** Goes on with a training that was paused, or cut off by a reload. @throws InputError */
export async function prepareResume(id: string, onProgress: (share: number) => void): Promise<Prepared> {
  const files = await openModel(id);
  const run = await loadRun(files);
  if (!run)
    throw new InputError(
      'not-found',
      `${id}: was not trained in this browser, so that its log is not here to go on with`,
    );
  const config = await loadConfig(files);
  const { source: kept, reading, filter } = run;
  const source = kept.kind === 'shop' ? kept : ({ kind: 'file', ...(await keptSource(files, run)) } as const);
  const opened = await openSource(source, reading, onProgress);
  const dataset = prepare(opened.log, filterOf(filter));
  const plain = splitDataset(dataset, undefined, opened.log.source);
  const settings = checkSettings(config.hyperparameters as unknown as Settings);
  const { users, events } = config.schema;
  const encoder = users || events ? new SideFeatureEncoder({ users, events }) : null;
  const parts = encoder ? plain.withSide(new SideFeatures(encoder, dataset, opened.users)) : plain;
  const items = await loadItems(files);
  return { files, run, parts, settings, config, items, notes: [] };
}

/** Trains until it is done or the signal says to stop; leaves a folder that loads either way. */
export async function runTraining(p: Prepared, resume: boolean, signal: AbortSignal, tell: OnTrain): Promise<Outcome> {
  const { files, run, parts, settings, config } = p;
  const { plan } = run;
  const users = validationUsers(parts, settings, config.seed);
  if (users.length === 0) {
    throw new InputError(
      'too-little-data',
      `${config.data.source}: no user has three interactions, one each to train, to validate and to test on`,
      { hint: 'give longer histories' },
    );
  }
  const device = await openDevice();
  const baselines = baselineMetrics(parts, 'valid', config.seen, users);
  const records = await readMetrics(files);
  tell({
    kind: 'begun',
    model: files.where,
    device: device.name,
    about: `${config.recipe}, width ${settings.d}, ${settings.blocks} block${settings.blocks === 1 ? '' : 's'}, window ${settings.window}, batches of ${settings.budget.toLocaleString('en-US')} tokens`,
    baselines: baselines.metrics,
    users: baselines.users,
    notes: p.notes,
    earlier: resume ? earlier(records) : { losses: [], validations: [] },
  });
  await saveRun(files, { ...run, state: 'running' });
  const schema = settings.items === 'tower' ? config.schema.items : undefined;
  const spent = Number(records.at(-1)?.elapsedSeconds ?? 0);
  const left = plan.minutes === null ? undefined : Math.max(5, plan.minutes * 60 - spent);
  try {
    const result = await trainEncoderAndTransitions({
      device,
      files,
      parts,
      settings,
      config,
      seed: config.seed,
      features: schema && encodeItems(schema, p.items),
      similar: schema && similarity(schema, p.items),
      resume,
      epochs: plan.epochs ?? undefined,
      deadline: left === undefined ? undefined : performance.now() + 1000 * left,
      signal,
      includeSeen: config.seen === 'kept',
      onProgress: rarely(tell),
      onValidation: ({ step, metrics }) => tell({ kind: 'validation', step, metrics }),
      log: (text) => tell({ kind: 'note', text }),
    });
    const interrupted = result.reason === 'interrupted';
    await saveRun(files, { ...run, state: interrupted ? 'paused' : 'finished' });
    const figures = await figuresOf(files);
    await writeModelCard(files, config, {
      date: new Date(),
      step: result.step,
      epoch: result.epoch,
      elapsedSeconds: spent + result.seconds,
      split: 'valid',
      seen: config.seen,
      users: baselines.users,
      metrics: figures.metrics,
      baselines: { ...figures.parts, ...baselines.metrics },
    });
    const { reason, step, epoch, bestNdcg, seconds, tokens } = result;
    return { reason, step, epoch, bestNdcg, seconds, tokens, model: files.where, ...figures };
  } catch (error) {
    await saveRun(files, { ...run, state: 'paused' }).catch(() => {});
    throw error;
  } finally {
    trim(device);
  }
}

/** The validation figures of the blend where there is one, and of what it blends. */
async function figuresOf(files: FolderFiles): Promise<{ metrics: Metrics | null; parts: Record<string, Metrics> }> {
  const { weights, remembering } = await loadModel(files);
  const alone = weights.metrics as Metrics | null;
  const fitted = remembering?.blend.fitted;
  if (!fitted || !alone) return { metrics: alone, parts: {} };
  return { metrics: fitted.blend as Metrics, parts: { transformer: alone, memory: fitted.memory as Metrics } };
}

function earlier(records: readonly Record<string, unknown>[]) {
  const validations = records.map(
    ({ step, valid }): ValidationPoint => ({ step: Number(step), metrics: valid as Metrics }),
  );
  const losses = records.map(({ step, loss }): [number, number] => [Number(step), Number(loss)]);
  return { losses, validations };
}

/** Passes on what changes the phase, and of the rest what a chart can show. */
function rarely(tell: OnTrain): (progress: TrainProgress) => void {
  let last = 0;
  let phase = '';
  return (progress) => {
    const at = performance.now();
    if (at - last < TELL_EVERY && progress.phase === phase) return;
    last = at;
    phase = progress.phase;
    tell({ kind: 'progress', at, ...progress });
  };
}
