/** Rows of a table of codes as f32: those that a list names, or a range. No gradient. */
import { groups, kernel } from '../kernel.ts';
import type { CodedTable } from '../table.ts';
import type { Tensor } from '../tensor.ts';
import { codedRowsReference } from './coded-rows.ref.ts';
import { expectConstants } from './shared/check.ts';

const ROWS = kernel('coded_rows', (p) => groups(p.rows * p.each * p.width, 64));

/** Writes rows of `ids` less `from` into x [.., D], or without ids those from `from` on. An id that is no row gives zeros. */
export function codedRows(table: CodedTable, ids: Tensor | null, from: number, x: Tensor): void {
  const { codes, parts, scales, each } = table;
  expectConstants('CodedTable', { parts }, 'use CodedRows, detach(), or noGrad()');
  const [v, d] = table.shape;
  table.device.run(
    ROWS,
    codedRowsReference,
    { codes, parts, scales, ids, x },
    {
      rows: x.size / d,
      v,
      each,
      width: d / each / 4,
      first: ids ? -from : from,
      listed: ids ? 1 : 0,
      scaled: scales ? 1 : 0,
    },
  );
}
