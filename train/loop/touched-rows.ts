/** The rows of the item table that a step reads, numbered from 0, for a table whose gradient is kept for these alone. */
import type { CodedRows, RowTable } from '../../engine/index.ts';

export class TouchedRows {
  private readonly table: RowTable | CodedRows;
  /** [V] 1 + the number of a row in the list; 0: it is not in it. */
  private readonly numbers: Uint32Array;
  private readonly rows: Uint32Array;
  private count = 0;

  constructor(table: RowTable | CodedRows) {
    this.table = table;
    this.numbers = new Uint32Array(table.shape[0]);
    this.rows = new Uint32Array(table.capacity);
  }

  /** Begins the list of a step. */
  start(): void {
    for (let i = 0; i < this.count; i++) this.numbers[this.rows[i]] = 0;
    this.count = 0;
  }

  /** Puts the rows' numbers in the list in place of their numbers in the table; 0 in place of those from `used` on. */
  renumber(ids: Uint32Array, used: number): void {
    const { numbers, rows } = this;
    for (let i = 0; i < used; i++) {
      const id = ids[i];
      if (numbers[id] === 0) {
        rows[this.count] = id;
        numbers[id] = ++this.count;
      }
      ids[i] = numbers[id] - 1;
    }
    ids.fill(0, used);
  }

  /** Writes the list to the device. */
  upload(): void {
    this.table.touch(this.rows.subarray(0, this.count));
  }
}
