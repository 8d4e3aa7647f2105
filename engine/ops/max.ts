/**
 * The largest and the smallest of everything or over any axes, and where they are. The gradient goes to the first of
 * equals. Axes that do not lie at the end are copied there first.
 */
import { gradOf, into } from '../autograd.ts';
import { groups, kernel, lanes8 } from '../kernel.ts';
import { texts } from '../../kernels/max/texts.ts';
import { showShape, type Tensor } from '../tensor.ts';
import { maxBackward, maxForward } from './max.ref.ts';
import { permute } from './permute.ts';
import { expectType } from './shared/check.ts';
import { axesOf, countOver, lastOrder, type Over, reducedShape } from './shared/reduce.ts';
import type { ReduceOptions } from './sum.ts';
import { neg } from './unary.ts';

const FORWARD = kernel(
  'max_fwd',
  [
    {
      file: 'max_fwd_sub8',
      requires: lanes8,
      grid: (p) => groups(p.rows * p.chunks, 8),
    },
    { file: 'max_fwd', grid: (p) => p.rows * p.chunks },
  ],
  undefined,
  texts,
);
const BACKWARD = kernel('max_bwd', (p) => groups(p.n, 1024), undefined, texts);
const CHUNK = 4096;

/** The largest of x, a scalar of shape [], NaN where one is NaN; or over the last axis or these axes. */
export function max(x: Tensor, over: Over = 'all', options: ReduceOptions = {}): Tensor {
  return largest('max', x, over, options).y;
}

/** The smallest of x, as `max`. */
export function min(x: Tensor, over: Over = 'all', options: ReduceOptions = {}): Tensor {
  return neg(largest('min', neg(x), over, options).y);
}

/** Where the largest is along an axis (the last by default), the first of equals; NaN is the largest. u32, no gradient. */
export function argmax(x: Tensor, axis = -1, options: ReduceOptions = {}): Tensor {
  return largest('argmax', x.detach(), axis, options).at;
}

/** Where the smallest is along an axis (the last by default), the first of equals; NaN is the smallest. u32, no gradient. */
export function argmin(x: Tensor, axis = -1, options: ReduceOptions = {}): Tensor {
  return largest('argmin', neg(x.detach()), axis, options).at;
}

/** The largest over some axes, and its flat index in them. */
function largest(
  name: string,
  input: Tensor,
  over: Over,
  { keepdims = false }: ReduceOptions,
): { y: Tensor; at: Tensor } {
  const { device } = input;
  expectType(name, 'x', input);
  const axes = axesOf(name, input, over);
  const cols = countOver(input.shape, axes);
  if (cols === 0) throw new Error(`${name}: expected at least one element, got ${showShape(input.shape)}`);
  const x = permute(
    input,
    lastOrder(input.rank, (axis) => axes.includes(axis)),
  );
  const rows = x.size / cols;
  const shape = reducedShape(input.shape, axes, keepdims);
  const y = device.empty(shape, 'f32', name);
  const at = device.empty(shape, 'u32', `${name} at`);
  const chunks = Math.ceil(cols / CHUNK);
  if (chunks <= 2) {
    device.run(FORWARD, maxForward, { x, within: null, y, at }, { rows, cols, chunk: cols, chunks: 1, second: 0 });
  } else {
    const part = device.empty([rows, chunks], 'f32', 'partial max');
    const within = device.empty([rows, chunks], 'u32', 'partial max at');
    device.run(
      FORWARD,
      maxForward,
      { x, within: null, y: part, at: within },
      { rows, cols, chunk: CHUNK, chunks, second: 0 },
    );
    device.run(
      FORWARD,
      maxForward,
      { x: part, within, y, at },
      { rows, cols: chunks, chunk: chunks, chunks: 1, second: 1 },
    );
  }
  device.tape.record([x], y, () => {
    const { grad: dx, acc } = into(x);
    device.run(BACKWARD, maxBackward, { at, dy: gradOf(y), dx }, { n: x.size, cols, acc });
  });
  return { y, at };
}
