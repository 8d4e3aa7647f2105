/** ONNX's elementwise operators by the engine's ops. */
import {
  abs,
  acos,
  acosh,
  add,
  asin,
  asinh,
  atan,
  atanh,
  ceil,
  clamp,
  cos,
  cosh,
  div,
  elu,
  equal,
  erf,
  exp,
  floor,
  gelu,
  geluErf,
  greater,
  greaterEqual,
  hardSigmoid,
  leakyRelu,
  less,
  lessEqual,
  log,
  logicalNot,
  maximum,
  minimum,
  mish,
  mul,
  neg,
  notEqual,
  pow,
  reciprocal,
  relu,
  round,
  scale,
  sigmoid,
  sign,
  silu,
  sin,
  sinh,
  softplus,
  softsign,
  sqrt,
  sub,
  tan,
  tanh,
  type Tensor,
  where,
} from '../../engine/index.ts';
import { type Call, unsupported } from './node.ts';

export type Mapping = (call: Call) => Tensor | Tensor[];

const unaries: Record<string, (x: Tensor) => Tensor> = {
  Acos: acos,
  Acosh: acosh,
  Asin: asin,
  Asinh: asinh,
  Atan: atan,
  Atanh: atanh,
  Ceil: ceil,
  Cos: cos,
  Cosh: cosh,
  Erf: erf,
  Exp: exp,
  Floor: floor,
  Log: log,
  Mish: mish,
  Reciprocal: reciprocal,
  Relu: relu,
  Round: round,
  Sigmoid: sigmoid,
  Sin: sin,
  Sinh: sinh,
  Softplus: softplus,
  Softsign: softsign,
  Sqrt: sqrt,
  Tan: tan,
  Tanh: tanh,
};

/** What integers give exactly in f32, up to 2²⁴. */
const exactUnaries: Record<string, (x: Tensor) => Tensor> = { Abs: abs, Neg: neg, Not: logicalNot, Sign: sign };

const binaries: Record<string, (a: Tensor, b: Tensor) => Tensor> = { Add: add, Sub: sub, Mul: mul, Div: div, Pow: pow };

const exactBinaries: Record<string, (a: Tensor, b: Tensor) => Tensor> = {
  Equal: equal,
  Greater: greater,
  GreaterOrEqual: greaterEqual,
  Less: less,
  LessOrEqual: lessEqual,
  // Of truth values, 0 and 1.
  And: mul,
  Or: maximum,
  Xor: notEqual,
};

const foldInputs = (c: Call, f: (a: Tensor, b: Tensor) => Tensor, of: (i: number) => Tensor): Tensor =>
  Array.from({ length: c.count }, (_, i) => of(i)).reduce(f);

const entries = <T>(of: Record<string, T>, map: (f: T) => Mapping): Record<string, Mapping> =>
  Object.fromEntries(Object.entries(of).map(([name, f]) => [name, map(f)]));

/** An end of a range: an input or an attribute, and infinite where neither is there. */
const end = (c: Call, index: number, name: string, otherwise: number): number =>
  c.has(index) ? (c.value(index).values[0] ?? unsupported('an end that is no number')) : c.attr(name, otherwise);

export const elementwise: Record<string, Mapping> = {
  ...entries(unaries, (f) => (c) => f(c.f(0))),
  ...entries(exactUnaries, (f) => (c) => f(c.number(0))),
  ...entries(binaries, (f) => (c) => f(c.f(0), c.f(1))),
  ...entries(exactBinaries, (f) => (c) => f(c.number(0), c.number(1))),
  Max: (c) => foldInputs(c, maximum, (i) => c.number(i)),
  Min: (c) => foldInputs(c, minimum, (i) => c.number(i)),
  Sum: (c) => foldInputs(c, add, (i) => c.f(i)),
  Mean: (c) =>
    scale(
      foldInputs(c, add, (i) => c.f(i)),
      1 / c.count,
    ),
  Where: (c) => where(c.moved(0), c.moved(1), c.moved(2)),
  Clip: (c) => {
    const x = c.number(0);
    const [low, high] = [end(c, 1, 'min', -Infinity), end(c, 2, 'max', Infinity)];
    return clamp(x, Math.min(low, high), high);
  },
  LeakyRelu: (c) => leakyRelu(c.f(0), c.attr('alpha', 0.01)),
  PRelu: (c) => {
    const x = c.f(0);
    return where(less(x, c.scalar(0)), mul(x, c.f(1)), x);
  },
  Elu: (c) => elu(c.f(0), c.attr('alpha', 1)),
  Celu: (c) => {
    const alpha = c.attr('alpha', 1);
    return scale(elu(scale(c.f(0), 1 / alpha), 1), alpha);
  },
  Selu: (c) => scale(elu(c.f(0), c.attr('alpha', 1.6732632)), c.attr('gamma', 1.0507009)),
  HardSigmoid: (c) => hardSigmoid(c.f(0), c.attr('alpha', 0.2), c.attr('beta', 0.5)),
  HardSwish: (c) => mul(c.f(0), hardSigmoid(c.f(0), 1 / 6, 0.5)),
  Swish: (c) => (c.attr('alpha', 1) === 1 ? silu(c.f(0)) : mul(c.f(0), sigmoid(scale(c.f(0), c.attr('alpha', 1))))),
  ThresholdedRelu: (c) => mul(c.f(0), greater(c.f(0), c.scalar(c.attr('alpha', 1)))),
  Shrink: (c) => {
    const [x, bias, lambda] = [c.f(0), c.scalar(c.attr('bias', 0)), c.attr('lambd', 0.5)];
    const small = where(greater(x, c.scalar(lambda)), sub(x, bias), scale(x, 0));
    return where(less(x, c.scalar(-lambda)), add(x, bias), small);
  },
  Gelu: (c) => (c.text('approximate', 'none') === 'tanh' ? gelu(c.f(0)) : geluErf(c.f(0))),
  Mod: (c) => {
    const [a, b] = [c.f(0), c.f(1)];
    const quotient = div(a, b);
    // With fmod the remainder has the sign of a, else that of b.
    const whole = c.attr('fmod', 0) === 1 ? mul(sign(quotient), floor(abs(quotient))) : floor(quotient);
    return sub(a, mul(whole, b));
  },
  IsNaN: (c) => notEqual(c.f(0), c.f(0)),
  IsInf: (c) => {
    const x = c.f(0);
    const never = less(x, x);
    const up = c.attr('detect_positive', 1) ? greater(x, c.scalar(3.4e38)) : never;
    return maximum(up, c.attr('detect_negative', 1) ? less(x, c.scalar(-3.4e38)) : never);
  },
};
