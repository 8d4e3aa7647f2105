/** Settings of the ranker (ranker.ts): keys `ranker…` beside those of the encoder. */
import { badSetting, checkRanges, integer, number, RATE, type Ranges, SHARE } from './setting-range.ts';

export interface RankerSettings {
  /** Whether a ranker is trained on top of the encoder, so that recommending has two stages. */
  ranker: 'on' | 'off';
  /** bce: each candidate by itself; softmax: the candidates of a position against each other. */
  rankerLoss: 'bce' | 'softmax';
  /** What a candidate is: its ID token and its attributes' tokens, where the items have any, or its ID token alone. */
  rankerItems: 'attributes' | 'ids';
  /** Whether states attend to candidates, too, before candidates attend to states. */
  rankerMutual: 'on' | 'off';
  /** With rankerMutual=on: how many of the last states a position has for itself. */
  rankerStates: number;
  /** Whose states: those of the encoder, or of a copy of it that is trained together with the ranker. */
  rankerEncoder: 'frozen' | 'own';
  /** Blocks of cross-attention. */
  rankerBlocks: number;
  /** Heads of its cross-attention; 0: as wide as those of the encoder, but 32 at most. */
  rankerHeads: number;
  /** k′: candidates that the first stage gives and the second ranks, at most 128. */
  rankerCandidates: number;
  /** Negatives of a training position. */
  rankerNegatives: number;
  /** The share of them that are other candidates of the first stage; the others are drawn from the whole catalogue … */
  rankerHard: number;
  /** … and this share of those by popularity, the rest uniformly. */
  rankerPopular: number;
  rankerDropout: number;
  rankerLearningRate: number;
  /** Steps between two validations. */
  rankerValidate: number;
  /** Validations without a better NDCG@10 after which its training stops. */
  rankerPatience: number;
}

export const RANKER: RankerSettings = {
  ranker: 'off',
  rankerLoss: 'softmax',
  rankerItems: 'attributes',
  rankerMutual: 'off',
  rankerStates: 32,
  rankerEncoder: 'frozen',
  rankerBlocks: 1,
  rankerHeads: 0,
  rankerCandidates: 100,
  rankerNegatives: 15,
  rankerHard: 1,
  rankerPopular: 0.5,
  rankerDropout: 0.2,
  rankerLearningRate: 1e-3,
  rankerValidate: 200,
  rankerPatience: 4,
};

const RANGES: Ranges<RankerSettings> = {
  rankerStates: integer(1, 1024),
  rankerBlocks: integer(1, 16),
  rankerHeads: integer(0, 64),
  rankerCandidates: integer(2, 128),
  rankerNegatives: integer(1, 512),
  rankerHard: SHARE,
  rankerPopular: SHARE,
  rankerDropout: RATE,
  rankerLearningRate: number(0, 1e38, { above: true }),
  rankerValidate: integer(1, 1e6),
  rankerPatience: integer(1, 1e6),
};

/**
 * @param where the file that holds them, for messages; without it they are the caller's
 * @throws InputError for settings that make no ranker, one line that says which
 */
export function checkRanker(s: RankerSettings & { d: number; direction: string }, where?: string): void {
  const fail = (key: keyof RankerSettings, what: string): never => {
    throw badSetting(key, s[key], what, where);
  };
  const oneOf = (key: keyof RankerSettings, a: string, b: string): void => {
    if (![a, b].includes(String(s[key]))) fail(key, `expected ${a} or ${b}`);
  };
  oneOf('ranker', 'on', 'off');
  oneOf('rankerLoss', 'bce', 'softmax');
  oneOf('rankerItems', 'attributes', 'ids');
  oneOf('rankerMutual', 'on', 'off');
  oneOf('rankerEncoder', 'frozen', 'own');
  checkRanges<RankerSettings>(s, RANGES, fail);
  const width = s.d / headsOf(s);
  if (!Number.isInteger(width) || width % 4 !== 0 || width > 128)
    fail('rankerHeads', `the width of a head, d/heads = ${width}, must be a multiple of 4, at most 128`);
  if (s.ranker === 'on' && s.direction !== 'causal')
    fail('ranker', 'needs an encoder that does not look ahead (direction=causal)');
}

/** Heads of the ranker's cross-attention: of width 32 where the width divides by it, unless the settings say otherwise. */
export function headsOf({ rankerHeads, d }: { rankerHeads: number; d: number }): number {
  if (rankerHeads > 0) return rankerHeads;
  return d % 32 === 0 ? d / 32 : 1;
}
