/** What is scored, how, and what comes of it. */
import type { BlendWeights, DeviceTransitions } from '../transitions/transitions.ts';
import type { History } from './query.ts';

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
