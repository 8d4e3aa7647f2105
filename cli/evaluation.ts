/** What `evaluate` and `compare` share: the log under a protocol that a model may be judged by, and its metrics. */
import { alignItems } from '../data/splits/align.ts';
import { ColdSplit } from '../data/splits/cold.ts';
import type { Dataset } from '../data/dataset.ts';
import { InputError } from '../data/errors.ts';
import {
  LEAVE_ONE_OUT,
  type Protocol,
  protocolFlag,
  type RequestTime,
  sameProtocol,
  storedProtocol,
} from '../data/splits/protocol.ts';
import { type Similarity, similarity } from '../data/features/similarity.ts';
import { type Split, splitDataset } from '../data/splits/split.ts';
import { requiredHistory, requireUnseen } from '../data/splits/checks.ts';
import type { Device } from '../engine/index.ts';
import { type LoadedModel, loadModel } from '../model/storage/load-model.ts';
import type { SequenceModel } from '../model/encoders/sequence-model.ts';
import { loadTraining, TRAINING } from '../model/storage/training-record.ts';
import { openPath } from '../recommend/sources/sources.node.ts';
import { RankingModel, settingsOf } from '../model/inference/ranking-model.ts';
import { validatedAt } from '../model/recipes/derived.ts';
import { evaluateCold } from '../train/evaluation/cold-items.ts';
import type { TrainingFacts } from '../train/evaluation/collector.ts';
import { attributeDistance, vectorDistance } from '../train/evaluation/diversity.ts';
import { type Evaluation, type EvaluateOptions, evaluate, usersWithTarget } from '../train/evaluation/evaluate.ts';
import type { Distance } from '../train/evaluation/list-metrics.ts';
import { splitPrior } from '../train/evaluation/split-prior.ts';
import { bootstrap } from '../train/evaluation/statistics.ts';
import { HEADLINES } from '../train/evaluation/collector.ts';
import type { Output } from './common.ts';
import { examples } from '../train/side-features.ts';
import { coldSplitOf } from '../train/resume-plan.ts';
import { type ColumnFlags, columnsOf, openDataset } from './input/data.ts';
import { contextOf, loadSideFeatures } from './input/side-features.ts';
import { createProgress, formatCount } from './output/ui.ts';

export interface LogFlags extends ColumnFlags {
  data: string;
  users?: string;
  maxBadRows: number;
  protocol?: Protocol;
  split: 'valid' | 'test';
  includeSeen?: boolean;
  progress?: boolean;
}

/** A model's folder, read; nothing is on a device yet. */
export interface Judged {
  dir: string;
  loaded: LoadedModel;
}

export async function openJudged(dir: string, out: Output): Promise<Judged> {
  const loaded = await loadModel(await openPath(dir));
  settingsOf(loaded); // refuses a model of ratings
  if (loaded.weights.note) out.warn(loaded.weights.note);
  return { dir, loaded };
}

/** The log, filtered as that of the model's training was, with the columns that it and `others` read. */
export async function openLogOf(
  { loaded }: Judged,
  flags: LogFlags,
  out: Output,
  others: readonly Judged[] = [],
): Promise<Dataset> {
  const { data, schema } = loaded.config;
  const context = new Set([loaded, ...others.map((other) => other.loaded)].flatMap(({ config }) => contextOf(config)));
  const reading = { columns: columnsOf(flags, schema.columns), context: [...context], maxBadRows: flags.maxBadRows };
  const filter = { minInteractions: data.minInteractions, minRating: data.minRating ?? undefined };
  return openDataset(flags.data, reading, filter, out, flags.progress);
}

/**
 * The log in the model's item rows, under the protocol asked for (the model's own by default).
 *
 * @throws InputError where no item is known, no user has a target, or targets stood in the model's training
 */
