/**
 * Row-wise Adagrad for a large table of which a step reads few rows (Duchi, Hazan & Singer, JMLR 2011, with one sum of squares
 * for all of a row, as DLRM's embeddings have it; Naumov et al. 2019): G += mean of g², x −= lr · rate · g / (√G + ε). One
 * number a row, where AdamW keeps two of the row's width. Rows without a gradient stay as they are, but for decay and
 * average, which adamw-rows.ts catches up.
 */
import { adagradRowsReference } from './adagrad-rows.ref.ts';
import { averageOf, checked, decayOf, rowKernel, type RowOptions, type RowState } from './adamw-rows.ts';

const ADAGRAD = rowKernel('rows_adagrad');

/** One step for the rows in `touched`, in place; their gradients are zeroed. */
export function adagradRows(table: RowState, options: RowOptions): void {
  checked(table, options);
  const { grads, touched } = table;
  const { status, eps, rowRate = 1 } = options;
  const { device } = grads;
  device.inPlace('adagrad-rows', grads);
  for (const { first, params, sums, average = null } of table.shards) {
    const [rows, d] = params.shape;
    if (sums?.size !== rows)
      throw new Error(`adagrad-rows: expected sums [${rows}], got ${sums ? `[${sums.size}]` : 'none'}`);
    device.inPlace('adagrad-rows', sums);
    device.run(
      ADAGRAD,
      adagradRowsReference,
      { state: device.state, status, touched, grads, params, sums, average },
      {
        v: rows,
        first,
        rows: grads.shape[0],
        d,
        rate: rowRate,
        eps,
        decay: decayOf(table, options),
        ...averageOf(options),
      },
    );
  }
}
