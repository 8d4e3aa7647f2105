/**
 * A parameter table [V, D] of which a step reads few rows, as those of a loss over sampled negatives are: values, moments
 * and average in shards, and gradients of the rows that a step reads alone (engine/ops/adamw-rows.ts has the optimizer).
 *
 * Before each step the host says by `touch()` which rows it reads; the step reads them as a leaf [S, D] by `read()`, and
 * what it looks up are positions in that list. The host knows by its calls up to which step each row is done.
 */
import type { Device } from '../device.ts';
import {
  catchUpAll,
  catchUpRows,
  currentRows,
  ROW_RING,
  type RowOptions,
  type RowShard,
  TOUCHED_HEAD,
} from '../ops/adamw-rows.ts';
import { exchange } from '../ops/adamw.ts';
import { ShardedTable } from '../table.ts';
import { showShape, type Shape, type Tensor } from '../tensor.ts';

/** More than a step reads: rows and positions share the 53 bits of a double while sorting. */
const POSITIONS = 2 ** 22;

/** What a row table is trained by: AdamW with two moments, or row-wise Adagrad with one number a row. */
export type RowOptimizer = 'adamw' | 'adagrad';

/** What of a parameter's specification it reads. */
interface Spec {
  name: string;
  shape: Shape;
  decay: boolean;
  embedding?: boolean;
  touchedRows?: number;
  rowOptimizer?: RowOptimizer;
}

/** What a training continues from, besides values and moments. */
export interface RowProgress {
  /** u32 [V]: the step up to which each row is done. */
  last: Uint32Array;
  /** f32 [ROW_RING · 4] */
  history: Float32Array;
  /** f32 [V]: with row-wise Adagrad, each row's sum of squares. */
  sums?: Float32Array;
}

export class RowTable {
  readonly name: string;
  readonly shape: Shape;
  readonly shards: readonly RowShard[];
  /** The whole table, a constant: for what reads it without a gradient. */
  readonly values: Tensor | ShardedTable;
  readonly grads: Tensor;
  readonly touched: Tensor;
  readonly history: Tensor;
  readonly decay: 'weightDecay' | 'embeddingDecay' | null;
  private readonly device: Device;
  /** Of each row, the step up to which it is done. */
  private readonly last: Uint32Array<ArrayBuffer>;
  /** Steps that rows were touched for. */
  private steps = 0;

  /** @param rows of each shard, in order */
  constructor(
    device: Device,
    { name, shape, decay, embedding, touchedRows = 0, rowOptimizer }: Spec,
    rows: readonly number[],
  ) {
    const [v, d] = shape;
    if (shape.length !== 2 || !(Number.isInteger(touchedRows) && touchedRows >= 1))
      throw new Error(
        `parameters: expected a table [V,D] and at least one row a step, got ${name} ${showShape(shape)} and ${touchedRows}`,
      );
    this.device = device;
    this.last = new Uint32Array(v);
    this.name = name;
    this.shape = shape;
    this.decay = decay ? 'weightDecay' : embedding ? 'embeddingDecay' : null;
    const capacity = Math.min(v, touchedRows);
    let first = 0;
    this.shards = rows.map((count) => {
      const zeros = (what: string): Tensor => device.zeros([count, d], `${what} of ${name}`).keep();
      const own =
        rowOptimizer === 'adagrad'
          ? { sums: device.zeros([count], `sums of ${name}`).keep() }
          : { m: zeros('m'), v: zeros('v') };
      const shard: RowShard = { first, params: zeros('params'), ...own };
      first += count;
      return shard;
    });
    const tensors = this.shards.map(({ params }) => params);
    this.values = tensors.length === 1 ? tensors[0] : new ShardedTable(tensors, name);
    this.grads = device.zeros([capacity, d], `grads of ${name}`).keep();
    this.touched = device
      .tensor(new Uint32Array(TOUCHED_HEAD + 3 * capacity), undefined, { label: 'touched rows' })
      .keep();
    this.history = device.zeros([ROW_RING, 4], 'history of steps').keep();
  }

