/** The ranker's modules; the forward pass is in ranker.ts. */
import { CrossAttention, Embedding, FeedForward, LayerNorm, Linear, ParameterBuilder } from '../nn/index.ts';
import type { RankerSettings } from '../recipes/ranker-settings.ts';

/** What the ranker is built from. */
export interface RankerShape extends RankerSettings {
  d: number;
  ff: number;
  window: number;
}

/** Rows of its tables. */
export interface RankerRows {
  items: number;
  /** Of the attribute table, A; 0 where candidates are their IDs alone. */
  attributes: number;
}

class RankerBlock {
  /** With rankerMutual=on: states attend to tokens first. */
  readonly mutual: { norm: LayerNorm; cross: CrossAttention; norm2: LayerNorm } | null = null;
  readonly norm1: LayerNorm;
  readonly cross: CrossAttention;
  readonly norm2: LayerNorm;
  readonly ffn: FeedForward;

  constructor(p: ParameterBuilder, { d, ff, rankerMutual }: RankerShape) {
    if (rankerMutual === 'on') {
      const norm = new LayerNorm(p.at('states.norm'), d);
      const cross = new CrossAttention(p.at('states'), d);
      this.mutual = { norm, cross, norm2: new LayerNorm(p.at('states.norm2'), d) };
    }
    this.norm1 = new LayerNorm(p.at('norm1'), d);
    this.cross = new CrossAttention(p, d);
    this.norm2 = new LayerNorm(p.at('norm2'), d);
    this.ffn = new FeedForward(p.at('ffn'), d, ff, 'gelu');
  }
}

export class RankerNetwork {
  readonly parameters = new ParameterBuilder();
  readonly items: Embedding;
  readonly biases: Embedding;
  readonly attributes: Embedding | null;
  readonly positions: Embedding;
  readonly candidatePositions: Embedding;
  readonly states: Linear;
  readonly statesNorm: LayerNorm;
  readonly blocks: readonly RankerBlock[];
  readonly norm: LayerNorm;
  readonly sought: Linear;
  readonly output: Linear;

  /**
   * The order of construction is that in which a seed draws weights, and must not change.
   * @param table the encoder's items E [V, D], to start from; null where weights are loaded
   */
  constructor(s: RankerShape, { items, attributes }: RankerRows, table: Float32Array | null = null) {
    const { parameters: p } = this;
    const { d, window, rankerBlocks } = s;
    this.items = new Embedding(p.at('items'), items, d, { sharded: true, init: table ?? 0 });
    this.biases = new Embedding(p.at('biases'), items, 1, { sharded: true, init: 0 });
    this.attributes = attributes > 0 ? new Embedding(p.at('attributes'), attributes, d) : null;
    this.positions = new Embedding(p.at('positions', 'window or d'), window, d);
    this.candidatePositions = new Embedding(p.at('places', 'window or d'), window, d);
    this.states = new Linear(p.at('states'), d, d);
    this.statesNorm = new LayerNorm(p.at('states.norm'), d);
    this.blocks = Array.from({ length: rankerBlocks }, (_, i) => new RankerBlock(p.at(`blocks.${i}`), s));
    this.norm = new LayerNorm(p.at('norm'), d);
    this.sought = new Linear(p.at('sought'), d, d, { std: 0 });
    this.output = new Linear(p.at('output'), d, 1, { std: 0 });
  }
}
