/** ONNX's products, norms and losses by the engine's ops. */
import {
  add,
  copy,
  div,
  equal,
  gather,
  layernorm,
  logSoftmax,
  matmul,
  mean,
  mul,
  neg,
  permute,
  reciprocal,
  rmsnorm,
  scale,
  sizeOf,
  sqrt,
  sub,
  sum,
  type Tensor,
  where,
} from '../../engine/index.ts';
import type { Mapping } from './elementwise.ts';
import { type Call, unsupported } from './node.ts';

/** The axes from one on as one, [..., n]. */
const fromAxis = (x: Tensor, axis: number): { x: Tensor; rest: number; axes: number[] } => {
  const at = axis < 0 ? axis + x.rank : axis;
  const rest = sizeOf(x.shape.slice(at));
  return { x: x.reshape([x.size / rest, rest]), rest, axes: x.shape.map((_, i) => i).slice(at) };
};

const variance = (x: Tensor, axes: number[]): Tensor => {
  const d = sub(x, mean(x, axes, { keepdims: true }));
  return mean(mul(d, d), axes, { keepdims: true });
};

/** Negative log likelihood of labels along axis 1 of x [N, C, ...]; what is ignored or weighted counts in the mean. */
function likelihood(c: Call, x: Tensor): Tensor {
  const [n, classes, ...tail] = x.shape;
  const labels = c.value(1);
  const ignored = c.attr('ignore_index', Number.NaN);
  const rows = permute(x, [0, ...tail.map((_, i) => i + 2), 1]).reshape([x.size / classes, classes]);
  const ids = Uint32Array.from(labels.values, (label, i) => i * classes + (label === ignored ? 0 : label));
  const picked = neg(gather(rows.reshape([rows.size]), c.device.tensor(ids)));
  const known = c.device.tensor(Float32Array.from(labels.values, (label) => (label === ignored ? 0 : 1)));
  const perClass = c.has(2) ? c.f(2) : null;
  const weights = perClass ? mul(known, gather(perClass, c.ids(1, classes).reshape([labels.values.length]))) : known;
  const losses = mul(picked, weights);
  const how = c.text('reduction', 'mean');
  if (how === 'none') return losses.reshape([n, ...tail]);
  return how === 'sum' ? sum(losses) : div(sum(losses), sum(weights));
}

export const products: Record<string, Mapping> = {
  MatMul: (c) => {
    const [a, b] = [c.f(0), c.f(1)];
    const y = matmul(a.rank === 1 ? a.reshape([1, a.size]) : a, b.rank === 1 ? b.reshape([b.size, 1]) : b);
    const lead = y.shape.slice(0, -2);
    return y.reshape([
      ...lead,
      ...(a.rank === 1 ? [] : y.shape.slice(-2, -1)),
      ...(b.rank === 1 ? [] : y.shape.slice(-1)),
    ]);
  },
  Gemm: (c) => {
    const options = { transA: c.attr('transA', 0) === 1, transB: c.attr('transB', 0) === 1 };
    const y = scale(matmul(c.f(0), c.f(1), options), c.attr('alpha', 1));
    return c.has(2) ? add(y, scale(c.f(2), c.attr('beta', 1))) : y;
  },
  LayerNormalization: (c) => {
    const whole = c.f(0);
    const eps = c.attr('epsilon', 1e-5);
    const { x, rest, axes } = fromAxis(whole, c.attr('axis', -1));
    const bias = c.has(2) ? c.f(2).reshape([rest]) : c.device.zeros([rest]);
    const y = layernorm(x, c.f(1).reshape([rest]), bias, eps).reshape(whole.shape);
    const inverse = reciprocal(sqrt(add(variance(whole, axes), c.scalar(eps))));
    return [y, mean(whole, axes, { keepdims: true }), inverse].slice(0, c.node.outputs.length);
  },
  RMSNormalization: (c) => {
    const whole = c.f(0);
    const eps = c.attr('epsilon', 1e-5);
    const { x, rest } = fromAxis(whole, c.attr('axis', -1));
    const weight = c.f(1).reshape([rest]);
    if (rest % 4 === 0) return rmsnorm(x, weight, eps).reshape(whole.shape);
    const size = sqrt(add(mean(mul(x, x), 'last', { keepdims: true }), c.scalar(eps)));
    return mul(div(x, size), weight).reshape(whole.shape);
  },
  InstanceNormalization: (c) => {
    const x = c.f(0);
    const axes = x.shape.map((_, i) => i).slice(2);
    const perChannel = (t: Tensor): Tensor => t.reshape([t.size, ...axes.map(() => 1)]);
    const size = sqrt(add(variance(x, axes), c.scalar(c.attr('epsilon', 1e-5))));
    const y = div(sub(x, mean(x, axes, { keepdims: true })), size);
    return add(mul(y, perChannel(c.f(1))), perChannel(c.f(2)));
  },
  MeanVarianceNormalization: (c) => {
    const x = c.f(0);
    const axes = c.list('axes') ?? [0, 2, 3];
    return div(sub(x, mean(x, axes, { keepdims: true })), add(sqrt(variance(x, axes)), c.scalar(1e-9)));
  },
  BatchNormalization: (c) => {
    if (c.attr('training_mode', 0)) unsupported('training');
    const [x, weight, bias, average, spread] = [0, 1, 2, 3, 4].map((i) => c.f(i));
    const perChannel = (t: Tensor): Tensor => t.reshape([t.size, ...x.shape.slice(2).map(() => 1)]);
    const size = sqrt(add(perChannel(spread), c.scalar(c.attr('epsilon', 1e-5))));
    return add(mul(div(sub(x, perChannel(average)), size), perChannel(weight)), perChannel(bias));
  },
  LpNormalization: (c) => {
    const [x, axis] = [c.f(0), c.attr('axis', -1)];
    const sized =
      c.attr('p', 2) === 1
        ? sum(sqrt(mul(x, x)), axis, { keepdims: true })
        : sqrt(sum(mul(x, x), axis, { keepdims: true }));
    return where(equal(sized, c.scalar(0)), c.scalar(0), div(x, sized));
  },
  GlobalAveragePool: (c) =>
    mean(
      c.f(0),
      c
        .shape(0)
        .map((_, i) => i)
        .slice(2),
      { keepdims: true },
    ),
  SoftmaxCrossEntropyLoss: (c) => {
    const logs = logSoftmax(c.f(0), 1);
    return [likelihood(c, logs), logs].slice(0, c.node.outputs.length);
  },
  NegativeLogLikelihoodLoss: (c) => likelihood(c, c.f(0)),
  Dropout: (c) => {
    const training = c.has(2) && c.ints(2)[0] === 1 && !(c.has(1) && c.value(1).values[0] === 0);
    if (training) unsupported("random masks, which are another generator's");
    const mask = c.node.outputs.length > 1 ? [c.device.full(c.shape(0), 1)] : [];
    return [copy(c.f(0)), ...mask];
  },
};
