/**
 * The product of a sparse matrix with a dense one. It is an embedding bag (a row of S holds the rows of a table that
 * make up an item, with their weights) and a mean over segments (weights 1 / length). The gradient is the same product with
 * the transpose, which the host makes, so that its sums have a fixed order. The matrix is a constant of a model
 * (`SparseMatrix`) or comes with each batch (`SparseTensors` that are inputs, longer than their entries if need be).
 */
import type { Device } from '../device.ts';
import { gradOf, into } from '../autograd.ts';
import { elementVariants, groups, kernel } from '../kernel.ts';
import { showShape, type Tensor } from '../tensor.ts';
import { expectConstants } from './shared/check.ts';
import { lanes } from './shared/lanes.ts';
import { sparseMatmulReference } from './sparse-matmul.ref.ts';

const SPARSE_MATMUL = kernel(
  'sparse_matmul',
  elementVariants('sparse_matmul', 'f32', ['d'], (size) => ({
    grid: (p) => groups(p.rows, 64 / lanes(p.d / size)),
    constants: (p) => ({ LANES: lanes(p.d / size) }),
  })),
);

/** A sparse matrix on the host: row i holds `values` at `columns` from starts[i] to starts[i + 1]. */
export interface SparseHost {
  /** [M + 1] */
  starts: Uint32Array;
  columns: Uint32Array;
  values: Float32Array;
}

/** The same on the device: starts u32 [M + 1], columns u32, values f32; these may be longer than starts[M]. */
export interface SparseTensors {
  starts: Tensor;
  columns: Tensor;
  values: Tensor;
}

/** S [M, N]; the transpose is needed for a gradient alone. */
export interface Sparse {
  readonly shape: readonly [number, number];
  readonly forward: SparseTensors;
  readonly transposed?: SparseTensors;
}

/** S [M, N] and its transpose, as constants of a model: they live until `dispose`. */
export class SparseMatrix implements Sparse {
  readonly shape: readonly [number, number];
  readonly forward: SparseTensors;
  readonly transposed: SparseTensors;

  /** @throws Error when a column lies beyond `columns`, or starts do not rise to the number of entries */
  constructor(device: Device, host: SparseHost, columns: number, label = 'sparse') {
    const rows = host.starts.length - 1;
    const { starts } = host;
    const rising = starts.every((at, i) => i === 0 || at >= starts[i - 1]);
    if (!rising || starts[rows] !== host.columns.length || host.values.length !== host.columns.length) {
      throw new Error(
        `${label}: expected starts that rise to the number of entries, ${host.columns.length}, and as many values`,
      );
    }
    const beyond = host.columns.find((c) => c >= columns);
    if (beyond !== undefined) throw new Error(`${label}: expected columns below ${columns}, got ${beyond}`);
    this.shape = [rows, columns];
    this.forward = upload(device, host, label);
    this.transposed = upload(device, transposeSparse(host, columns), `${label} transposed`);
  }

  dispose(): void {
    for (const { starts, columns, values } of [this.forward, this.transposed]) {
      for (const tensor of [starts, columns, values]) tensor.dispose();
    }
  }
}

/** Sᵀ; the entries of a row keep the order of S's rows. */
export function transposeSparse({ starts, columns, values }: SparseHost, width: number): SparseHost {
  const out = {
    starts: new Uint32Array(width + 1),
    columns: new Uint32Array(columns.length),
    values: new Float32Array(values.length),
  };
  for (const c of columns) out.starts[c + 1]++;
  for (let c = 0; c < width; c++) out.starts[c + 1] += out.starts[c];
  const next = out.starts.slice();
  for (let row = 0; row + 1 < starts.length; row++) {
    for (let e = starts[row]; e < starts[row + 1]; e++) {
      const at = next[columns[e]]++;
      out.columns[at] = row;
      out.values[at] = values[e];
    }
  }
  return out;
}

function upload(device: Device, { starts, columns, values }: SparseHost, label: string): SparseTensors {
  // A binding holds one word at least.
  const some = <A extends Uint32Array | Float32Array>(a: A, empty: A): A => (a.length > 0 ? a : empty);
  return {
    starts: device.tensor(starts, undefined, { label: `${label} starts` }).keep(),
    columns: device.tensor(some(columns, new Uint32Array(1)), undefined, { label: `${label} columns` }).keep(),
    values: device.tensor(some(values, new Float32Array(1)), undefined, { label: `${label} values` }).keep(),
  };
}

/**
 * S [M, N] · x [N, D] → [M, D]; rows of S without entries give zeros. The gradient goes to x alone. Rows whose columns or
 * starts are out of range become NaN.
 */
export function sparseMatmul(s: Sparse, x: Tensor): Tensor {
  const { device } = x;
  const [rows, n] = s.shape;
  if (x.rank !== 2 || x.shape[0] !== n || x.dtype !== 'f32') {
    throw new Error(`sparseMatmul: expected f32 [${n},D] for S [${rows},${n}], got ${x.dtype} ${showShape(x.shape)}`);
  }
  checkSparse('S', s.forward, rows);
  if (s.transposed) checkSparse('the transpose of S', s.transposed, n);
  const d = x.shape[1];
  const y = device.empty([rows, d], 'f32', 'sparseMatmul');
  const entries = s.forward.columns.size;
  device.run(SPARSE_MATMUL, sparseMatmulReference, { ...s.forward, x, y }, { rows, n, d, entries, acc: 0 });
  device.tape.record([x], y, () => {
    if (!s.transposed) throw new Error('sparseMatmul: a gradient of x requires the transpose of S, got none');
    const { grad, acc } = into(x);
    const params = { rows: n, n: rows, d, entries: s.transposed.columns.size, acc };
    device.run(SPARSE_MATMUL, sparseMatmulReference, { ...s.transposed, x: gradOf(y), y: grad }, params);
  });
  return y;
}

function checkSparse(name: string, { starts, columns, values }: SparseTensors, rows: number): void {
  const types = `${starts.dtype},${columns.dtype},${values.dtype}` === 'u32,u32,f32';
  if (!types || starts.size !== rows + 1 || columns.size !== values.size) {
    const got = [starts, columns, values].map((t) => `${t.dtype} ${showShape(t.shape)}`).join(', ');
    throw new Error(
      `sparseMatmul: expected ${name} as u32 starts [${rows + 1}] and as many u32 columns as f32 values, got ${got}`,
    );
  }
  expectConstants('sparseMatmul', { values });
}
