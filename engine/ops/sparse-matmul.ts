/**
 * The product of a sparse matrix with a dense one. It is an embedding bag (a row of S holds the rows of a table that
 * make up an item, with their weights) and a mean over segments (weights 1 / length). The gradient is the same product with
 * the transpose, which the host makes, so that its sums have a fixed order. The matrix is a constant of a model
 * (`SparseMatrix`) or comes with each batch (`SparseTensors` that are inputs, longer than their entries if need be).
 */
import type { Device } from '../device.ts';
import { gradOf, into } from '../autograd.ts';
import { groups, kernel, type Params } from '../kernel.ts';
import { showShape, type Tensor } from '../tensor.ts';
import { expectConstants } from './shared/check.ts';
import { lanes } from './shared/lanes.ts';
import { sparseMatmulReference } from './sparse-matmul.ref.ts';

const variant = (file: string, unit: number) => ({
  file,
  accepts: (p: Params) => p.d % unit === 0,
  grid: (p: Params) => groups(p.rows, 64 / lanes(p.d / unit)),
  constants: (p: Params) => ({ LANES: lanes(p.d / unit) }),
});
const SPARSE_MATMUL = kernel('sparse_matmul', [variant('sparse_matmul', 4), variant('sparse_matmul_scalar', 1)]);

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
      throw new Error(`${label}: starts that rise to the number of entries, ${host.columns.length}, were expected`);
    }
    if (host.columns.some((c) => c >= columns)) throw new Error(`${label}: columns below ${columns} were expected`);
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

/** S [M, N] · x [N, D] → [M, D]; rows of S without entries give zeros. The gradient goes to x alone. */
export function sparseMatmul(s: Sparse, x: Tensor): Tensor {
  const { device } = x;
  const [rows, n] = s.shape;
  if (x.rank !== 2 || x.shape[0] !== n || x.dtype !== 'f32') {
    throw new Error(
      `sparseMatmul: f32 [${n},D] was expected for S [${rows},${n}], came ${x.dtype} ${showShape(x.shape)}`,
    );
  }
  expectConstants('sparseMatmul', { values: s.forward.values });
  const d = x.shape[1];
  const y = device.empty([rows, d], 'f32', 'sparseMatmul');
  if (y.size > 0) device.run(SPARSE_MATMUL, sparseMatmulReference, { ...s.forward, x, y }, { rows, d, acc: 0 });
  device.tape.record([x], y, () => {
    if (!s.transposed) throw new Error('sparseMatmul: the transpose was expected, since a gradient is asked for');
    const { grad, acc } = into(x);
    const tensors = { ...s.transposed, x: gradOf(y), y: grad };
    device.run(SPARSE_MATMUL, sparseMatmulReference, tensors, { rows: n, d, acc: acc ? 1 : 0 });
  });
  return y;
}
