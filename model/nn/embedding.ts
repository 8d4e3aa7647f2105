/** A table E [rows, D], read by row. */
import { embedding, type RowGroups, type Table, type Tensor } from '../../engine/index.ts';
import type { Init, Parameter, ParameterBuilder, ParameterOptions } from './parameters.ts';

export interface EmbeddingOptions {
  /** Read by rows alone: it may lie in shards. */
  sharded?: boolean;
  /** Whether the embeddings' own weight decay applies. */
  decay?: boolean;
  init?: Init;
  /** See `ParameterOptions`. */
  touchedRows?: number;
  rowOptimizer?: ParameterOptions['rowOptimizer'];
}

export class Embedding {
  readonly weight: Parameter;

  constructor(
    p: ParameterBuilder,
    rows: number,
    d: number,
    {
      sharded = false,
      decay = true,
      init = { std: p.std.embedding },
      touchedRows,
      rowOptimizer,
    }: EmbeddingOptions = {},
  ) {
    this.weight = p.add('weight', [rows, d], { init, embedding: decay, sharded, touchedRows, rowOptimizer });
  }

  get table(): Table {
    return this.weight.table;
  }

  get tensor(): Tensor {
    return this.weight.tensor;
  }

  /** ids u32 [..] → [.., D]. @param groups the ids by row, where there is a gradient (engine/rows.ts) @param from the id of row 0 */
  forward(ids: Tensor, groups?: RowGroups, from = 0): Tensor {
    return embedding(this.table, ids, groups, from);
  }
}
