/** Recipes are data: an architecture and how to train it, by name. */
import type { BatchOptions } from '../../data/batching/batches.ts';
import { InputError } from '../../data/errors.ts';
import { checkRanker, RANKER, type RankerSettings } from './ranker-settings.ts';
import { badSetting, checkRanges, integer, number, RATE, type Ranges, SHARE } from './setting-range.ts';
import { checkTraining, TRAINING, type TrainingSettings } from './training-settings.ts';

export interface Settings extends TrainingSettings, RankerSettings {
  /** Model width D. */
  d: number;
  /** Feed-forward width F. */
  ff: number;
  blocks: number;
  heads: number;
  /** Dropout after the embedding, on attention weights and on both residual branches. */
  dropout: number;
  /** Longest window T, in events. */
  window: number;
  /** Of the feed-forward layers; with swiglu they have a gate of the same width F beside them. */
  activation: 'gelu' | 'relu' | 'silu' | 'swiglu';
  /** What a block is: see model/blocks/. */
  block: 'transformer' | 'ligr' | 'hstu';
  /** Layernorm before or after each part of a transformer block; or before, on the queries alone (SASRec's own code). */
  norm: 'pre' | 'post' | 'query';
  positions: 'learned' | 'sinusoidal' | 'rotary' | 'none';
  /** A learned bias of attention for the distance of two events in their order (relative), in time, or in both. */
  bias: 'none' | 'relative' | 'time' | 'both';
  /** Item embeddings times √D before positions are added to them. */
  embedding: 'plain' | 'scaled';
  /** A last layer LN(GELU(h · W + b)) before scores (BERT4Rec, eq. 7). */
  projection: 'none' | 'gelu';
  /**
   * Causal models predict each next event; bidirectional ones predict masked events (the cloze task). With a decoder, how
   * the encoder reads the history.
   */
  direction: 'causal' | 'bidirectional';
  /** Blocks of the decoder that continues a history, with cross-attention to the encoder; 0 is none. */
  decoder: number;
  /** Most items that a decoder continues a history by. */
  continuation: number;
  /** Share of a window's events that the cloze task masks; one at least. */
  maskShare: number;
  /** Share of the windows in which the cloze task masks the last event alone, as recommending does. */
  maskLast: number;
  /** What stands for an item: an embedding of its own, or that and what the item tower makes of its attributes. */
  items: 'ids' | 'tower';
  /** Probability that the tower speaks for an item alone, drawn for each item in each step of training. */
  idDropout: number;
  /**
   * Probability that a window is trained as if nothing were known of its user, and likewise of how its events were (with
   * --users, --events).
   */
  sideDropout: number;
  /** Whether a sequence memory (memory.ts) is learned and blended with the model. */
  memory: 'on' | 'off';
  learningRate: number;
  /** AdamW's decoupled weight decay, on matrices but not on embeddings, biases and norms. */
  weightDecay: number;
  /** Largest global norm of the gradient. */
  clip: number;
  /** Tokens of a training batch. */
  budget: number;
  /** Validations without a better NDCG@10 after which training stops. */
  patience: number;
  /** Users that are validated on (drawn once by the seed); all of them if there are fewer. */
  validateUsers: number;
  /**
   * What training's matrix products compute in: f32, or their operands in f16 and sums in f32 (mixed, on adapters with
   * shader-f16). Weights, validation and recommending are f32 either way.
   */
  precision: 'f32' | 'mixed';
  /** Steps between validations; 0 means about an epoch, and at least 64 steps. */
  validateSteps: number;
}

export interface Recipe {
  name: string;
  summary: string;
  paper: string;
  /** Where this differs from the paper, a sentence each. */
  notes: string[];
  settings: Settings;
  /** What it was measured to reach; null until it is. */
  figures: RecipeMetrics[] | null;
}

/** Test figures of a measured run, leave-one-out, full ranking, seen items excluded. */
export interface RecipeMetrics {
  log: string;
  'NDCG@10': number;
  'HR@10': number;
  /** How it was run: command, time, machine. */
  run: string;
}

/** What recipes start from; also what keys mean that a model folder of an earlier version does not have. */
const SASREC: Settings = {
  ...TRAINING,
  ...RANKER,
  d: 64,
  ff: 256,
  blocks: 2,
  heads: 1,
  dropout: 0.2,
  window: 200,
  activation: 'gelu',
  block: 'transformer',
  norm: 'pre',
  positions: 'learned',
  bias: 'none',
  embedding: 'plain',
  projection: 'none',
  direction: 'causal',
  decoder: 0,
  continuation: 10,
  maskShare: 0.2,
  maskLast: 0.1,
  items: 'ids',
  idDropout: 0.3,
  sideDropout: 0.1,
  memory: 'on',
  learningRate: 1e-3,
  weightDecay: 0.01,
  clip: 1,
  budget: 4096,
  patience: 10,
  validateUsers: 2000,
  precision: 'f32',
  validateSteps: 0,
};

