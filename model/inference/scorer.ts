/**
 * Histories in, ranks and top-k lists out. Histories are packed into batches (score-batch.ts); scores stay on the device,
 * only ranks and the k best leave it.
 */
import type { Tensor } from '../../engine/index.ts';
import type { SequenceModel } from '../encoders/sequence-model.ts';
import { Batcher, maxScores, roundUp } from './batcher.ts';
import { entriesOf, lengthOf } from './packing.ts';
import type { Scored, ScoreQuery, ScorerOptions } from './scored.ts';
import { ScoreBatch, type ScoreBatchSize } from './score-batch.ts';

/** Users of a batch where not even one user's scores of the whole catalog fit, so that the catalog is tiled, too. */
const USERS_OF_COLUMN_TILES = 16;

/** Users of a batch at most: a device of the host gains nothing from more, and others wait for it. */
const USERS = 256;
const USERS_ON_HOST = 16;

/** As many as the scores of the whole catalog have room for. */
const maxUsers = ({ device, items }: SequenceModel): number =>
  Math.min(device.gpu ? USERS : USERS_ON_HOST, Math.floor(maxScores(device) / items) || USERS_OF_COLUMN_TILES);

export class Scorer {
  private readonly model: SequenceModel;
  private readonly batcher: Batcher<ScoreQuery, ScoreBatchSize, ScoreBatch>;
  private readonly bias: Tensor | null;
  private readonly shift: Tensor | null;

  constructor(model: SequenceModel, { bias, shift, ...options }: ScorerOptions) {
    const { device, items, settings } = model;
    const { k } = options;
    if (!Number.isInteger(k) || k < 1 || k > 128) throw new Error(`scorer: expected k from 1 to 128, got ${k}`);
    if (shift && !model.comparesVectors) throw new Error('scorer: a shift requires a model that compares vectors');
    this.model = model;
    this.bias = bias ? device.empty([items], 'f32', 'score bias').keep() : null;
    if (bias) this.setBias(bias);
    this.shift = shift ? device.empty([settings.d], 'f32', 'score shift').keep() : null;
    if (shift) this.setShift(shift);
    const batchOptions = { ...options, k: Math.min(k, items), bias: this.bias, shift: this.shift };
    this.batcher = new Batcher({
      lengthOf: ({ history }) => lengthOf(model, history),
      maxQueries: maxUsers(model),
      sizeOf: (queries, maxTokens) => ({
        maxTokens,
        users: Math.min(roundUp(queries.length), maxUsers(model)),
        excluded: roundUp(
          queries.reduce((sum, { exclude }) => sum + (exclude?.length ?? 0), 0),
          2 * maxTokens,
        ),
        entries: entriesOf(model, queries),
      }),
      create: (size) => new ScoreBatch(model, size, batchOptions),
    });
  }

  /** Replaces the shift that the scorer was made with, for the queries to come. */
  setShift(shift: Float32Array): void {
    if (!this.shift) throw new Error('scorer: made without a shift');
    this.model.device.write(this.shift, shift);
  }

  /** Replaces the bias that the scorer was made with, for the queries to come. */
  setBias(bias: Float32Array): void {
    if (!this.bias) throw new Error('scorer: made without a bias');
    if (bias.length !== this.model.items)
      throw new Error(`scorer: expected a bias of ${this.model.items} items, got ${bias.length}`);
    this.model.device.write(this.bias, bias);
  }

  /** Scores each query; the answers are in the queries' order. @param onProgress awaited after each batch; it may throw to stop */
  async score(queries: readonly ScoreQuery[], onProgress?: (done: number) => void | Promise<void>): Promise<Scored[]> {
    const answers: Scored[] = [];
    await this.model.refresh();
    for (const { batch, queries: group } of this.batcher.groups(queries)) {
      for (const answer of await batch.score(group)) answers.push(answer);
      await onProgress?.(answers.length);
    }
    return answers;
  }

  dispose(): void {
    this.batcher.dispose();
    this.bias?.dispose();
    this.shift?.dispose();
  }
}
