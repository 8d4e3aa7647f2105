/** Settings of the ranker (model/ranker/). */
import {
  badSetting,
  checkDeclared,
  checkHeadWidth,
  choice,
  integer,
  onOff,
  positive,
  rate,
  share,
  type Values,
} from './setting.ts';

export const RANKER = {
  ranker: onOff('off', 'train a second stage of cross-attention on top of the encoder', {
    requires: { on: { direction: 'causal' } },
  }),
  rankerLoss: choice(
    'softmax',
    ['bce', 'softmax'],
    'each candidate by itself, or those of a position against each other',
  ),
  rankerItems: choice(
    'attributes',
    ['attributes', 'ids'],
    'a candidate is tokens of its ID and attributes, or its ID alone',
  ),
  rankerMutual: onOff('off', 'states attend to candidates before candidates attend to states'),
  rankerStates: integer(32, 1, 1024, 'with rankerMutual=on: how many of the last states a position has for itself'),
  rankerEncoder: choice(
    'frozen',
    ['frozen', 'own'],
    "the encoder's states, or those of a copy trained with the ranker",
  ),
  rankerBlocks: integer(1, 1, 16, 'blocks of cross-attention'),
  rankerHeads: integer(0, 0, 64, 'their heads; 0: as many as make them 32 wide'),
  rankerCandidates: integer(100, 2, 128, 'candidates that the first stage retrieves and the second ranks'),
  rankerNegatives: integer(15, 1, 512, 'negatives of a training position'),
  rankerHard: share(1, 'share of them from the best candidates of the first stage'),
  rankerPopular: share(0.5, 'share of the others drawn by popularity, not uniformly'),
  rankerDropout: rate(0.2, 'dropout of the ranker'),
  rankerLearningRate: positive(1e-3, 1e38, 'reached after 50 steps'),
  rankerValidate: integer(200, 1, 1e6, 'steps between validations'),
  rankerPatience: integer(4, 1, 1e6, 'validations without a better NDCG@10 after which its training stops'),
};

export type RankerSettings = Values<typeof RANKER>;

/**
 * @param where the file that holds them, for messages; without it they are the caller's
 * @throws InputError for settings that make no ranker, one line that says which
 */
export function checkRanker(s: RankerSettings & { d: number; direction: string }, where?: string): void {
  const fail = (key: string, what: string): never => {
    throw badSetting(key, s[key as keyof RankerSettings], what, where);
  };
  checkDeclared(RANKER, s, fail);
  checkHeadWidth(s.d, headsOf(s), fail, 'rankerHeads');
}

/** Heads of the ranker's cross-attention: of width 32 where the width divides by it, unless the settings say otherwise. */
export function headsOf({ rankerHeads, d }: { rankerHeads: number; d: number }): number {
  if (rankerHeads > 0) return rankerHeads;
  return d % 32 === 0 ? d / 32 : 1;
}
