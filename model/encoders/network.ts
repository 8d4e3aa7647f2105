/** The modules of a model, as its settings have them; constructing it declares what the model learns. */
import { CODES, type Tensor } from '../../engine/index.ts';
import type { Head } from '../heads/head.ts';
import { HEADS } from '../heads/index.ts';
import { Embedding, LayerNorm, Linear, type Norm, ParameterBuilder } from '../nn/index.ts';
import type { Settings } from '../recipes/settings.ts';
import { BLOCKS } from './blocks/index.ts';
import { NORM_OF } from './blocks/transformer.ts';
import type { Block, Context } from './context.ts';
import { type Cross, Decoder } from './decoder.ts';
import { Input } from './input.ts';
import { TowerEncoder } from './item-tower.ts';

/** The item table, the one parameter that grows with the catalog; with `items=codes` its parts, which do not. */
export const ITEM_WEIGHTS = 'items.weight';
/** The table of side features: columns of users, context of events (data/features/side-features.ts). */
export const SIDE = 'side.weight';

/** Rows of the tables that settings alone do not give. */
export interface TableRows {
  /** Of the item tower's attributes. */
  attributes?: number;
  /** Of the side features. */
  side?: number;
  /** Of the item table, those that a training step reads at most, where its gradient is kept for them alone. */
  touched?: number;
  /** Whether the item table is compressed, and none of the parameters. */
  packed?: boolean;
}

export class Network {
  readonly parameters = new ParameterBuilder();
  readonly items: Embedding;
  readonly head: Head;
  readonly tower: TowerEncoder | null;
  readonly decoder: Decoder | null;
  private readonly input: Input;
  private readonly blocks: readonly Block[];
  private readonly norm: Norm;
  private readonly projection: { linear: Linear; norm: LayerNorm } | null = null;
  private readonly side: Embedding | null;

  /** The order of construction is that in which a seed draws weights, and must not change. */
  constructor(s: Settings, items: number, { attributes = 0, side = 0, touched, packed }: TableRows = {}) {
    const { parameters: p } = this;
    const table = packed ? new ParameterBuilder() : p;
    this.items =
      s.items === 'codes'
        ? new Embedding(table.at('items'), CODES * s.itemCodes, s.d / s.itemCodes)
        : new Embedding(table.at('items'), items, s.d, {
            sharded: s.items === 'ids',
            touchedRows: touched,
            rowOptimizer: s.tableOptimizer,
          });
    this.input = new Input(p, s, s.window);
    this.blocks = Array.from({ length: s.blocks }, (_, i) => BLOCKS[s.block].create(p.at(`blocks.${i}`), s, i));
    this.norm = new NORM_OF[s.norm](p.at('norm'), s.d);
    if (s.projection === 'gelu') {
      const linear = new Linear(p.at('projection'), s.d, s.d);
      this.projection = { linear, norm: new LayerNorm(p.at('projection.norm'), s.d) };
    }
    this.head = HEADS[s.head].create(p.at('head', 'd or molWidth'), s);
    this.tower = s.items === 'tower' && attributes > 0 ? new TowerEncoder(p.at('tower'), s, attributes) : null;
    this.side = side > 0 ? new Embedding(p.at('side'), side, s.d) : null;
    this.decoder = s.decoder > 0 ? new Decoder(p.at('decoder'), s) : null;
  }

  /** Hidden states [L, D]. */
  encode(c: Context): Tensor {
    const { blocks, norm, projection } = this;
    const first = c.settings.norm === 'post' ? norm : blocks[0].norm1;
    let stream = this.input.forward(c, first, this.sideTable);
    for (const [i, block] of blocks.entries()) stream = block.forward(c, stream, blocks[i + 1]?.norm1 ?? norm);
    return projection ? projection.norm.forward(projection.linear.forward(stream.n, { activation: 'gelu' })) : stream.n;
  }

  /** The decoder's states [L, D]. */
  decode(c: Context, cross: Cross): Tensor {
    return (this.decoder as Decoder).forward(c, cross, this.sideTable);
  }

  private get sideTable(): Tensor | null {
    return this.side?.tensor ?? null;
  }
}

/** What a model of these settings learns. */
export const parametersOf = (s: Settings, items: number, rows?: TableRows): ParameterBuilder =>
  new Network(s, items, rows).parameters;