export async function splitFor(
  { dir, loaded }: Judged,
  dataset: Dataset,
  flags: LogFlags,
  out: Output,
): Promise<Split> {
  const own = protocolOf({ dir, loaded });
  const final = own.name === 'final';
  const asked = protocolFor(final ? LEAVE_ONE_OUT : own, flags.protocol);
  const cold = own.name === 'cold-items' || asked.name === 'cold-items';
  if (cold && own.name !== asked.name) {
    throw new InputError(
      'trained-on',
      `${dir}: trained under ${own.name}; a model is evaluated with --protocol cold-items if it was trained with it, and with nothing else then`,
    );
  }
  const ids = loaded.items.map((item) => item.id);
  const aligned = alignItems(dataset, ids);
  if (aligned.unknownItems.length === dataset.itemIds.length) {
    throw new InputError(
      'mismatched-data',
      `${flags.data}: none of its items is known to the model in ${dir}: ${examples(aligned.unknownItems)} here, ${examples(ids)} there`,
    );
  }
  if (aligned.unknownItems.length > 0) {
    out.warn(
      `${formatCount(aligned.unknownItems.length)} items of ${flags.data} are unknown to the model and left out with their ` +
        `${formatCount(aligned.unknownEvents)} interactions: ${examples(aligned.unknownItems)}`,
    );
  }
  const split = cold
    ? coldSplitOf(aligned.dataset, own, loaded.items)
    : splitDataset(aligned.dataset, asked, flags.data);
  // What a model on all events was trained on, its record alone tells: see requireHeldOut.
  if (!final && !sameProtocol(own, split.protocol)) {
    requireUnseen(splitDataset(aligned.dataset, own, flags.data), split, flags.split, dir);
  }
  requireTargets(split, flags);
  return loadSideFeatures(loaded.config, split, flags.users, out);
}

/** Item, user and count alone know an event then, and the count starts anew where earlier events are gone. */
const UNTIMED =
  '; a newer log without its oldest events, whose users repeat items, is told apart by times alone: add a column of times to both logs, or keep the oldest events';

/**
 * Refuses to evaluate a model on what it was trained on, whatever log that is in. Without the record of its training,
 * says that this cannot be checked. Users who have gone on since, and whose targets once trained, are left out.
 *
 * @throws InputError, one line that says what overlaps
 */
export async function requireHeldOut(
  { dir, loaded }: Judged,
  split: Split,
  flags: LogFlags,
  out: Output,
): Promise<void> {
  const record = await loadTraining(await openPath(dir));
  if (!record && loaded.config.protocol === 'final') {
    throw new InputError(
      'trained-on',
      `${dir}: trained on all events of its log, and holds no ${TRAINING} that tells which`,
      { hint: 'evaluate the model that it was made like' },
    );
  }
  if (!record) {
    out.warn(
      `${dir}: holds no ${TRAINING} (it is packed, or an earlier version made it): whether it was trained on these ${flags.split} targets cannot be checked`,
    );
    return;
  }
  const { targets, known, users, example, untimed, grown } = record.overlap(split, flags.split);
  if (known > 0) {
    throw new InputError(
      'trained-on',
      `${flags.data}: ${formatCount(known)} of its ${formatCount(targets)} ${flags.split} targets (of ${formatCount(users)} users, such as ${JSON.stringify(example)}) are in what ${dir} was trained or validated on`,
      {
        hint: `evaluate it on the log of its training or a newer one, or train a model on this log${untimed ? UNTIMED : ''}`,
      },
    );
  }
  for (const u of grown) split.leaveOut(u, flags.split);
  if (grown.length > 0) {
    out.warn(
      `${formatCount(grown.length)} users are left out: ${dir} was trained on events that are their ${flags.split} targets now`,
    );
    requireTargets(split, flags);
  }
}

/**
 * What `--request-time known` requires: times, and a protocol that predicts what comes next. Says which models read none.
 * @throws InputError
 */
export function requireTimes(
  models: readonly Judged[],
  split: Split,
  { requestTime, data }: { requestTime: RequestTime; data: string },
  out: Output,
): void {
  if (requestTime === 'unknown') return;
  const refuse = (why: string) =>
    new InputError('conflicting-settings', `--request-time known: ${why}`, { hint: 'leave it out' });
  if (split instanceof ColdSplit) throw refuse('under cold-items histories hold what came after the targets, too');
  if (!split.dataset.times) throw refuse(`${data} has no times`);
  for (const { dir, loaded } of models)
    if (validatedAt(settingsOf(loaded)) === 'unknown')
      out.note(`${dir} does not read when it is asked: --request-time changes nothing for it`);
}