/** SASRec as its authors' code has it: layernorm on the queries, no output matrix, embeddings scaled, F = D, ReLU. */
const ORIGINAL = { norm: 'query', embedding: 'scaled', activation: 'relu', weightDecay: 0 } as const;

const WIDTH_52 = 'd is 52 in place of 50: widths are multiples of 4 here.';

export const recipes: ReadonlyMap<string, Recipe> = new Map(
  (
    [
      {
        name: 'sasrec',
        summary: 'causal self-attention over the history, full softmax cross-entropy over the catalogue',
        paper:
          'W.-C. Kang, J. McAuley: Self-Attentive Sequential Recommendation, ICDM 2018; trained as in A. Klenitskiy, A. Vasilev: Turning Dross Into Gold Loss, RecSys 2023',
        notes: [],
        settings: SASREC,
        figures: [
          {
            log: 'MovieLens 1M, alone',
            'NDCG@10': 0.1807,
            'HR@10': 0.3137,
            run: 'recipe sasrec, 60 minutes, 2 cores without a GPU beside other work, 2026-11-21',
          },
          {
            log: 'MovieLens 1M, with memory',
            'NDCG@10': 0.1946,
            'HR@10': 0.3286,
            run: 'the same model',
          },
          {
            log: 'MovieLens 100K, alone',
            'NDCG@10': 0.1037,
            'HR@10': 0.197,
            run: 'recipe sasrec, memory=off, 60 epochs, 2026-11-21',
          },
        ],
      },
      {
        name: 'sasrec-bce',
        summary: 'SASRec as first published: binary cross-entropy against one sampled negative',
        paper: 'W.-C. Kang, J. McAuley: Self-Attentive Sequential Recommendation, ICDM 2018 (and the authors’ code)',
        notes: [WIDTH_52, 'A batch is 4,096 tokens, packed, in place of 128 padded windows.'],
        settings: { ...SASREC, ...ORIGINAL, d: 52, ff: 52, loss: 'bce', negatives: 1, negativeGroup: 1 },
        figures: null,
      },
      {
        name: 'gsasrec',
        summary: 'SASRec with 256 sampled negatives and a loss that corrects for their number (gBCE)',
        paper:
          'A. V. Petrov, C. Macdonald: gSASRec: Reducing Overconfidence in Sequential Recommendation Trained with Negative Sampling, RecSys 2023 (and the authors’ code for MovieLens 1M)',
        notes: [
          'Feed-forward layers have a ReLU, as in SASRec; the authors’ code for PyTorch has none.',
          'Negatives are shared by 128 positions; the authors draw them for each.',
          'A batch is 4,096 tokens, packed, in place of 128 padded windows.',
        ],
        settings: {
          ...SASREC,
          ...ORIGINAL,
          embedding: 'plain',
          d: 128,
          ff: 128,
          dropout: 0,
          loss: 'gbce',
          negatives: 256,
          calibration: 0.75,
        },
        figures: null,
      },
      {
        name: 'bert4rec',
        summary: 'bidirectional self-attention, trained to fill in masked items',
        paper:
          'F. Sun et al.: BERT4Rec: Sequential Recommendation with Bidirectional Encoder Representations from Transformer, CIKM 2019 (and the authors’ code for MovieLens 1M)',
        notes: [
          'Scores have no bias of their own for each item.',
          'A batch is 4,096 tokens, packed, at a constant learning rate of 1e-3, in place of 256 padded windows at 1e-4 after a warm-up.',
        ],
        settings: {
          ...SASREC,
          heads: 2,
          norm: 'post',
          projection: 'gelu',
          direction: 'bidirectional',
          maskShare: 0.2,
          maskLast: 0.1,
        },
        figures: null,
      },
      {
        name: 'esasrec',
        summary: 'causal, with gated LiGR blocks and a softmax over sampled negatives',
        paper:
          'D. Tikhonovich et al.: eSASRec: Enhancing Transformer-based Recommendations in a Modular Fashion, RecSys 2025; LiGR blocks of F. Borisyuk et al.: From Features to Transformers: Redefining Ranking for Scalable Impact, 2025',
        notes: ['Negatives are shared by a batch.'],
        settings: {
          ...SASREC,
          block: 'ligr',
          activation: 'swiglu',
          dropout: 0.1,
          loss: 'sampled-softmax',
          negatives: 256,
          negativeGroup: 0,
          logq: 'off',
          weightDecay: 0,
        },
        figures: null,
      },
      {
        name: 'encoder-decoder',
        summary: 'an encoder reads the history, a decoder continues it by several items, item after item',
        paper: 'A. Vaswani et al.: Attention Is All You Need, NIPS 2017, over items in place of words',
        notes: [
          'Norms come before each part, as today’s encoders and decoders have them.',
          'The decoder begins with the last item of the history in place of a begin token.',
          'Each item of a training history is predicted once an epoch, at a random place of a continuation of up to 10.',
        ],
        settings: { ...SASREC, direction: 'bidirectional', decoder: 2 },
        figures: null,
      },
      {
        name: 'hstu',
        summary: 'pointwise attention without softmax, biased by order and time, gated',
        paper:
          'J. Zhai et al.: Actions Speak Louder than Words: Trillion-Parameter Sequential Transducers for Generative Recommendations, ICML 2024 (and the authors’ code for MovieLens 1M)',
        notes: [
          WIDTH_52,
          'The bias for time sees the time between two events of the history; the authors’ code the time from an event to the one to be predicted, which is not known when recommending.',
          'Distances have columns up to 31, then half octaves; each head has its own.',
          'Negatives are shared by a batch.',
        ],
        settings: {
          ...SASREC,
          d: 52,
          block: 'hstu',
          bias: 'both',
          embedding: 'scaled',
          loss: 'sampled-softmax',
          negatives: 128,
          negativeGroup: 0,
          similarity: 'cosine',
          temperature: 0.05,
          logq: 'off',
          weightDecay: 0,
        },
        figures: null,
      },
    ] satisfies Recipe[]
  ).map((r) => [r.name, r]),
);

