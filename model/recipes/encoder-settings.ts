/** Settings of the encoder and of its training. */
import { BLOCKS } from '../encoders/blocks/index.ts';
import { isCloze } from './derived.ts';
import {
  checkHeadWidth,
  choice,
  type Fail,
  integer,
  kindOf,
  number,
  onOff,
  ownSettings,
  positive,
  rate,
  share,
} from './setting.ts';
import type { Settings } from './settings.ts';

export const ENCODER = {
  d: integer(64, 4, 8192, 'model width D'),
  ff: integer(256, 1, 65_536, 'feed-forward width F'),
  blocks: integer(2, 1, 128, 'blocks of the encoder'),
  heads: integer(1, 1, 2048, 'attention heads; their width D / heads is a multiple of 4, at most 128'),
  dropout: rate(0.2, 'after the embedding, on attention weights and on both residual branches'),
  window: integer(200, 1, 65_536, 'longest history T that is read, in events'),
  activation: choice('gelu', ['gelu', 'relu', 'silu', 'swiglu'], 'of the feed-forward layers; swiglu has a gate'),
  block: kindOf('transformer', BLOCKS, 'what a block is'),
  norm: choice('pre', ['pre', 'post', 'query', 'rms'], 'layernorm of a transformer block', {
    meanings: {
      pre: 'before each part',
      post: 'after each part',
      query: "before, on the queries alone (SASRec's own code)",
      rms: 'before each part, by the root mean square alone (RMSNorm)',
    },
  }),
  positions: choice('learned', ['learned', 'sinusoidal', 'rotary', 'none'], 'how positions are told apart'),
  bias: choice(
    'none',
    ['none', 'relative', 'time', 'both'],
    'learned attention bias for the distance in order (relative), in time, or in both',
  ),
  requestTime: onOff(
    'off',
    'read when the next event is asked for: how long after the last one, hour and weekday; a bias for time counts from it',
    { requires: { on: { direction: 'causal', decoder: 0, augmentReorder: 0 } } },
  ),
  requestDropout: rate(0.2, 'share of events trained without the time of the next one, so that it need not be known'),
  embedding: choice('plain', ['plain', 'scaled'], 'scaled: item embeddings times √D before positions are added'),
  projection: choice(
    'none',
    ['none', 'gelu'],
    'gelu: a last layer LN(GELU(h · W + b)) before scores (BERT4Rec, eq. 7)',
  ),
  direction: choice(
    'causal',
    ['causal', 'bidirectional'],
    'predict each next event, or masked events (cloze); with a decoder, how the encoder reads',
  ),
  decoder: integer(0, 0, 128, 'blocks of a decoder that continues a history; 0: none', {
    requires: {
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
    },
  }),
  continuation: integer(10, 1, 65_536, 'most items that a decoder continues a history by'),
  maskShare: positive(0.2, 1, 'cloze: share of a window that is masked'),
  maskLast: share(0.1, 'cloze: share of windows where the last event alone is masked, as in recommending'),
  items: choice('ids', ['ids', 'tower', 'codes'], 'what an item is', {
    meanings: {
      ids: 'an embedding of its own',
      tower: 'that, and what a tower makes of its attributes',
      codes:
        'embeddings shared with other items, side by side, as its codes say, which come from who else had the item (RecJPQ): a small model of a large catalog',
    },
    requires: {
      tower: { direction: 'causal', loss: 'softmax' },
      codes: { tableOptimizer: 'adamw', rankerEncoder: 'frozen' },
    },
  }),
  itemCodes: integer(
    8,
    4,
    64,
    'codes: codes of an item, each one of 256; d / itemCodes is a multiple of 4, and itemCodes itself',
  ),
  idDropout: rate(0.3, 'tower: share of items represented by attributes alone, drawn in each step'),
  sideDropout: rate(0.1, 'share of windows trained without user features, and without event context'),
  memory: onOff('on', 'learn item transitions, and blend them with the model', { alias: 'transitions' }),
  learningRate: positive(1e-3, 1e38, 'of AdamW'),
  weightDecay: number(0.01, 0, 1e6, 'decoupled, of matrices; not of embeddings, biases and norms'),
  clip: positive(1, 1e38, 'largest global norm of the gradient'),
  budget: integer(4096, 1, 65_536, 'tokens of a batch', { alias: 'maxTokens' }),
  patience: integer(
    10,
    1,
    1e9,
    'validations without a better NDCG@10 after which training stops; half as many where its blend gains nothing',
  ),
  validateUsers: integer(2000, 1, 1e9, 'users validated on, drawn once by the seed'),
  precision: choice('f32', ['f32', 'mixed'], 'mixed: matrix products of training read f16 and add in f32 (shader-f16)'),
  validateSteps: integer(0, 0, 1e9, 'steps between validations; 0: about an epoch, at least 64'),
  ...ownSettings(BLOCKS),
};

/** What the declarations do not say. */
export function checkEncoder(s: Settings, fail: Fail): void {
  checkHeadWidth(s.d, s.heads, fail);
  if (s.norm === 'query' && s.activation === 'swiglu') fail('activation', 'norm=query has no gate; gelu, relu or silu');
  if (s.activation === 'swiglu' && s.ff % 4 !== 0) fail('ff', 'swiglu requires a multiple of 4');
  if (s.positions === 'rotary' && BLOCKS[s.block].attention === 'none')
    fail('positions', `block=${s.block} has no attention to rotate; learned, sinusoidal, or none`);
  if (isCloze(s) && s.window < 2) fail('window', 'a bidirectional model requires at least 2');
  if (isCloze(s) && s.loss !== 'softmax') fail('loss', 'the cloze task (direction=bidirectional) requires softmax');
  if (s.items === 'codes' && (s.itemCodes % 4 !== 0 || s.d % (4 * s.itemCodes) !== 0))
    fail('itemCodes', `expected a multiple of 4 that divides d / 4 = ${s.d / 4}`);
  if (s.window > s.budget) fail('window', `a batch of ${s.budget} tokens cannot hold it; raise budget`);
  if (s.decoder > 0 && s.continuation > s.window) fail('continuation', `expected at most window=${s.window}`);
}
