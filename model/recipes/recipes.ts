/** Recipes are data: an architecture and how to train it, by name. */
import { InputError } from '../../data/errors.ts';
import { changed, DEFAULTS, type Settings } from './settings.ts';

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

/** Test metrics of a measured run, leave-one-out, full ranking, seen items excluded. */
export interface RecipeMetrics {
  log: string;
  'NDCG@10': number;
  'HR@10': number;
  /** How it was run: command, time, machine. */
  run: string;
}

/** 30 epochs on MovieLens 100K without item transitions (bench/RESULTS.md). @param seconds of CPU time */
const measured = (ndcg: number, hr: number, seconds: number): RecipeMetrics[] => [
  {
    log: 'MovieLens 100K, alone',
    'NDCG@10': ndcg,
    'HR@10': hr,
    run: `memory=off, 30 epochs, seed 1, ${seconds} CPU seconds, 2026-11-30`,
  },
];

/** SASRec as its authors' code has it: layernorm on the queries, no output matrix, embeddings scaled, F = D, ReLU. */
const ORIGINAL = { norm: 'query', embedding: 'scaled', activation: 'relu', weightDecay: 0 } as const;

const WIDTH_52 = 'd is 52 instead of 50: widths are multiples of 4 here.';

/** As the authors' code has it for MovieLens 1M, but for the width. */
const HSTU: Settings = {
  ...DEFAULTS,
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
};

export const recipes: ReadonlyMap<string, Recipe> = new Map(
  (
    [
      {
        name: 'sasrec',
        summary: 'causal self-attention over the history, full softmax cross-entropy over the catalog',
        paper:
          'W.-C. Kang, J. McAuley: Self-Attentive Sequential Recommendation, ICDM 2018; trained as in A. Klenitskiy, A. Vasilev: Turning Dross Into Gold Loss, RecSys 2023',
        notes: [],
        settings: DEFAULTS,
        figures: measured(0.092, 0.1739, 402),
      },
      {
        name: 'sasrec-bce',
        summary: 'SASRec as first published: binary cross-entropy against one sampled negative',
        paper: "W.-C. Kang, J. McAuley: Self-Attentive Sequential Recommendation, ICDM 2018 (and the authors' code)",
        notes: [WIDTH_52, 'A batch is 4,096 tokens, packed, instead of 128 padded windows.'],
        settings: { ...DEFAULTS, ...ORIGINAL, d: 52, ff: 52, loss: 'bce', negatives: 1, negativeGroup: 1 },
        figures: measured(0.0927, 0.1792, 372),
      },
      {
        name: 'gsasrec',
        summary: 'SASRec with 256 sampled negatives and a loss that corrects for their number (gBCE)',
        paper:
          "A. V. Petrov, C. Macdonald: gSASRec: Reducing Overconfidence in Sequential Recommendation Trained with Negative Sampling, RecSys 2023 (and the authors' code for MovieLens 1M)",
        notes: [
          "Feed-forward layers have a ReLU, as in SASRec; the authors' code for PyTorch has none.",
          'Negatives are shared by 128 positions; the authors draw them for each position.',
          'A batch is 4,096 tokens, packed, instead of 128 padded windows.',
        ],
        settings: {
          ...DEFAULTS,
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
          "F. Sun et al.: BERT4Rec: Sequential Recommendation with Bidirectional Encoder Representations from Transformer, CIKM 2019 (and the authors' code for MovieLens 1M)",
        notes: [
          'Scores have no bias per item.',
          'A batch is 4,096 tokens, packed, at a constant learning rate of 1e-3, instead of 256 padded windows at 1e-4 after a warm-up.',
        ],
        settings: {
          ...DEFAULTS,
          heads: 2,
          norm: 'post',
          projection: 'gelu',
          direction: 'bidirectional',
          maskShare: 0.2,
          maskLast: 0.1,
        },
        figures: measured(0.0552, 0.1145, 380),
      },
      {
        name: 'esasrec',
        summary: 'causal, with gated LiGR blocks and a softmax over sampled negatives',
        paper:
          'D. Tikhonovich et al.: eSASRec: Enhancing Transformer-based Recommendations in a Modular Fashion, RecSys 2025; LiGR blocks of F. Borisyuk et al.: From Features to Transformers: Redefining Ranking for Scalable Impact, 2025',
        notes: ['Negatives are shared by a batch.'],
        settings: {
          ...DEFAULTS,
          block: 'ligr',
          activation: 'swiglu',
          dropout: 0.1,
          loss: 'sampled-softmax',
          negatives: 256,
          negativeGroup: 0,
          logq: 'off',
          weightDecay: 0,
        },
        figures: measured(0.0821, 0.1612, 423),
      },
      {
        name: 'encoder-decoder',
        summary: 'an encoder reads the history, a decoder continues it by several items, item by item',
        paper: 'A. Vaswani et al.: Attention Is All You Need, NIPS 2017, over items instead of words',
        notes: [
          "Norms come before each part, as in today's encoders and decoders.",
          'The decoder starts from the last item of the history instead of a start token.',
          'Each item of a training history is predicted once an epoch, at a random position of a continuation of up to 10.',
        ],
        settings: { ...DEFAULTS, direction: 'bidirectional', decoder: 2 },
        figures: null,
      },
      {
        name: 'hstu',
        summary: 'pointwise attention without softmax, biased by order and time, gated',
        paper:
          "J. Zhai et al.: Actions Speak Louder than Words: Trillion-Parameter Sequential Transducers for Generative Recommendations, ICML 2024 (and the authors' code for MovieLens 1M)",
        notes: [
          WIDTH_52,
          "The bias for time sees the time between two events of the history; the authors' code the time from an event to the one to be predicted, as requestTime=on does.",
          'Distances have columns up to 31, then half octaves; each head has its own.',
          'Negatives are shared by a batch.',
        ],
        settings: HSTU,
        figures: measured(0.0938, 0.1824, 689),
      },
      {
        name: 'hstu-large',
        summary: 'eight blocks of hstu that read when they are asked',
        paper:
          "J. Zhai et al.: Actions Speak Louder than Words, ICML 2024: HSTU-large (and the authors' code for MovieLens 1M)",
        notes: [
          'd is 56 instead of 50: the widths of its two heads are multiples of 4 here.',
          'Besides the bias for time, the gap to the request, its hour and weekday are read; a fifth of the positions are trained without, so that the time need not be known.',
          'Distances have columns up to 31, then half octaves; each head has its own.',
          'Negatives are shared by a batch.',
        ],
        settings: { ...HSTU, d: 56, heads: 2, blocks: 8, requestTime: 'on' },
        figures: null,
      },
    ] satisfies Recipe[]
  ).map((r) => [r.name, r]),
);

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