/** The values that a setting in words may have. */
const CHOICES: { readonly [K in keyof Settings]?: readonly Settings[K][] } = {
  activation: ['gelu', 'relu', 'silu', 'swiglu'],
  block: ['transformer', 'ligr', 'hstu'],
  norm: ['pre', 'post', 'query'],
  positions: ['learned', 'sinusoidal', 'rotary', 'none'],
  bias: ['none', 'relative', 'time', 'both'],
  embedding: ['plain', 'scaled'],
  projection: ['none', 'gelu'],
  direction: ['causal', 'bidirectional'],
  items: ['ids', 'tower'],
  memory: ['on', 'off'],
  precision: ['f32', 'mixed'],
};

/** What these settings ask of batches (data/batching/batches.ts). */
export const windowsOf = ({
  budget,
  window,
  direction,
  maskShare,
  maskLast,
  decoder,
  continuation,
  ...s
}: Settings): Omit<BatchOptions, 'seed' | 'epoch'> => ({
  maxTokens: budget,
  window,
  augment: {
    crop: s.augmentCrop,
    mask: s.augmentMask,
    reorder: s.augmentReorder,
    cropRatio: s.cropRatio,
    maskRatio: s.maskRatio,
    reorderRatio: s.reorderRatio,
  },
  ...(isCloze({ direction, decoder }) ? { cloze: { share: maskShare, last: maskLast } } : {}),
  ...(decoder > 0 ? { continuation } : {}),
});

/** Whether masked events are what is predicted: an encoder alone that reads in both directions. */
export const isCloze = ({ direction, decoder }: Pick<Settings, 'direction' | 'decoder'>): boolean =>
  direction === 'bidirectional' && decoder === 0;

/** Whether the model reads the times of events. */
export const readsTimes = ({ bias }: Settings): boolean => bias === 'time' || bias === 'both';

/** Of the encoder and its training; those of loss and ranker stand with their settings. */
const RANGES: Ranges<Omit<Settings, keyof TrainingSettings | keyof RankerSettings>> = {
  d: integer(4, 8192),
  ff: integer(1, 65_536),
  blocks: integer(1, 128),
  heads: integer(1, 2048),
  dropout: RATE,
  window: integer(1, 65_536),
  decoder: integer(0, 128),
  continuation: integer(1, 65_536),
  maskShare: number(0, 1, { above: true }),
  maskLast: SHARE,
  idDropout: RATE,
  sideDropout: RATE,
  learningRate: number(0, 1e38, { above: true }),
  weightDecay: number(0, 1e6),
  clip: number(0, 1e38, { above: true }),
  budget: integer(1, 65_536),
  patience: integer(1, 1e9),
  validateUsers: integer(1, 1e9),
  validateSteps: integer(0, 1e9),
};

/**
 * A recipe's settings with overrides applied.
 * @throws InputError for an unknown recipe or key, or a value that makes no model
 */
