/** What the settings of losses, schedules and augmentation mean, for `attune train --help`. */
import type { RankerSettings } from '../../model/recipes/ranker-settings.ts';
import { ratingSettings } from '../../model/ratings/settings.ts';
import type { TrainingSettings } from '../../model/recipes/training-settings.ts';

const MEANING: Record<keyof TrainingSettings, string> = {
  loss: 'softmax (whole catalogue), or over samples: sampled-softmax, bce, gbce, bpr',
  negatives: 'sampled items N of a position',
  negativeGroup: 'consecutive positions that share N; 1: none do, 0: the whole batch does',
  sampler: 'uniform, popularity, in-batch',
  logq: 'on, off: sampled-softmax corrects for how likely a negative was',
  calibration: 'of gbce: t, 0 to 1',
  labelSmoothing: 'of softmax: 0 to below 1',
  similarity: 'dot, cosine',
  head: 'dot: the similarity; mol: mixture of logits, the cosines of several components, weighed by gates that see state, item and cosines (sampled losses, similarity=cosine)',
  molUser: 'of mol: component embeddings of a state',
  molItem: 'of an item; a multiple of 4, molUser · molItem at most 64',
  molWidth: 'their width',
  molGate: 'hidden width of the gate that sees the cosines',
  temperature: 'divides similarities; 0: 1 for dot, 0.05 for cosine',
  schedule: 'constant, cosine (to --epochs, or to scheduleSteps)',
  warmup: 'steps over which the learning rate rises',
  scheduleSteps: "the cosine's end in steps",
  embeddingDecay: 'weight decay of the embeddings',
  ema: 'decay of the moving average of the weights that is validated and saved; 0: none',
  accumulate: 'batches a step',
  augmentCrop: 'probability that a window is cut to cropRatio of it',
  augmentMask: 'probability that it loses about maskRatio of its items',
  augmentReorder: 'probability that reorderRatio of it, a run, is shuffled',
  cropRatio: 'see augmentCrop',
  maskRatio: 'see augmentMask',
  reorderRatio: 'see augmentReorder',
};

const RANKER: Record<keyof RankerSettings, string> = {
  ranker: 'on, off: a second stage of cross-attention is trained on top',
  rankerLoss: 'softmax over the candidates of a position, or bce for each',
  rankerItems: "what a candidate is: attributes (its ID's token and its attributes'), ids",
  rankerMutual: 'on: states attend to candidates, too; off',
  rankerStates: 'with rankerMutual=on: the last states that a position has for itself',
  rankerEncoder: "whose states: frozen (the encoder's), own (a copy of it, trained with the ranker)",
  rankerBlocks: 'blocks of cross-attention',
  rankerHeads: 'their heads; 0: as many as make them 32 wide',
  rankerCandidates: 'what the first stage retrieves and the second ranks, 2 to 128',
  rankerNegatives: 'negatives of a training position',
  rankerHard: 'share of them from the best candidates of the first stage',
  rankerPopular: 'share of the others that is drawn by popularity, not uniformly',
  rankerDropout: '0 to below 1',
  rankerLearningRate: 'reached after 50 steps',
  rankerValidate: 'steps between validations',
  rankerPatience: 'validations without a better NDCG@10 after which it stops',
};

const lines = (meanings: Record<string, string>, width: number): string =>
  Object.entries(meanings)
    .map(([key, meaning]) => `  ${key.padEnd(width)} ${meaning}`)
    .join('\n');

/** Lines of help, one a setting. */
export const trainingHelp: string = lines(MEANING, 15);
export const rankerHelp: string = lines(RANKER, 18);

/** What models of ratings take. */
export const ratingHelp = `
Ratings (--task rating, or ctr for the chance that a rating is at least --positive) have splits of their own; every row
counts, there is no filter, and every figure is about ratings that the model predicting them was not trained on:
  folds           every rating once, by a model of the other folds; k=5, or --folds K (the default)
  random          a share of all ratings, drawn at random; test=0.1
  last            each user's last rating; users with one rating only train
  cold            all ratings of a share of the items, which are then predicted by their attributes; test=0.2
After the folds one more model is trained on all ratings, which recommend and the library serve. Attributes of --items
(titles' words only where --schema says so), columns of --users and --events (hour, weekday, columns of the log) are read.
Settings of ratings for --set: ${Object.entries(ratingSettings(100_000))
  .map(([key, value]) => `${key}=${value}`)
  .join(' ')
  .replace(/(.{1,86})(?: |$)/g, '$1\n  ')
  .trim()}
(epochs and parts follow from the size of the log; these are for 100,000 ratings). --max-minutes covers all rounds.`;