  /** Most rows that a step can read. */
  get capacity(): number {
    return this.grads.shape[0];
  }

  /** Says which rows the next step reads, each once. To be called once before each step. */
  touch(rows: Uint32Array): void {
    if (rows.length > this.capacity)
      throw new Error(`${this.name}: expected at most ${this.capacity} rows in a step, got ${rows.length}`);
    const { last } = this;
    const words = new Uint32Array(this.touched.size);
    words[0] = rows.length;
    this.steps++;
    // In the order of the table, with the position in the list below.
    const order = Float64Array.from(rows, (row, i) => row * POSITIONS + i).sort();
    for (const [i, both] of order.entries()) {
      const position = both % POSITIONS;
      const row = rows[position];
      words.set([row, last[row], position], TOUCHED_HEAD + 3 * i);
      last[row] = this.steps;
    }
    this.device.write(this.touched, words);
  }

  /**
   * The rows that the step reads, as of the last step: a leaf [S, D] whose gradient the optimizer's step reads. Anything
   * follows behind them. To be called once in each step, before anything reads the leaf.
   */
  read(options: RowOptions): Tensor {
    const rows = catchUpRows(this, options);
    this.device.makeLeaf(rows, this.grads);
    return rows;
  }

  /** Brings every row up to the last step. */
  catchUp(options: RowOptions): void {
    this.withLast((last) => catchUpAll(this, options, last));
    this.last.fill(this.steps);
  }

  private withLast(work: (last: Tensor) => void): void {
    const last = this.device.tensor(this.last, undefined, { label: `steps of ${this.name}` }).keep();
    work(last);
    last.dispose();
  }

  /**
   * Puts the values as of the last step, or with `averageDecay` their average, where the stored ones are. Gives what puts
   * these back, bit for bit.
   */
  show(options: RowOptions): () => void {
    const shown = this.shards.map(({ params }) =>
      this.device.empty(params.shape, 'f32', `current ${this.name}`).keep(),
    );
    this.withLast((last) => {
      for (const [i, shard] of this.shards.entries()) currentRows(this, shard, options, last, shown[i]);
    });
    const swap = (): void => {
      for (const [i, { params }] of this.shards.entries()) exchange(params, shown[i]);
    };
    swap();
    return () => {
      swap();
      for (const y of shown) y.dispose();
    };
  }

  async progress(): Promise<RowProgress> {
    const history = (await this.history.data()) as Float32Array;
    if (!this.shards[0].sums) return { last: this.last.slice(), history };
    const sums = new Float32Array(this.shape[0]);
    for (const shard of this.shards) sums.set((await shard.sums?.data()) as Float32Array, shard.first);
    return { last: this.last.slice(), history, sums };
  }

  /** Continues after so many steps. @param progress null: every row is done up to there, as in a dense training */
  load(progress: RowProgress | null, steps: number): void {
    const size = progress?.sums?.length ?? 0;
    if (size !== (this.shards[0].sums ? this.shape[0] : 0))
      throw new Error(
        `${this.name}: expected the sums of ${this.shards[0].sums ? this.shape[0] : 0} rows, got ${size}`,
      );
    if (progress && progress.last.length !== this.last.length)
      throw new Error(`${this.name}: expected the steps of ${this.last.length} rows, got ${progress.last.length}`);
    this.steps = steps;
    if (!progress) this.last.fill(steps);
    else {
      this.last.set(progress.last);
      this.device.write(this.history, progress.history);
      for (const { sums, first, params } of this.shards)
        if (sums) this.device.write(sums, (progress.sums as Float32Array).subarray(first, first + params.shape[0]));
    }
  }

  /** Frees all but the values. */
  freeze(): void {
    for (const { m, v, sums, average } of this.shards) for (const t of [m, v, sums, average]) t?.dispose();
    for (const t of [this.grads, this.touched, this.history]) t.dispose();
  }

  dispose(): void {
    this.freeze();
    for (const { params } of this.shards) params.dispose();
  }
}