function requireTargets(split: Split, flags: LogFlags): void {
  if (usersWithTarget(split, flags.split).length > 0) return;
  throw new InputError(
    'too-little-data',
    `${flags.data}: no user has ${requiredHistory(split.protocol)}, which ${protocolFlag(split.protocol)} needs`,
  );
}

/** The protocol that a model was trained under. */
export function protocolOf({ dir, loaded }: Judged): Protocol {
  return storedProtocol(loaded.config.protocol, loaded.config.protocolParameters, dir);
}

/** A protocol named without parameters is that of the model where the names agree. */
function protocolFor(own: Protocol, asked: Protocol | undefined): Protocol {
  if (!asked) return own;
  if (asked.name !== own.name || protocolFlag(asked) !== asked.name) return asked;
  return own;
}

/** How the diversity of lists is measured, and by what. */
export interface Kinship {
  by: 'attributes' | 'vectors';
  distance: Distance;
}

/** By the attributes of items.json where there are any, else by the model's item vectors; null where it has none. */
export function kinshipOf({ loaded }: Judged): Kinship | null {
  const attributes = attributeDistance(loaded.items.map((item) => item.attributes));
  if (attributes) return { by: 'attributes', distance: attributes };
  const table = loaded.tensors.get('items.weight');
  if (table?.shape.length !== 2) return null;
  return { by: 'vectors', distance: vectorDistance(table.data, table.shape[1]) };
}

/** Ranks the targets of all users by a model on a device, under a progress bar. */
export type Rank = (options: EvaluateOptions & { facts: TrainingFacts }) => Promise<Evaluation>;

/** Loads the model onto the device for as long as `work` ranks by it. */
export async function withRanking<T>(
  device: Device,
  { loaded }: Judged,
  split: Split,
  progress: boolean | undefined,
  work: (rank: Rank, model: SequenceModel) => Promise<T>,
): Promise<T> {
  const model = await RankingModel.load(device, loaded, split instanceof ColdSplit ? 'none' : 'any');
  const { encoder, blend, second } = model;
  const similar = split instanceof ColdSplit ? similarityOf(loaded) : null;
  try {
    return await work(async (options) => {
      const bar = createProgress({ total: split.users, force: progress });
      const onProgress = (done: number, total: number): void => {
        bar.setTotal(total);
        bar.update(done, { phase: 'ranking' });
      };
      try {
        if (split instanceof ColdSplit && similar) {
          const attributes = loaded.config.attributeMemory ?? null;
          return await evaluateCold(encoder, split, { ...options, similar, attributes, onProgress });
        }
        const prior = splitPrior(loaded, split, options.split);
        return await evaluate(encoder, split, { ...options, blend, second, prior, onProgress });
      } finally {
        bar.stop();
      }
    }, encoder);
  } finally {
    model.dispose();
  }
}

/** Ranks the targets of all users by the model once. */
export function rankByModel(
  device: Device,
  judged: Judged,
  split: Split,
  options: EvaluateOptions & { facts: TrainingFacts },
  progress?: boolean,
): Promise<Evaluation> {
  return withRanking(device, judged, split, progress, (rank) => rank(options));
}

/** How alike a model's items are by their attributes. @throws InputError where it has no schema of them */
export function similarityOf({ config, items }: LoadedModel): Similarity {
  const schema = config.schema.items;
  if (!schema)
    throw new InputError('unsupported', 'the model knows no attributes of its items', {
      hint: 'train it with --items PATH',
    });
  return similarity(schema, items);
}

/** 95 % bootstrap limits of the headline metrics over users. */
export function intervalsOf({ perUser }: Evaluation, seed = 1) {
  const limits = HEADLINES.map((name) => {
    const { low, high } = bootstrap(perUser[name], seed);
    return [name, [low, high]] as const;
  });
  return { level: 0.95, method: 'bootstrap', seed, ...Object.fromEntries(limits) } as {
    level: number;
    method: string;
    seed: number;
  } & Record<(typeof HEADLINES)[number], readonly [number, number]>;
}
