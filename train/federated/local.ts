/** A client's own training: a few steps of SGD on one history, from the weights that all share. */
import type { Batch } from '../../data/batching/batch.ts';
import { planEpoch } from '../../data/batching/batches.ts';
import type { Dataset } from '../../data/dataset.ts';
import { InputError, option } from '../../data/errors.ts';
import { atOnce } from '../../data/pieces.ts';
import { FINAL } from '../../data/splits/protocol.ts';
import { type Split, splitDataset } from '../../data/splits/split.ts';
import { type Device, type Program, SGD } from '../../engine/index.ts';
import { SequenceModel } from '../../model/encoders/sequence-model.ts';
import { LOSSES } from '../../model/heads/losses/index.ts';
import type { History } from '../../model/inference/query.ts';
import { windowsOf } from '../../model/recipes/derived.ts';
import type { Settings } from '../../model/recipes/settings.ts';
import type { ModelConfig } from '../../model/storage/config.ts';
import { Feed, needsOf } from '../loop/feed.ts';
import { Negatives } from '../loop/negatives.ts';
import type { ParameterShapes } from './aggregate.ts';
import { changeBetween, type WeightValues } from './clip.ts';

export interface LocalOptions {
  /** Steps of SGD, and their learning rate. */
  steps: number;
  rate: number;
  /** Of windows, masks and dropout. */
  seed: number;
}

/** What a client's training has come to. */
export interface LocalChange {
  /** local − shared weights; every row is there. */
  change: WeightValues;
  /** Of the last step. */
  loss: number;
}

/** Fewest tokens of a batch. */
const LEAST_TOKENS = 64;

/** A step that is recorded for batches of one size. */
interface LocalStep {
  feed: Feed;
  program: Program<Record<string, never>>;
}

/** @throws InputError for a model whose training needs more than a history of item IDs */
export function requireFederated(settings: Settings, { task, schema }: Pick<ModelConfig, 'task' | 'schema'>): void {
  const found =
    task !== undefined
      ? `of ${task}`
      : settings.items !== 'ids'
        ? `with ${option('settings.items', settings.items)}`
        : settings.decoder > 0
          ? `with ${option('settings.decoder', settings.decoder)}`
          : LOSSES[settings.loss].sampled && settings.sampler === 'popularity'
            ? `with ${option('settings.sampler', settings.sampler)}, whose counts no client has`
            : schema.users || schema.events || settings.requestTime === 'on'
              ? 'that reads side features'
              : null;
  if (found === null) return;
  throw new InputError('unsupported', `federated rounds train models of item IDs alone, not one ${found}`, {
    hint: 'train one without it',
  });
}

export class LocalTrainer {
  readonly shapes: ParameterShapes;
  private readonly device: Device;
  private readonly model: SequenceModel;
  private readonly optimizer: SGD;
  /** By tokens of a batch. */
  private readonly recorded = new Map<number, LocalStep>();

  /** @param items size of the catalog */
  constructor(device: Device, settings: Settings, items: number) {
    this.device = device;
    // The gradient of the item table is dense, as an update is.
    this.model = SequenceModel.create(device, settings, items, 0);
    const { parameters } = this.model;
    this.shapes = new Map(parameters.names.map((name) => [name, parameters.shapeOf(name)]));
    this.optimizer = new SGD(parameters, { clip: 0 });
  }

  /**
   * Trains on one history from the shared weights. The same history, weights and options give the same change on one device.
   * @throws InputError for fewer than two events
   */
  async train(shared: ReadonlyMap<string, Float32Array>, own: History, options: LocalOptions): Promise<LocalChange> {
    const { steps, rate, seed } = options;
    const { parameters } = this.model;
    const split = splitOf(own, this.model.items);
    const tokens = this.tokensFor(split);
    const { feed, program } = await this.stepOf(tokens, split);
    parameters.load('params', shared);
    this.model.touch();
    let step = 0;
    for (const { batch, epoch, number } of batchesOf(split, this.model.settings, tokens, seed)) {
      step++;
      feed.stage(batch, { seed, epoch, batch: number });
      feed.upload();
      this.optimizer.prepare({ seed, step, learningRate: rate, dropout: true });
      program.run();
      await program.pace();
      if (step === steps) break;
    }
    await program.settle();
    const { loss } = await this.optimizer.report();
    return { change: changeBetween(await parameters.read(), shared), loss };
  }

  /** Tokens of a batch: a power of two that holds the history, or those of the settings. */
  private tokensFor(split: Split): number {
    const { budget, window, negativeGroup, loss } = this.model.settings;
    let tokens = LOSSES[loss].sampled && negativeGroup > 0 ? negativeGroup : LEAST_TOKENS;
    const needed = Math.max(window, split.trainLength(0));
    while (tokens < needed) tokens *= 2;
    return Math.min(budget, tokens);
  }

  private async stepOf(tokens: number, split: Split): Promise<LocalStep> {
    const found = this.recorded.get(tokens);
    if (found) return found;
    const { device, model, optimizer } = this;
    const settings = { ...model.settings, budget: tokens };
    const counts = new Uint32Array(split.items).fill(1);
    const negatives = LOSSES[settings.loss].sampled ? new Negatives(device, settings, counts) : null;
    const feed = new Feed(device, tokens, needsOf(settings), negatives);
    const program = device.program('local step', () => {
      const loss = model.loss(feed.tensors);
      loss.backward();
      optimizer.step(loss);
      return {};
    });
    const made = { feed, program };
    this.recorded.set(tokens, made);
    return made;
  }

  dispose(): void {
    for (const { feed, program } of this.recorded.values()) {
      program.dispose();
      feed.dispose();
    }
    this.optimizer.dispose();
    this.model.dispose();
  }
}

/** The batches of a history, epoch after epoch. */
function* batchesOf(
  split: Split,
  settings: Settings,
  maxTokens: number,
  seed: number,
): Generator<{ batch: Batch; epoch: number; number: number }, void, undefined> {
  for (let epoch = 0; ; epoch++) {
    let number = 0;
    const planned = atOnce(planEpoch(split, { ...windowsOf(settings), maxTokens, seed, epoch }));
    for (const batch of planned.batches()) yield { batch, epoch, number: number++ };
  }
}

/** One history as a log of which everything trains. */
function splitOf({ history, times }: History, items: number): Split {
  const { length } = history;
  if (length < 2)
    throw new InputError(
      'too-little-data',
      `a client needs two events of known items at least, one to predict the other; got ${length}`,
    );
  const dataset: Dataset = {
    userIds: ['own'],
    itemIds: Array.from({ length: items }, (_, row) => String(row)),
    offsets: Uint32Array.of(0, length),
    items: history,
    ratings: null,
    times: times?.subarray(0, length) ?? null,
    clock: null,
    report: {
      rows: length,
      removedByRating: 0,
      removedInteractions: 0,
      removedUsers: 0,
      removedItems: 0,
      users: 1,
      items,
      interactions: length,
      notes: [],
      lines: [],
    },
  };
  return splitDataset(dataset, FINAL);
}
