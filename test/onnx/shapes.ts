/** ONNX's operators that reduce, move or pick elements, by the engine's ops. */
import {
  abs,
  add as sumOf,
  argmax,
  argmin,
  concat,
  copy,
  equal,
  expand,
  gather,
  log,
  logSoftmax,
  logsumexp,
  max,
  mean,
  min,
  mul,
  type Over,
  permute,
  prod,
  type ReduceOptions,
  scatterAdd,
  sizeOf,
  slice,
  softmax,
  sqrt,
  sum,
  type Tensor,
  topk,
  transpose,
  where,
} from '../../engine/index.ts';
import type { Mapping } from './elementwise.ts';
import { type Call, unsupported } from './node.ts';

type Reduce = (x: Tensor, over: Over, options: ReduceOptions) => Tensor;

/** Axes of a reduction: all where none are given, unless these mean that nothing is to be done. */
const reduction =
  (f: Reduce, before: (x: Tensor) => Tensor = (x) => x, operand: 'f' | 'number' = 'f'): Mapping =>
  (c) => {
    const axes = c.listOr('axes', 1);
    const x = before(c[operand](0));
    if (x.size === 0 && (f === max || f === min || f === logsumexp)) unsupported('the largest of nothing');
    if (!axes?.length && c.attr('noop_with_empty_axes', 0)) return f(x, [], {});
    return f(x, axes?.length ? axes : 'all', { keepdims: c.attr('keepdims', 1) === 1 });
  };

/** The index of the best along an axis; of equals the first, or the last, where the axis is read backwards. */
const best =
  (f: typeof argmax): Mapping =>
  (c) => {
    const x = c.number(0);
    const axis = c.attr('axis', 0);
    const options = { keepdims: c.attr('keepdims', 1) === 1 };
    if (!c.attr('select_last_index', 0)) return f(x, axis, options);
    const n = x.shape.at(axis) as number;
    const back = f(slice(x, axis, n - 1, -1, -1), axis, options);
    return gather(c.device.tensor(Uint32Array.from({ length: n }, (_, i) => n - 1 - i)), back);
  };

/** Before version 13 axes were flattened from this one on. */
const alongAxis =
  (f: (x: Tensor, axis: number) => Tensor): Mapping =>
  (c) =>
    c.opset >= 13 ? f(c.f(0), c.attr('axis', -1)) : unsupported(`version ${c.opset}`);

const positive = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis);

/** Flat indices into a tensor of this shape, one for each index of `of`. */
function flatIds(c: Call, shape: readonly number[], of: readonly number[][]): Tensor {
  const flat = of.map((index) => index.reduce((at, i, axis) => at * shape[axis] + (i < 0 ? i + shape[axis] : i), 0));
  return c.device.tensor(Uint32Array.from(flat));
}

/** Every index of a shape, in order. */
function indices(shape: readonly number[]): number[][] {
  return Array.from({ length: sizeOf(shape) }, (_, i) => {
    const index: number[] = [];
    for (const n of [...shape].reverse()) {
      index.unshift(i % n);
      i = Math.floor(i / n);
    }
    return index;
  });
}

/** The lower or upper triangle of the last two axes. */
const triangle: Mapping = (c) => {
  const x = c.moved(0);
  const [k, upper] = [c.has(1) ? c.ints(1)[0] : 0, c.attr('upper', 1) === 1];
  const [rows, cols] = x.shape.slice(-2);
  const holds = Uint32Array.from({ length: rows * cols }, (_, i) => {
    const offset = (i % cols) - Math.floor(i / cols);
    return Number(upper ? offset >= k : offset <= k);
  });
  const none = x.dtype === 'u32' ? c.device.tensor(Uint32Array.of(0)) : c.device.tensor([0]);
  return where(c.device.tensor(holds, [rows, cols]), x, none);
};