export function settingsFor(recipe: string, overrides: Readonly<Record<string, string>> = {}): Settings {
  const found = recipes.get(recipe);
  if (!found)
    throw new InputError('invalid-value', `unknown recipe; there is ${[...recipes.keys()].join(', ')}`, {
      setting: 'recipe',
      value: recipe,
    });
  return changed(found.settings, overrides);
}

/**
 * Settings with overrides applied.
 * @throws InputError for an unknown key, or a value that makes no model
 */
export function changed(from: Settings, overrides: Readonly<Record<string, string>>): Settings {
  const settings: Record<string, number | string> = { ...from };
  for (const [key, text] of Object.entries(overrides)) {
    if (!Object.hasOwn(settings, key)) {
      throw new InputError('invalid-value', `unknown setting; there is ${Object.keys(settings).join(', ')}`, {
        setting: `settings.${key}`,
      });
    }
    if (typeof settings[key] === 'string') settings[key] = text;
    else {
      const value = text.trim() === '' ? Number.NaN : Number(text);
      if (!Number.isFinite(value)) throw badSetting(key, text, 'expected a number');
      settings[key] = value;
    }
  }
  return checkSettings(settings as unknown as Settings);
}

/**
 * Complete settings: keys that a model folder of an earlier version lacks get the meaning they had then.
 * @param where the file that holds them, for messages; without it they are the caller's
 * @throws InputError for settings that make no model, with one line that says which
 */
export function checkSettings(given: Partial<Settings>, where?: string): Settings {
  const s: Settings = { ...SASREC, memory: 'off', ...given };
  const fail = (key: keyof Settings, what: string): never => {
    throw badSetting(key, s[key], what, where);
  };
  for (const key of Object.keys(given)) if (!Object.hasOwn(SASREC, key)) fail(key as keyof Settings, 'unknown setting');
  checkRanges<Omit<Settings, keyof TrainingSettings | keyof RankerSettings>>(s, RANGES, fail);
  if (s.d % s.heads !== 0) fail('heads', `d=${s.d} does not divide by it`);
  if ((s.d / s.heads) % 4 !== 0)
    fail('heads', `the width of a head, d/heads = ${s.d / s.heads}, must be a multiple of 4`);
  if (s.d / s.heads > 128) fail('heads', `the width of a head, d/heads = ${s.d / s.heads}, must be at most 128`);
  for (const [key, values] of Object.entries(CHOICES) as [keyof Settings, readonly string[]][]) {
    const last = values.length - 1;
    if (!values.includes(String(s[key]))) fail(key, `expected ${values.slice(0, last).join(', ')} or ${values[last]}`);
  }
  if (s.block !== 'transformer' && s.norm !== 'pre') fail('norm', `blocks of ${s.block} have theirs before (norm=pre)`);
  if (s.norm === 'query' && s.activation === 'swiglu') fail('activation', 'norm=query has no gate; gelu, relu or silu');
  if (s.activation === 'swiglu' && s.ff % 4 !== 0) fail('ff', 'swiglu needs a multiple of 4');
  if (isCloze(s) && s.window < 2) fail('window', 'a bidirectional model needs 2 at least');
  if (isCloze(s) && s.loss !== 'softmax') fail('loss', 'the cloze task (direction=bidirectional) needs softmax');
  if (isCloze(s) && s.head === 'mol')
    fail('head', 'the cloze task (direction=bidirectional) needs softmax, which mol has not; use a causal recipe');
  if (s.items === 'tower' && s.direction !== 'causal') fail('items', 'the item tower needs direction=causal');
  if (s.items === 'tower' && s.loss !== 'softmax') fail('items', 'the item tower needs loss=softmax');
  if (s.window > s.budget) fail('window', `a batch of ${s.budget} tokens cannot hold it; set budget higher`);
  checkTraining(s, s.budget, where);
  checkDecoder(s, fail);
  checkRanker(s, where);
  return s;
}

/** What a decoder goes with. */
function checkDecoder(s: Settings, fail: (key: keyof Settings, what: string) => never): void {
  if (s.decoder === 0) return;
  const needs: Partial<Settings> = {
    block: 'transformer',
    norm: 'pre',
    bias: 'none',
    projection: 'none',
    loss: 'softmax',
    head: 'dot',
    items: 'ids',
    augmentCrop: 0,
    augmentMask: 0,
    augmentReorder: 0,
  };
  for (const [key, value] of Object.entries(needs) as [keyof Settings, unknown][])
    if (s[key] !== value) fail(key, `an encoder with a decoder needs ${key}=${value}`);
  if (s.continuation > s.window) fail('continuation', `expected at most window=${s.window}`);
}
