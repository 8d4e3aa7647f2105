/** What each op adds to a random graph: its inputs, of earlier values or new ones, and its result. */
import type { CrossBounds, Over, ReduceOptions, Shape, SparseHost, Tensor } from '../../../engine/index.ts';
import {
  abs,
  add,
  addLayernorm,
  asinh,
  atan,
  attention,
  bceWithLogits,
  biasWidth,
  cachedAttention,
  concat,
  copy,
  cos,
  crossAttention,
  crossBounds,
  crossEntropy,
  div,
  dropout,
  embedding,
  embeddingSum,
  erf,
  exp,
  expand,
  gather,
  gatedRecurrence,
  gelu,
  geluErf,
  layernorm,
  log,
  logSoftmax,
  logsumexp,
  matmul,
  max,
  mean,
  min,
  mish,
  mixtureOfLogits,
  mul,
  neg,
  normalize,
  permute,
  pow,
  prod,
  rankOf,
  rankTiles,
  reciprocal,
  relativeAttention,
  relu,
  rmsnorm,
  rotary,
  rotaryAngles,
  rowDot,
  sampledLoss,
  scale,
  scatterAdd,
  sigmoid,
  silu,
  sin,
  slice,
  softmax,
  softplus,
  softsign,
  sparseMatmul,
  sparseScores,
  sqrt,
  sub,
  sum,
  swiglu,
  tableScores,
  tanh,
  topk,
  transpose,
  transposeSparse,
  where,
} from '../../../engine/index.ts';
import { spansOf } from '../cases/attention.ts';
import { grouped } from '../cases/embedding.ts';
import { type Get, type Graph, type GraphOps, SIZES, sizeOf, WIDTHS4 } from './graph.ts';

const unary = (f: (x: Tensor) => Tensor) => (g: Graph) => {
  const { get, shape } = g.any();
  g.value(shape, (v, t) => f(get(v, t)));
};

const binary = (f: (a: Tensor, b: Tensor) => Tensor) => (g: Graph) => {
  const { get: a, shape } = g.any();
  const suffix = shape.slice(g.below(shape.length + 1));
  const b = g.pick([() => g.as(shape), () => g.as(suffix), () => g.as([])])();
  const swapped = g.below(2) === 1;
  g.value(shape, (v, t) => (swapped ? f(b(v, t), a(v, t)) : f(a(v, t), b(v, t))));
};

/** Of shapes that broadcast: some axes of either are 1, and some in front are missing. */
const broadcast = (f: (a: Tensor, b: Tensor) => Tensor) => (g: Graph) => {
  const shape = Array.from({ length: g.below(4) + 1 }, () => g.pick([1, 2, 3, 4]));
  const side = (): Shape => shape.map((n) => (g.below(3) === 0 ? 1 : n)).slice(g.below(2));
  const [a, b] = [side(), side()];
  const [x, y] = [g.as(a), g.as(b)];
  const rank = Math.max(a.length, b.length);
  const axis = (s: Shape, i: number): number => s[i - rank + s.length] ?? 1;
  const result = Array.from({ length: rank }, (_, i) => Math.max(axis(a, i), axis(b, i)));
  g.value(result, (v, t) => f(x(v, t), y(v, t)));
};

/** A value of up to four axes. */
const shaped = (g: Graph): { get: Get; shape: Shape } => {
  const shape = Array.from({ length: g.below(4) + 1 }, () => g.pick([1, 2, 3, 4]));
  return { get: g.as(shape), shape };
};

const over = (f: (x: Tensor, over: Over, options: ReduceOptions) => Tensor) => (g: Graph) => {
  const { get, shape } = g.below(2) === 0 ? g.any() : shaped(g);
  const axes = shape.map((_, axis) => axis).filter(() => g.below(2) === 0);
  const which = shape.length > 0 ? g.pick(['all', 'last', axes] as const) : 'all';
  const reduced = which === 'all' ? shape.map((_, i) => i) : which === 'last' ? [shape.length - 1] : axes;
  const keepdims = g.below(2) === 0;
  const left = shape.flatMap((n, i) => (reduced.includes(i) ? (keepdims ? [1] : []) : [n]));
  g.note(JSON.stringify({ which, keepdims }));
  g.value(left, (v, t) => f(get(v, t), which, { keepdims }));
};

