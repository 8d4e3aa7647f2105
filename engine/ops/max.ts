/** The largest of everything or of the last axis. The gradient goes to the first of equals. */
import { gradOf, into } from '../autograd.ts';
import { groups, kernel, lanes8 } from '../kernel.ts';
import { showShape, type Tensor } from '../tensor.ts';
import { maxBackward, maxForward } from './max.ref.ts';
import { asMatrix, expectOneOf, expectRank, expectType } from './shared/check.ts';
import type { Over } from './sum.ts';

const FORWARD = kernel('max_fwd', [
  {
    file: 'max_fwd_sub8',
    requires: lanes8,
    grid: (p) => groups(p.rows * p.chunks, 8),
  },
  { file: 'max_fwd', grid: (p) => p.rows * p.chunks },
]);
const BACKWARD = kernel('max_bwd', (p) => groups(p.n, 1024));
const CHUNK = 4096;

/** max x, a scalar of shape [], NaN where one is NaN; or, over the last axis of x [..., n], a tensor [...]. */
export function max(x: Tensor, over: Over = 'all'): Tensor {
  const { device } = x;
  expectType('max', 'x', x);
  expectOneOf('max', 'over', over, ['all', 'last']);
  if (over === 'last') expectRank('max', 'x', x, 1);
  const { rows, cols } = over === 'all' ? { rows: 1, cols: x.size } : asMatrix(x);
  if (cols === 0) throw new Error(`max: expected at least one element, got ${showShape(x.shape)}`);
  const shape = over === 'all' ? [] : x.shape.slice(0, -1);
  const y = device.empty(shape, 'f32', 'max');
  const at = device.empty(shape, 'u32', 'max at');
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
  return y;
}
