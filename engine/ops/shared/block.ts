/** Copies a block of columns from one matrix into one of another: what copy, slice and concat share. */
import { into } from '../../autograd.ts';
import type { Reference } from '../../reference.ts';
import { elementVariants, groups, kernel, type Params } from '../../kernel.ts';
import { sizeOf, type Tensor } from '../../tensor.ts';
import { expectRank } from './check.ts';
import { axisOf } from './reduce.ts';

const COPY = kernel(
  'copy_block',
  elementVariants('copy_block', 'u32', ['cols', 'from_stride', 'from_offset', 'to_stride', 'to_offset'], (size) => ({
    grid: (p) => groups((p.rows * p.cols) / size, 256),
    constants: () => ({ Number: size === 4 ? 'vec4f' : 'f32' }),
  })),
);

/** y[r · to_stride + to_offset + c] = [that +] x[r · from_stride + from_offset + c]. */
export const blockReference: Reference = ({ x, y }, p) => {
  for (let r = 0; r < p.rows; r++) {
    for (let c = 0; c < p.cols; c++) {
      const to = r * p.to_stride + p.to_offset + c;
      y[to] = (p.acc ? y[to] : 0) + x[r * p.from_stride + p.from_offset + c];
    }
  }
};

/** A block of columns inside of a matrix: `stride` is the matrix's width, `offset` the block's first column. */
export interface ColumnBlock {
  stride: number;
  offset: number;
}

/** Copies [rows, cols] from one block to another, or adds it there. Bits are kept, so u32 may be copied too. */
export function copyBlock(
  x: Tensor,
  from: ColumnBlock,
  y: Tensor,
  to: ColumnBlock,
  rows: number,
  cols: number,
  acc = 0,
): void {
  const params: Params = {
    rows,
    cols,
    acc,
    from_stride: from.stride,
    from_offset: from.offset,
    to_stride: to.stride,
    to_offset: to.offset,
  };
  x.device.run(COPY, blockReference, { x, y }, params);
}

/** Copies all of dy's block into x's gradient, or adds it there. */
export function blockGradient(dy: Tensor, from: ColumnBlock, x: Tensor, rows: number, cols: number): void {
  const { grad, acc } = into(x);
  copyBlock(dy, from, grad, { stride: cols, offset: 0 }, rows, cols, acc);
}

/** The tensor as a matrix in which an axis (−1 is the last) and those behind it are the columns, `unit` elements a step. */
export function alongColumns(
  op: string,
  x: Tensor,
  axis: number,
): { rows: number; cols: number; unit: number; length: number } {
  expectRank(op, 'x', x, 1);
  const at = axisOf(op, x, axis);
  const length = x.shape[at];
  const unit = sizeOf(x.shape.slice(at + 1));
  return { rows: sizeOf(x.shape.slice(0, at)), cols: length * unit, unit, length };
}