/** Tokens in segments, the last of them unused: starts and ends. */
function segments(g: Graph): { l: number; start: Get; end: Get } {
  const lengths = Array.from({ length: g.below(3) + 1 }, () => g.below(5) + 1);
  const tail = g.below(3);
  const spans = spansOf(lengths, tail);
  const l = spans.start.length;
  const column = (values: number[]): Get => g.fixed({ shape: [l], dtype: 'u32', value: (i) => values[i] });
  return { l, start: column(spans.start), end: column(spans.end) };
}

const rate = (g: Graph): number => g.pick([0, 0.3]);
const u32 = (g: Graph, shape: Shape, value: (i: number) => number): Get => g.fixed({ shape, dtype: 'u32', value });

/** The ops that graphs are made of. */
export const OPS: GraphOps = {
  gelu: unary(gelu),
  relu: unary(relu),
  silu: unary(silu),
  sigmoid: unary(sigmoid),
  tanh: unary(tanh),
  copy: unary(copy),
  // Of bounded numbers, or graphs would overflow.
  exp: unary((x) => exp(tanh(x))),
  log: unary((x) => log(exp(tanh(x)))),
  scale: unary((x) => scale(x, -0.7)),
  dropout: unary((x) => dropout(x, 0.3)),
  softmax: (g) => {
    const { get, shape } = shaped(g);
    const axis = g.below(shape.length);
    const f = g.pick([softmax, logSoftmax]);
    g.value(shape, (v, t) => f(get(v, t), axis));
  },
  // Of bounded numbers, away from what has steps or corners, or slopes that central differences miss.
  smooth: unary((x) =>
    [erf, geluErf, sin, cos, atan, asinh, softplus, softsign, mish, neg].reduce((y, f) => f(y), tanh(x)),
  ),
  positive: unary((x) => pow(sqrt(abs(exp(tanh(x)))), reciprocal(exp(tanh(x))))),
  broadcast: broadcast((a, b) => add(sub(a, b), mul(tanh(a), b))),
  quotients: broadcast((a, b) => div(a, exp(tanh(b)))),
  where: (g) => {
    const { get, shape } = shaped(g);
    const other = g.as(shape.slice(g.below(shape.length)));
    const condition = u32(g, [shape.at(-1) as number], (i) => i % 2);
    g.value(shape, (v, t) => where(condition(v, t), get(v, t), other(v, t)));
  },
  permute: (g) => {
    const { get, shape } = shaped(g);
    const order = shape.map((_, axis) => axis);
    for (let i = order.length - 1; i > 0; i--) {
      const j = g.below(i + 1);
      [order[i], order[j]] = [order[j], order[i]];
    }
    g.note(`${order}`);
    g.value(
      order.map((axis) => shape[axis]),
      (v, t) => permute(get(v, t), order),
    );
  },
  expand: (g) => {
    const { get, shape } = shaped(g);
    const to = [g.pick([1, 2]), ...shape.map((n) => (n === 1 ? g.pick([1, 3]) : n))];
    g.value(to, (v, t) => expand(get(v, t), to));
  },
  steps: (g) => {
    const { get, shape } = shaped(g);
    const axis = g.below(shape.length);
    const n = shape[axis];
    const [from, step] = [g.below(n), g.pick([1, 2, 3])];
    const back = g.below(2) === 0;
    const count = Math.ceil((back ? from + 1 : n - from) / step);
    g.note(`${axis} from ${from} by ${back ? -step : step}`);
    g.value(
      shape.map((m, i) => (i === axis ? count : m)),
      (v, t) => (back ? slice(get(v, t), axis, from, -1, -step) : slice(get(v, t), axis, from, n, step)),
    );
  },
  picks: (g) => {
    const { get, shape } = shaped(g);
    const axis = g.below(shape.length);
    const { get: ids } = g.ids(g.pick(SIZES), shape[axis] + 1);
    const rows = g.pick(SIZES);
    const scattered = shape.map((n, i) => (i === axis ? rows : n));
    g.value(scattered, (v, t) => scatterAdd(gather(get(v, t), ids(v, t), axis), ids(v, t), rows, axis));
  },
  batches: (g) => {
    const [a, b] = [g.as([2, 1, 3, 4]), g.as([3, 4, 2])];
    g.value([2, 3, 3, 2], (v, t) => matmul(a(v, t), b(v, t)));
  },
  add: binary(add),
  sub: binary(sub),
  mul: binary((a, b) => mul(a, tanh(b))),
  div: binary((a, b) => div(a, exp(tanh(b)))),
  sum: over(sum),
  mean: over(mean),
  max: over(max),
  min: over(min),
  logsumexp: over(logsumexp),
  prod: over((x, axes, options) => prod(tanh(x), axes, options)),
  reshape: (g) => {
    const { get, shape } = g.any();
    const size = sizeOf(shape);
    const to = g.pick([[size], [1, size], [size, 1], [...shape, 1]]);
    g.value(to, (v, t) => get(v, t).reshape(to));
  },
  transpose: (g) => {
    const { get, rows, cols } = g.matrix();
    g.value([cols, rows], (v, t) => transpose(get(v, t)));
  },
  slice: (g) => {
    const { get, rows, cols } = g.matrix();
    const axis = g.pick([0, -1]);
    const length = axis === 0 ? rows : cols;
    const from = g.below(length);
    const to = from + 1 + g.below(length - from);
    const shape = axis === 0 ? [to - from, cols] : [rows, to - from];
    g.value(shape, (v, t) => slice(get(v, t), axis, from, to));
  },
  concat: (g) => {
    const { get, rows, cols } = g.matrix();
    const axis = g.pick([0, -1]);
    const more = g.pick(SIZES);
    const other = g.as(axis === 0 ? [more, cols] : [rows, more]);
    const shape = axis === 0 ? [rows + more, cols] : [rows, cols + more];
    g.value(shape, (v, t) => concat([get(v, t), other(v, t)], axis));
  },
  matmul: (g) => {
    const [transA, transB, batched] = [g.below(2) === 1, g.below(2) === 1, g.below(3) === 0];
    const [m, k, n] = [g.pick(SIZES), g.pick(SIZES), g.pick(SIZES)];
    const head = batched ? [2] : [];
    const a = g.as([...head, ...(transA ? [k, m] : [m, k])]);
    const b = g.as([...head, ...(transB ? [n, k] : [k, n])]);
    const bias = g.below(2) === 1 ? g.input([n]) : null;
    const residual = g.below(3) === 0 ? g.as([...head, m, n]) : null;
    const activation = g.pick(['none', 'none', 'relu', 'gelu', 'silu'] as const);
    const rest = { transA, transB, activation, ...(g.below(4) === 0 && { dropout: 0.3 }) };
    g.note(JSON.stringify({ ...rest, bias: bias !== null, residual: residual !== null }));
    g.value([...head, m, n], (v, t) =>
      scale(matmul(a(v, t), b(v, t), { ...rest, bias: bias?.(v, t), residual: residual?.(v, t) }), 1 / Math.sqrt(k)),
    );
  },
  layernorm: (g) => {
    const { get, rows, cols } = g.matrix();
    const [weight, bias] = [g.as([cols]), g.as([cols])];
    g.value([rows, cols], (v, t) => layernorm(get(v, t), weight(v, t), bias(v, t), 0.1));
  },
  addLayernorm: (g) => {
    const { get, rows, cols } = g.matrix();
    const [r, weight, bias] = [g.input([rows, cols]), g.as([cols]), g.as([cols])];
    const [options, which] = [{ eps: 0.1, dropout: rate(g) }, g.pick(['sum', 'norm', 'both'])];
    g.value([rows, cols], (v, t) => {
      const y = addLayernorm(get(v, t), r(v, t), weight(v, t), bias(v, t), options);
      return which === 'sum' ? y.sum : which === 'norm' ? y.norm : add(y.sum, y.norm);
    });
  },
  rmsnorm: (g) => {
    const { get, rows, cols } = g.matrix(g.pick(WIDTHS4));
    const weight = g.as([cols]);
    g.value([rows, cols], (v, t) => rmsnorm(get(v, t), weight(v, t), 0.1));
  },
  normalize: (g) => {
    const { get, rows, cols } = g.matrix(g.pick(WIDTHS4));
    const one = g.fixed({ shape: [cols], value: () => 1 });
    // Away from rows of zeros, where it has no slope.
    g.value([rows, cols], (v, t) => normalize(add(tanh(get(v, t)), add(one(v, t), one(v, t)))));
  },
  rowDot: (g) => {
    const { get, rows, cols } = g.matrix(g.pick(WIDTHS4));
    const other = g.as([rows, cols]);
    g.value([rows], (v, t) => rowDot(get(v, t), tanh(other(v, t))));
  },
  swiglu: (g) => {
    const { get, rows, cols } = g.matrix(g.pick([8, 16]));
    g.value([rows, cols / 2], (v, t) => swiglu(get(v, t)));
  },
  embedding: (g) => {
    const { get, rows, cols } = g.matrix();
    const l = g.pick(SIZES);
    const { get: ids, of } = g.ids(l, rows + 1);
    const groups = g.fixed(grouped(l, of));
    g.value([l, cols], (v, t) => embedding(get(v, t), ids(v, t), groups(v, t)));
  },
  embeddingSum: (g) => {
    const { get, rows, cols } = g.matrix();
    const [l, p] = [g.pick(SIZES), g.pick(SIZES)];
    const [ids, pos] = [g.ids(l, rows), g.ids(l, p)];
    const positions = g.as([p, cols]);
    const [groups, posGroups] = [g.fixed(grouped(l, ids.of)), g.fixed(grouped(l, pos.of))];
    const drop = rate(g);
    g.value([l, cols], (v, t) =>
      embeddingSum(get(v, t), ids.get(v, t), groups(v, t), positions(v, t), pos.get(v, t), posGroups(v, t), drop),
    );
  },
  sparseMatmul: (g) => {
    const { get, rows: n, cols } = g.matrix();
    const m = g.pick(SIZES);
    const starts = Uint32Array.from({ length: m + 1 }, (_, i) => Math.ceil((i * 3) / 2));
    const count = starts[m];
    const host: SparseHost = {
      starts,
      columns: Uint32Array.from({ length: count }, (_, i) => (i * 5 + 1) % n),
      values: Float32Array.from({ length: count }, (_, i) => ((i % 5) - 2) / 2),
    };
    const load = (s: SparseHost) => ({
      starts: u32(g, [s.starts.length], (i) => s.starts[i]),
      columns: u32(g, [count], (i) => s.columns[i]),
      values: g.fixed({ shape: [count], value: (i) => s.values[i] }),
    });
    const [forward, transposed] = [load(host), load(transposeSparse(host, n))];
    g.value([m, cols], (v, t) => {
      const bind = ({ starts: s, columns, values }: typeof forward) => ({
        starts: s(v, t),
        columns: columns(v, t),
        values: values(v, t),
      });
      return sparseMatmul({ shape: [m, n], forward: bind(forward), transposed: bind(transposed) }, get(v, t));
    });
  },
  attention: (g) => {
    const { l, start, end } = segments(g);
    const [heads, k] = [g.pick([1, 2]), g.pick([4, 8])];
    const qkv = g.as([l, 3 * heads * k]);
    const options = { heads, causal: g.below(2) === 1, dropout: rate(g) };
    g.note(JSON.stringify(options));
    g.value([l, heads * k], (v, t) => attention(qkv(v, t), { start: start(v, t), end: end(v, t) }, options));
  },
  crossAttention: (g) => {
    const [heads, k] = [g.pick([1, 2]), 4];
    const [q, kv] = [
      [0, g.below(4), 5],
      [0, 1 + g.below(5), 7],
    ];
    const bounds = crossBounds(q, kv, 6, 8);
    const where = Object.entries(bounds).map(([name, at]) => [name, u32(g, [at.length], (i) => at[i])] as const);
    const [a, b] = [g.as([6, heads * k]), g.as([8, 2 * heads * k])];
    const options = { heads, dropout: rate(g) };
    g.value([6, heads * k], (v, t) => {
      const on = Object.fromEntries(where.map(([name, get]) => [name, get(v, t)]));
      return crossAttention(a(v, t), b(v, t), on as unknown as CrossBounds, options);
    });
  },
  relativeAttention: (g) => {
    const { l, start, end } = segments(g);
    const heads = g.pick([1, 2]);
    const kind = { causal: g.below(2) === 1, position: g.below(2) === 1, time: g.below(2) === 1 };
    const width = biasWidth(kind);
    const bias = width > 0 ? g.as([heads, width]) : null;
    const times = kind.time ? u32(g, [l], (i) => i * i * 3) : null;
    const queryTimes = kind.time && g.below(2) === 1 ? u32(g, [l], (i) => i * i * 5 + 9) : null;
    const qkv = g.as([l, 3 * heads * 4]);
    const options = { heads, causal: kind.causal, position: kind.position, dropout: rate(g) };
    const pointwise = g.pick([undefined, 9]);
    g.note(JSON.stringify({ ...options, pointwise, time: kind.time }));
    g.value([l, heads * 4], (v, t) =>
      relativeAttention(qkv(v, t), { start: start(v, t), end: end(v, t) }, bias?.(v, t) ?? null, {
        ...options,
        pointwise,
        times: times?.(v, t) ?? null,
        queryTimes: queryTimes?.(v, t) ?? null,
      }),
    );
  },
  rotary: (g) => {
    const [parts, heads, l] = [g.pick(['qkv', 'q', 'kv'] as const), g.pick([1, 2]), g.pick(SIZES)];
    const shape = [l, parts.length * heads * 4];
    const x = g.as(shape);
    const { get: positions } = g.ids(l, 9);
    const table = rotaryAngles(9, 4);
    const angles = g.fixed({ shape: [9, 4], value: (i) => table[i] });
    g.value(shape, (v, t) => rotary(x(v, t), positions(v, t), angles(v, t), heads, parts));
  },
  gatedRecurrence: (g) => {
    const { get, rows, cols } = g.matrix(g.pick([8, 16]));
    const { get: start } = g.ids(rows, rows + 1);
    g.value([rows, cols / 2], (v, t) => gatedRecurrence(get(v, t), start(v, t)));
  },
  crossEntropy: (g) => {
    const { get, rows: l, cols: d } = g.matrix();
    const v = g.pick([2, 5, 8]);
    const table = g.as([v, d]);
    const { get: targets } = g.ids(l, v);
    const weights = g.fixed({ shape: [l], value: (i) => (i % 3 === 1 ? 0 : 0.5) });
    const options = { labelSmoothing: g.pick([0, 0.2]) };
    g.value([1], (values, t) =>
      crossEntropy(tanh(get(values, t)), table(values, t), targets(values, t), weights(values, t), options).reshape([
        1,
      ]),
    );
  },
  sampledLoss: (g) => {
    const [lists, group, n] = [g.pick([1, 2]), g.pick([1, 3]), g.pick([1, 3, 4])];
    const l = lists * group;
    const neg = g.as([l, n]);
    const pos = g.input([l]); // two different tensors
    const targets = u32(g, [l], (i) => i % 5);
    const negatives = u32(g, [lists, n], (i) => (i * 3 + 1) % 7);
    const weights = g.fixed({ shape: [l], value: () => 0.4 });
    const logq = g.below(2) === 1 ? g.fixed({ shape: [lists, n] }) : null;
    const kind = g.pick(['softmax', 'bce', 'bpr'] as const);
    g.value([1], (v, t) =>
      sampledLoss(pos(v, t), neg(v, t), targets(v, t), negatives(v, t), weights(v, t), {
        kind,
        logq: logq?.(v, t) ?? null,
      }),
    );
  },
  bceWithLogits: (g) => {
    const { get, shape } = g.any();
    const targets = g.fixed({ shape, value: (i) => (i % 3) / 2 });
    const weights = g.fixed({ shape, value: () => 0.3 });
    g.value([], (v, t) => bceWithLogits(get(v, t), targets(v, t), weights(v, t)));
  },
  mixtureOfLogits: (g) => {
    const [lists, group, n] = [g.pick([1, 2]), g.pick([1, 2]), g.pick([1, 3])];
    const l = lists * group;
    const [users, items] = [g.as([l, 1, 4]), g.as([lists, n, 4, 4])];
    const [userGate, itemGate] = [g.as([l, 4]), g.as([lists, n, 4])];
    const [up, bias, down] = [g.input([4, 4]), g.input([4]), g.input([4, 4])];
    g.value([l, n], (v, t) =>
      mixtureOfLogits(
        {
          users: tanh(users(v, t)),
          items: items(v, t),
          userGate: userGate(v, t),
          itemGate: itemGate(v, t),
          up: up(v, t),
          bias: bias(v, t),
          down: down(v, t),
        },
        { scale: 1 },
      ).reshape([l, n]),
    );
  },
  // What has no gradient: on inputs of its own, whose order does not depend on rounding.
  ranking: (g) => {
    const [r, v] = [g.pick(SIZES), g.pick([3, 8, 70])];
    const scores = g.fixed({ shape: [r, v], value: (i) => ((i * 31) % 11) / 4 });
    const targets = u32(g, [r], (i) => (i * 5) % v);
    g.result((values, t) => topk(scores(values, t), 3, { targets: targets(values, t) }).values);
    g.result((values, t) => rankOf(scores(values, t), targets(values, t)));
    g.result((values, t) => {
      const whole = scores(values, t);
      return rankTiles((from, to) => slice(whole, 1, from, to), v, 64, targets(values, t), 3).indices;
    });
  },
  lookups: (g) => {
    const [r, d] = [g.pick(SIZES), g.pick(WIDTHS4)];
    const x = g.fixed({ shape: [r, d] });
    const { get: ids } = g.ids(g.pick(SIZES), r);
    const states = g.fixed({ shape: [3, d] });
    g.result((v, t) => gather(x(v, t), ids(v, t)));
    g.result((v, t) => tableScores(states(v, t), x(v, t)));
  },
  sparseScores: (g) => {
    const v = g.pick([2, 5]);
    const [offsets, items] = [u32(g, [3], (i) => [0, 2, 3][i]), u32(g, [3], (i) => [0, 3, 1][i])];
    const [starts, columns] = [u32(g, [5], (i) => i), u32(g, [4], (i) => i % v)];
    const [weights, values] = [g.fixed({ shape: [3] }), g.fixed({ shape: [4] })];
    g.result((x, t) =>
      sparseScores(
        [{ first: 0, rows: 4, starts: starts(x, t), columns: columns(x, t), values: values(x, t) }],
        { offsets: offsets(x, t), items: items(x, t), weights: weights(x, t), longest: 2 },
        0,
        v,
      ),
    );
  },
  cachedAttention: (g) => {
    const r = g.pick([1, 2, 3]);
    const [q, kv] = [g.fixed({ shape: [r, 24] }), g.fixed({ shape: [4 + 2 * r, 16] })];
    const [start, end] = [u32(g, [r], () => 0), u32(g, [r], () => 4)];
    const [own, count] = [u32(g, [r, 2], (i) => 4 + i), u32(g, [r], (i) => i % 3)];
    g.result((v, t) =>
      cachedAttention(q(v, t), kv(v, t), { start: start(v, t), end: end(v, t), own: own(v, t), count: count(v, t) }, 2),
    );
  },
};
