/**
 * A whole training: the encoder, with its memory, and then the ranker on top of it where the settings ask for one. Or the
 * ranker alone, on top of a model that is there and stays as it is.
 */
import { ColdSplit } from '../../data/splits/cold.ts';
import { InputError, option } from '../../data/errors.ts';
import { encodeItems } from '../../data/features/encoder.ts';
import { type ItemTokens, itemTokens } from '../../data/features/item-tokens.ts';
import { inferSchema, type Schema } from '../../data/features/schema.ts';
import { type Item, loadModel, type Tensors } from '../../model/storage/folder.ts';
import { DeviceTransitions } from '../../model/transitions/transitions.ts';
import { SequenceModel, toArrays } from '../../model/encoders/sequence-model.ts';
import { recordTraining } from '../../model/storage/training-record.ts';
import { trainRanker } from './ranker.ts';
import { usersWithTarget } from '../evaluation/evaluate.ts';
import type { TrainOptions, TrainResult } from '../loop/trainer.ts';
import { trainEncoderAndTransitions } from './transitions-and-encoder.ts';

/** The encoder's share of the time, where both are trained against a deadline. */
const ENCODER = 0.7;
/** Users that the ranker is validated on: more than the encoder's, since what it gains is small beside chance. */
const MOST_USERS = 8192;
/** Distinct attribute tokens of the catalogue, which each step makes anew. */
const MOST_TOKENS = 65536;

export interface WholeOptions extends TrainOptions {
  /** Train the ranker alone: the encoder of the folder stays as it is. */
  rankerOnly?: boolean;
}

/** As `trainEncoderAndTransitions`, and then the ranker with `settings.ranker` on. */
export async function trainWhole(options: WholeOptions): Promise<TrainResult> {
  const { files, parts, settings, rankerOnly } = options;
  const ranked = rankerOnly || settings.ranker === 'on';
  if (ranked && parts instanceof ColdSplit) {
    throw new InputError('conflicting-settings', 'this protocol ranks by the score alone', {
      setting: 'protocol',
      value: 'cold-items',
      hint: 'leave out the ranker (ranker=off)',
    });
  }
  if (!ranked) return trainEncoderAndTransitions(options);
  const begun = performance.now();
  const deadline = options.deadline && begun + ENCODER * (options.deadline - begun);
  const result = rankerOnly ? await standing(options) : await trainEncoderAndTransitions({ ...options, deadline });
  if (result.reason === 'interrupted') return result;
  if (result.reason === 'finished before' && (await loadModel(files)).ranking) return result;
  await rank(options, result);
  const seconds = (performance.now() - begun) / 1000;
  return { ...result, seconds, reason: options.signal?.aborted ? 'interrupted' : result.reason };
}

/** A model that is there, as if its training had just ended. */
async function standing({ files, parts, seed }: WholeOptions): Promise<TrainResult> {
  await recordTraining(files, parts, seed, true);
  const { weights } = await loadModel(files);
  if (weights.from === 'checkpoint') {
    throw new InputError(
      'unfinished-model',
      `${files.where}: not validated yet; a ranker needs a model whose training has ended`,
    );
  }
  const bestNdcg = weights.metrics?.['NDCG@10'] ?? null;
  const { step, epoch } = weights;
  const none = { losses: [], validations: [], seconds: 0, tokens: 0 };
  return { reason: 'ranker', step, epoch: Math.floor(epoch), bestNdcg, bestStep: step, ...none };
}

async function rank(options: WholeOptions, result: TrainResult): Promise<void> {
  const { device, files, parts, settings, seed, deadline, signal, includeSeen, log } = options;
  const { tensors, remembering, weights, items, config } = await loadModel(files);
  const model = SequenceModel.load(device, settings, parts.items, tensors, options.features);
  const memory = remembering && new DeviceTransitions(device, remembering.memory);
  try {
    await trainRanker({
      device,
      files,
      parts,
      settings,
      model,
      seed,
      deadline,
      signal,
      includeSeen,
      log,
      table: await model.itemTable(),
      attributes: attributesOf(options, items.slice(0, parts.items), config.schema.items ?? null),
      own: settings.rankerEncoder === 'own' ? copyOf(options, tensors) : null,
      blend: remembering && memory && { transitions: memory, weights: remembering.blend },
      users: usersWithTarget(parts, 'valid').slice(0, MOST_USERS),
      encoderStep: weights.step,
      onProgress: ({ step, loss, best, fraction }) =>
        options.onProgress?.({
          phase: 'ranking',
          step,
          epoch: result.epoch,
          steps: 0,
          fraction,
          loss,
          bestNdcg: best,
          tokensPerSecond: 0,
          secondsLeft: deadline === undefined ? null : (deadline - performance.now()) / 1000,
        }),
    });
  } finally {
    memory?.dispose();
    model.dispose();
  }
}

/** The attributes that the ranker reads: those of the item tower where there is one, else what the items' columns say. */
function attributesOf(
  { settings, log }: WholeOptions,
  items: readonly Item[],
  given: Schema | null,
): { schema: Schema; tokens: ItemTokens } | null {
  if (settings.rankerItems === 'ids') return null;
  const schema = given ?? inferSchema(items);
  const tokens = itemTokens(encodeItems(schema, items));
  const distinct = tokens.bags.starts.length - 1;
  if (distinct > 0 && distinct <= MOST_TOKENS) return { schema, tokens };
  const why =
    distinct === 0
      ? `the items have no attributes (${option('items', 'FILE')})`
      : `${distinct} distinct attributes are too many`;
  log?.(`ranker: ${why}; candidates are their IDs alone`);
  return null;
}

/** The encoder once more, to be trained. */
function copyOf({ device, settings, parts, features, seed }: WholeOptions, tensors: Tensors): SequenceModel {
  const side = parts.side?.encoder.rows;
  const own = SequenceModel.create(device, settings, parts.items, seed, { features, side });
  own.parameters.load('params', toArrays(tensors));
  return own;
}
