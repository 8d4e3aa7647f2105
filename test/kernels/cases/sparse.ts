import { rankOf, SparseMatrix, sparseMatmul } from '../../../engine/index.ts';
import type { Case } from '../harness.ts';

/** S [m, n] with up to `most` entries a row; row 1 is empty, column 0 is in every other row, some entries twice. */
function sparse(m: number, n: number, most: number) {
  const [starts, columns, values]: [number[], number[], number[]] = [[0], [], []];
  for (let i = 0; i < m; i++) {
    for (let e = 0; e < (i === 1 ? 0 : (i * 5) % (most + 1)); e++) {
      columns.push(e === 0 ? 0 : (i * 7 + e * e) % n);
      values.push(((i + 3 * e) % 9) / 4 - 1);
    }
    starts.push(columns.length);
  }
  return { starts: Uint32Array.from(starts), columns: Uint32Array.from(columns), values: Float32Array.from(values) };
}

const variants = { sparse_matmul: ['sparse_matmul SIZE=4', 'sparse_matmul SIZE=1'] };

const product = (name: string, m: number, n: number, d: number, most: number): Case => ({
  op: 'sparse-matmul',
  name,
  inputs: { x: { shape: [n, d] } },
  prepare: (device) => new SparseMatrix(device, sparse(m, n, most), n),
  run: ({ x }, _, s) => sparseMatmul(s as SparseMatrix, x),
  variants,
});

/** S as the inputs of a step, whose ranges are unchecked: rows that are out of range become NaN, which `rankOf` gives as 0. */
const unchecked = (name: string, starts: number[], columns: number[]): Case => {
  const u32 = (values: number[]) => ({
    shape: [values.length],
    dtype: 'u32' as const,
    value: (i: number) => values[i],
  });
  return {
    op: 'sparse-matmul',
    name,
    inputs: {
      x: { shape: [4, 8], grad: false },
      starts: u32(starts),
      columns: u32(columns),
      values: { shape: [columns.length], grad: false },
      targets: u32(starts.slice(1).map(() => 0)),
    },
    run: ({ x, starts: at, columns: c, values, targets }) => {
      const s = { shape: [starts.length - 1, 4] as const, forward: { starts: at, columns: c, values } };
      return rankOf(sparseMatmul(s, x), targets);
    },
    gradients: false,
    variants,
  };
};

export const sparseCases: Case[] = [
  unchecked('a column beyond x', [0, 2, 4], [0, 3, 4, 1]),
  unchecked('a column far beyond x', [0, 1, 2], [0xffffffff, 1]),
  unchecked('starts beyond the entries', [0, 2, 9], [0, 3, 2, 1]),
  unchecked('starts that decrease', [0, 3, 1, 2], [0, 3, 2, 1]),
  product('S [5,4] of width 8', 5, 4, 8, 3),
  product('width 1', 9, 3, 1, 4),
  product('width 7, a column in most rows', 130, 20, 7, 6),
  product('width 64', 70, 33, 64, 9),
  product('width 260, more than the lanes of a row', 3, 5, 260, 2),
  product('no entries at all', 2, 3, 4, 0),
  {
    op: 'sparse-matmul',
    name: 'gradients add up',
    inputs: { x: { shape: [6, 12] } },
    prepare: (device) => new SparseMatrix(device, sparse(10, 6, 3), 6),
    run: ({ x }, _, s) => [sparseMatmul(s as SparseMatrix, x), sparseMatmul(s as SparseMatrix, x)],
    variants,
  },
];
