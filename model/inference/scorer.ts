/**
 * Histories in, ranks and top-k lists out. Histories are packed into batches (score-batch.ts); scores stay on the device,
 * only ranks and the k best leave it.
 */
import type { Tensor } from '../../engine/index.ts';
import type { SequenceModel } from '../encoders/sequence-model.ts';
import type { BlendWeights, DeviceTransitions } from '../transitions/transitions.ts';
import { Batcher, maxScores, roundUp } from './batcher.ts';
import { entriesOf, lengthOf } from './packing.ts';
import type { History } from './query.ts';
import { ScoreBatch, type ScoreBatchSize } from './score-batch.ts';

export interface ScoreQuery extends History {
  /** Item row whose rank is wanted. */
  target?: number;
  /** Item rows that are no candidates. Pass the history to exclude seen items. */
  exclude?: Uint32Array;
  /** With `queryBias`: [V] added to this query's scores. */
  bias?: Float32Array;
}

export interface Scored {
  /** 1 is best, ties count against the target; 0xffffffff where there is no target or it is excluded. */
  rank: number;
  /** The k best item rows, best first; fewer where the candidates run out. */
  items: Uint32Array;
  scores: Float32Array;
  /** With `components`: the target's rank by the transformer alone and by the item transitions alone. */
  components?: { transformer: number; transitions: number };
  /** With `trials`: the target's rank under each of them. */
  trials?: number[];
  /** With `userVectors`: the user's vector [D], whose products with the item vectors are the transformer's scores. */
  userVector?: Float32Array;
  /** With `scoresFrom`: the score of every item from that row on, excluded ones too. */
  allScores?: Float32Array;
  /** With two stages: the target's rank and the list by the first alone, and by the ranker alone among its candidates. */
  stages?: Record<'retrieval' | 'ranker', { rank: number; items: Uint32Array }>;
  /** With two stages: P(interaction) of the items that the ranker saw, in the list's order. */
  probabilities?: Float32Array;
}

export interface ScorerOptions {
  /** Length of the lists, 1 to 128. */
  k: number;
  /** Item transitions on the device and their weights; without them the transformer scores alone. Not owned. */
  blend?: { transitions: DeviceTransitions; weights: BlendWeights } | null;
  /** Rank by each component of the blend, too. */
  components?: boolean;
  /** Rank with other weights of the blend, too. */
  trials?: readonly BlendWeights[];
  /**
   * [V] added to every user's scores: 0, a bonus or a penalty, or {@link EXCLUDED} for an item that is no candidate. Each
   * component is ranked with it, too. `setBias` replaces it.
   */
  bias?: Float32Array;
  /** Every query brings a bias of its own, too. The scores of the whole catalog must fit in one tile. */
  queryBias?: boolean;
  /** Return the users' vectors, too. */
  userVectors?: boolean;
  /** [D] added to every user's vector, as a personal adaptation is (personalize.ts). `setShift` replaces it. */
  shift?: Float32Array;
  /**
   * Return the scores of all items from this row on, too: the transformer's, or those of the blend where there is one (from
   * row 0 only), in both cases without bias. The scores of the whole catalog must fit in one tile.
   */
  scoresFrom?: number;
}

/** The bias of an item that is no candidate: its score is masked, whatever it was. */
export const EXCLUDED = -3e38;

/** Users of a batch where not even one user's scores of the whole catalog fit, so that the catalog is tiled, too. */
const USERS_OF_COLUMN_TILES = 16;

/** Users of a batch at most: as many as the scores of the whole catalog have room for. */
const maxUsers = ({ device, items }: SequenceModel): number =>
  Math.min(256, Math.floor(maxScores(device) / items) || USERS_OF_COLUMN_TILES);

/** Users of a batch of so many tokens: one in 16 tokens. */
const usersOf = (maxTokens: number, model: SequenceModel): number =>
  Math.max(1, Math.min(maxTokens / 16, maxUsers(model)));

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
      sizeOf: (queries, tokens) => {
        let maxTokens = tokens;
        while (usersOf(maxTokens, model) < queries.length) maxTokens *= 2;
        const excluded = queries.reduce((sum, { exclude }) => sum + (exclude?.length ?? 0), 0);
        const users = usersOf(maxTokens, model);
        return { maxTokens, users, excluded: roundUp(excluded, 2 * maxTokens), entries: entriesOf(model, queries) };
      },
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

  /** Scores each query; the answers are in the queries' order. */
  async score(queries: readonly ScoreQuery[], onProgress?: (done: number) => void): Promise<Scored[]> {
    const answers: Scored[] = [];
    await this.model.refresh();
    for (const { batch, queries: group } of this.batcher.groups(queries)) {
      for (const answer of await batch.score(group)) answers.push(answer);
      onProgress?.(answers.length);
    }
    return answers;
  }

  dispose(): void {
    this.batcher.dispose();
    this.bias?.dispose();
    this.shift?.dispose();
  }
}