export const shapes: Record<string, Mapping> = {
  ReduceSum: reduction(sum),
  ReduceMean: reduction(mean),
  ReduceMax: reduction(max, undefined, 'number'),
  ReduceMin: reduction(min, undefined, 'number'),
  ReduceProd: reduction(prod),
  ReduceL1: reduction(sum, abs),
  ReduceL2: reduction(
    (x, over, options) => sqrt(sum(x, over, options)),
    (x) => mul(x, x),
  ),
  ReduceSumSquare: reduction(sum, (x) => mul(x, x)),
  ReduceLogSum: reduction((x, over, options) => log(sum(x, over, options))),
  ReduceLogSumExp: reduction(logsumexp),
  ArgMax: best(argmax),
  ArgMin: best(argmin),
  Softmax: alongAxis(softmax),
  LogSoftmax: alongAxis(logSoftmax),
  Hardmax: alongAxis((x, axis) => {
    const n = x.shape.at(axis) as number;
    const at = argmax(x, axis, { keepdims: true });
    const shape = x.shape.map((_, i) => (i === positive(axis, x.rank) ? n : 1));
    return equal(
      at,
      x.device.tensor(
        Uint32Array.from({ length: n }, (_, i) => i),
        shape,
      ),
    );
  }),
  TopK: (c) => {
    const x = c.f(0);
    const axis = positive(c.attr('axis', -1), x.rank);
    if (axis !== x.rank - 1 || c.attr('largest', 1) === 0) unsupported('topk of the smallest, or of another axis');
    const [k, cols] = [c.ints(1)[0], x.shape[axis]];
    const { values, indices: at } = topk(x.reshape([x.size / cols, cols]), k);
    const shape = [...x.shape.slice(0, -1), k];
    return [values.reshape(shape), at.reshape(shape)];
  },
  Concat: (c) =>
    concat(
      Array.from({ length: c.count }, (_, i) => c.moved(i)),
      c.attr('axis', 0),
    ),
  Expand: (c) => {
    const x = c.f(0);
    const to = c.ints(1);
    // Both sides broadcast.
    const rank = Math.max(x.rank, to.length);
    const own = [...Array<number>(rank - x.rank).fill(1), ...x.shape];
    const wanted = [...Array<number>(rank - to.length).fill(1), ...to];
    return expand(
      x,
      own.map((n, i) => (n === 1 ? wanted[i] : n)),
    );
  },
  Tile: (c) => {
    const x = c.f(0);
    return c.ints(1).reduce((y, times, axis) => {
      const [outer, n, inner] = [y.shape.slice(0, axis), y.shape[axis], sizeOf(y.shape.slice(axis))];
      const rows = sizeOf(outer);
      const repeated = expand(y.reshape([rows, 1, inner]), [rows, times, inner]);
      return repeated.reshape([...outer, n * times, ...y.shape.slice(axis + 1)]);
    }, x);
  },
  Flatten: (c) => {
    const x = c.moved(0);
    const axis = positive(c.attr('axis', 1), x.rank);
    return copy(x.reshape([sizeOf(x.shape.slice(0, axis)), sizeOf(x.shape.slice(axis))]));
  },
  Gather: (c) => {
    const x = c.moved(0);
    const axis = positive(c.attr('axis', 0), x.rank);
    return gather(x, c.ids(1, x.shape[axis]), axis);
  },
  GatherElements: (c) => {
    const x = c.moved(0);
    const axis = positive(c.attr('axis', 0), x.rank);
    const { shape, values } = c.value(1);
    const of = indices(shape).map((index, i) => index.map((j, a) => (a === axis ? values[i] : j)));
    return gather(x.reshape([x.size]), flatIds(c, x.shape, of)).reshape(shape);
  },
  GatherND: (c) => {
    const x = c.moved(0);
    const { shape, values } = c.value(1);
    if (c.attr('batch_dims', 0) > 0) unsupported('batches');
    const width = shape.at(-1) as number;
    const of = Array.from({ length: values.length / width }, (_, i) => values.slice(i * width, (i + 1) * width));
    const [head, tail] = [x.shape.slice(0, width), x.shape.slice(width)];
    return gather(x.reshape([sizeOf(head), ...tail]), flatIds(c, head, of)).reshape([...shape.slice(0, -1), ...tail]);
  },
  ScatterElements: (c) => {
    if (c.text('reduction', 'none') !== 'add') unsupported('scattering other than by adding');
    const x = c.f(0);
    const axis = positive(c.attr('axis', 0), x.rank);
    const { shape, values } = c.value(1);
    const of = indices(shape).map((index, i) => index.map((j, a) => (a === axis ? values[i] : j)));
    const more = scatterAdd(c.f(2).reshape([sizeOf(shape)]), flatIds(c, x.shape, of), x.size);
    return sumOf(x, more.reshape(x.shape));
  },
  ScatterND: (c) => {
    if (c.text('reduction', 'none') !== 'add') unsupported('scattering other than by adding');
    const x = c.f(0);
    const { shape, values } = c.value(1);
    const width = shape.at(-1) as number;
    const of = Array.from({ length: values.length / width }, (_, i) => values.slice(i * width, (i + 1) * width));
    const [head, tail] = [x.shape.slice(0, width), x.shape.slice(width)];
    const more = scatterAdd(c.f(2).reshape([of.length, ...tail]), flatIds(c, head, of), sizeOf(head));
    return sumOf(x, more.reshape(x.shape));
  },
  OneHot: (c) => {
    const [off, on] = c.value(2).values;
    const depth = c.ints(1)[0];
    const { shape } = c.value(0);
    const axis = positive(c.attr('axis', -1), shape.length + 1);
    const ids = c.ids(0, depth).reshape([...shape.slice(0, axis), 1, ...shape.slice(axis)]);
    const steps = Array<number>(shape.length + 1).fill(1);
    steps[axis] = depth;
    const all = c.device.tensor(
      Uint32Array.from({ length: depth }, (_, i) => i),
      steps,
    );
    return where(equal(ids, all), c.scalar(on), c.scalar(off));
  },
  Identity: (c) => copy(c.moved(0)),
  Reshape: (c) => {
    const x = c.moved(0);
    const to = c.ints(1).map((n, i) => (n === 0 && !c.attr('allowzero', 0) ? x.shape[i] : n));
    const rest = x.size / to.reduce((n, m) => (m === -1 ? n : n * m), 1);
    return copy(x.reshape(to.map((n) => (n === -1 ? rest : n))));
  },
  Squeeze: (c) => {
    const x = c.moved(0);
    const axes = c.listOr('axes', 1)?.map((axis) => positive(axis, x.rank));
    return copy(x.reshape(x.shape.filter((n, i) => (axes ? !axes.includes(i) : n !== 1))));
  },
  Unsqueeze: (c) => {
    const x = c.moved(0);
    const given = c.listOr('axes', 1) ?? [];
    const rank = x.rank + given.length;
    const axes = given.map((axis) => positive(axis, rank));
    const own = [...x.shape];
    return copy(x.reshape(Array.from({ length: rank }, (_, i) => (axes.includes(i) ? 1 : (own.shift() as number)))));
  },
  Transpose: (c) => {
    const x = c.moved(0);
    const order = c.list('perm') ?? x.shape.map((_, i) => x.rank - 1 - i);
    if (x.rank === 2 && order[0] === 1 && x.dtype === 'f32') return transpose(x);
    return copy(permute(x, order));
  },
  Slice: (c) => {
    let x = c.moved(0);
    const [starts, ends] = [c.listOr('starts', 1) ?? [], c.listOr('ends', 2) ?? []];
    const axes = c.listOr('axes', 3) ?? starts.map((_, i) => i);
    const steps = c.has(4) ? c.ints(4) : starts.map(() => 1);
    for (const [i, axis] of axes.entries()) {
      const [n, step] = [x.shape.at(axis) as number, steps[i]];
      const [low, high] = step > 0 ? [0, n] : [-1, n - 1];
      const within = (at: number): number => Math.min(high, Math.max(low, positive(at, n)));
      const [from, to] = [within(starts[i]), within(ends[i])];
      x = slice(x, axis, from, step > 0 ? Math.max(from, to) : Math.min(from, to), step);
    }
    return x;
  },
  Split: (c) => {
    const x = c.f(0);
    const axis = positive(c.attr('axis', 0), x.rank);
    const parts = c.node.outputs.length;
    const even = Math.ceil(x.shape[axis] / parts);
    const sizes =
      c.listOr('split', 1) ?? Array.from({ length: parts }, (_, i) => Math.min(even, x.shape[axis] - i * even));
    let at = 0;
    return sizes.map((n) => slice(x, axis, at, (at += n)));
  },
  DepthToSpace: (c) => {
    const [x, b] = [c.f(0), c.attr('blocksize', 1)];
    const [n, depth, h, w] = x.shape;
    const rest = depth / (b * b);
    const columns = c.text('mode', 'DCR') === 'CRD';
    const y = columns
      ? permute(x.reshape([n, rest, b, b, h, w]), [0, 1, 4, 2, 5, 3])
      : permute(x.reshape([n, b, b, rest, h, w]), [0, 3, 4, 1, 5, 2]);
    return y.reshape([n, rest, h * b, w * b]);
  },
  SpaceToDepth: (c) => {
    const [x, b] = [c.f(0), c.attr('blocksize', 1)];
    const [n, depth, h, w] = x.shape;
    const y = permute(x.reshape([n, depth, h / b, b, w / b, b]), [0, 3, 5, 1, 2, 4]);
    return y.reshape([n, depth * b * b, h / b, w / b]);
  },
  Trilu: triangle,
};
