/** Settings of the loss, its negatives, the schedule and the augmentation: what training needs beside the encoder. */
import { option } from '../../data/errors.ts';
import { badSetting, checkRanges, integer, number, RATE, type Ranges, SHARE } from './setting-range.ts';

export interface TrainingSettings {
  /**
   * softmax: cross-entropy over the whole catalogue. The others compare the target with `negatives` sampled items:
   * sampled-softmax; bce (SASRec's original with negatives=1, negativeGroup=1); gbce, which calibrates the target's
   * probability (gSASRec; Petrov & Macdonald, RecSys 2023); bpr (Rendle et al., UAI 2009).
   */
  loss: 'softmax' | 'sampled-softmax' | 'bce' | 'gbce' | 'bpr';
  /** Negatives N of a position. */
  negatives: number;
  /** Consecutive positions that share a list of negatives: 1 is a list each, 0 one list for the whole batch. */
  negativeGroup: number;
  /** Where negatives come from: all items alike, by their count in training, or the targets of the batch. */
  sampler: 'uniform' | 'popularity' | 'in-batch';
  /** sampled-softmax: whether scores of negatives are less log(N · probability), so that it estimates the full softmax. */
  logq: 'on' | 'off';
  /** gbce: t, from 0 (bce) to 1 (fully calibrated). */
  calibration: number;
  /** softmax: the share of the target's probability that is spread over all items. */
  labelSmoothing: number;
  /** How a state and an item compare: their dot product or their cosine, in training and in scoring. */
  similarity: 'dot' | 'cosine';
  /**
   * How scores come from states and items: their similarity, or a mixture of the cosines of several component embeddings
   * (mixture of logits; Zhai et al., KDD 2023). mol needs a loss over samples, and similarity=cosine.
   */
  head: 'dot' | 'mol';
  /** mol: component embeddings of a state and of an item (a multiple of 4), 64 pairs at most … */
  molUser: number;
  molItem: number;
  /** … their width, and the hidden width of the gate that reads their cosines: multiples of 4. */
  molWidth: number;
  molGate: number;
  /** What similarities are divided by; 0 is 1 for dot and 0.05 for cosine. */
  temperature: number;
  /** The learning rate after the warm-up: constant, or a half cosine down to a hundredth at the horizon. */
  schedule: 'constant' | 'cosine';
  /** Steps over which the learning rate rises. */
  warmup: number;
  /** The cosine's horizon in steps; 0 takes it from `epochs`. */
  scheduleSteps: number;
  /** Decoupled weight decay of the embedding tables. */
  embeddingDecay: number;
  /** Decay of the moving average of the weights, which is what is validated and saved; 0 is none. */
  ema: number;
  /** Batches whose gradients are added up for a step. */
  accumulate: number;
  /** Probabilities that a window is cropped, loses items, has a part reordered (CL4SRec; Xie et al., ICDE 2022) … */
  augmentCrop: number;
  augmentMask: number;
  augmentReorder: number;
  /** … and the share of the window that is kept, lost, reordered. */
  cropRatio: number;
  maskRatio: number;
  reorderRatio: number;
}

export const TRAINING: TrainingSettings = {
  loss: 'softmax',
  negatives: 256,
  negativeGroup: 128,
  sampler: 'uniform',
  logq: 'on',
  calibration: 0.75,
  labelSmoothing: 0,
  similarity: 'dot',
  head: 'dot',
  molUser: 4,
  molItem: 4,
  molWidth: 32,
  molGate: 16,
  temperature: 0,
  schedule: 'constant',
  warmup: 0,
  scheduleSteps: 0,
  embeddingDecay: 0,
  ema: 0,
  accumulate: 1,
  augmentCrop: 0,
  augmentMask: 0,
  augmentReorder: 0,
  cropRatio: 0.6,
  maskRatio: 0.3,
  reorderRatio: 0.6,
};

const CHOICES: Partial<Record<keyof TrainingSettings, readonly string[]>> = {
  loss: ['softmax', 'sampled-softmax', 'bce', 'gbce', 'bpr'],
  sampler: ['uniform', 'popularity', 'in-batch'],
  logq: ['on', 'off'],
  similarity: ['dot', 'cosine'],
  head: ['dot', 'mol'],
  schedule: ['constant', 'cosine'],
};
const RANGES: Ranges<TrainingSettings> = {
  negatives: integer(1, 2 ** 21),
  negativeGroup: integer(0, 65_536),
  calibration: SHARE,
  labelSmoothing: RATE,
  molUser: integer(1, 64),
  molItem: integer(1, 64),
  molWidth: integer(1, 1024),
  molGate: integer(1, 64),
  temperature: number(0, 1e6),
  warmup: integer(0, 1e9),
  scheduleSteps: integer(0, 1e9),
  embeddingDecay: number(0, 1e6),
  ema: RATE,
  accumulate: integer(1, 65_536),
  augmentCrop: SHARE,
  augmentMask: SHARE,
  augmentReorder: SHARE,
  cropRatio: number(0, 1, { above: true }),
  maskRatio: RATE,
  reorderRatio: SHARE,
};

/**
 * @param budget tokens of a batch
 * @param where the file that holds them, for messages; without it they are the caller's
 * @throws InputError for settings that make no training, with one line that says which
 */
export function checkTraining(s: TrainingSettings, budget: number, where?: string): void {
  const fail = (key: keyof TrainingSettings, what: string): never => {
    throw badSetting(key, s[key], what, where);
  };
  const keys = <T>(of: Partial<Record<keyof TrainingSettings, T>>) =>
    Object.entries(of) as [keyof TrainingSettings, T][];
  for (const [key, words] of keys(CHOICES))
    if (!words.includes(String(s[key]))) fail(key, `expected ${words.slice(0, -1).join(', ')} or ${words.at(-1)}`);
  checkRanges<TrainingSettings>(s, RANGES, fail);
  if (s.head === 'mol') {
    for (const key of ['molItem', 'molWidth', 'molGate'] as const)
      if (s[key] % 4 !== 0) fail(key, 'expected a multiple of 4');
    if (s.molUser * s.molItem > 64) fail('molUser', `molUser · molItem = ${s.molUser * s.molItem}, at most 64`);
    if (s.loss === 'softmax')
      fail(
        'head',
        `loss=softmax would mix for every item at every position; add ${option('settings.loss', 'sampled-softmax')}`,
      );
    if (s.similarity !== 'cosine')
      fail('head', `its components compare by their cosine; add ${option('settings.similarity', 'cosine')}`);
  }
  if (s.loss !== 'softmax') {
    if (s.labelSmoothing > 0) fail('labelSmoothing', `loss=${s.loss} has none; it needs loss=softmax`);
    if (s.negativeGroup > 0 && budget % s.negativeGroup !== 0)
      fail(
        'negativeGroup',
        `a batch of ${budget} tokens does not divide by it; choose a divisor, 0 for the whole batch`,
      );
    if (Math.ceil(budget / (s.negativeGroup || budget)) * s.negatives > 2 ** 21)
      fail('negatives', `more than 2,097,152 a batch of ${budget} tokens; choose fewer, or a larger negativeGroup`);
  }
}

/** What similarities are divided by. */
export const temperatureOf = ({ similarity, temperature }: TrainingSettings): number =>
  temperature || (similarity === 'cosine' ? 0.05 : 1);
