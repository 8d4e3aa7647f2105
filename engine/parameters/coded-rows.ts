/**
 * The rows of a table of codes (`CodedTable`) that a training step reads, with a gradient: what is trained are the table's
 * parts, which each row of the list looks up M times. Before a step the host says by `touch()` which rows it reads.
 */
import { embedding } from '../ops/embedding.ts';
import { CODES, type ItemCodes } from '../packed.ts';
import { groupRows, MAX_BUDGET, rowGroupLayout } from '../rows.ts';
import type { CodedTable } from '../table.ts';
import type { Shape, Tensor } from '../tensor.ts';

export class CodedRows {
  readonly shape: Shape;
  /** Most rows that a step reads. */
  readonly capacity: number;
  private readonly host: ItemCodes;
  private readonly table: CodedTable;
  /** u32 [S, M]: rows of the parts, and these grouped by row. */
  private readonly ids: Tensor;
  private readonly groups: Tensor;

  /** @param rows that a step reads at most @throws RangeError where they have more codes than a step can group */
  constructor(table: CodedTable, host: ItemCodes, rows: number) {
    const { device, shape, each } = table;
    this.table = table;
    this.host = host;
    this.shape = shape;
    this.capacity = Math.min(shape[0], rows);
    const size = this.capacity * each;
    if (size > MAX_BUDGET)
      throw new RangeError(`a step reads ${size} codes of ${this.capacity} items, expected at most ${MAX_BUDGET}`);
    this.ids = device.tensor(new Uint32Array(size), [this.capacity, each], { label: 'codes of a step' }).keep();
    const groups = new Uint32Array(rowGroupLayout(size).words);
    this.groups = device.tensor(groups, undefined, { label: 'codes of a step, grouped' }).keep();
    if (this.capacity === shape[0]) this.touch(Uint32Array.from({ length: this.capacity }, (_, row) => row));
  }

  /** Says which rows the next step reads. Where it may read all, they are touched from the start, in the table's order. */
  touch(rows: Uint32Array): void {
    const { codes, each } = this.host;
    const { device } = this.table;
    const ids = new Uint32Array(this.ids.size).fill(CODES * each);
    for (const [i, row] of rows.entries())
      for (let m = 0; m < each; m++) ids[i * each + m] = CODES * m + codes[row * each + m];
    device.write(this.ids, ids);
    device.write(this.groups, groupRows(ids, rows.length * each, ids.length).data);
  }

  /** The touched rows [S, D], in the order of `touch()`; zeros follow behind them. */
  read(): Tensor {
    return embedding(this.table.parts, this.ids, this.groups).reshape([this.capacity, this.shape[1]]);
  }

  dispose(): void {
    this.ids.dispose();
    this.groups.dispose();
  }
}
