/**
 * The elementwise functions of one tensor: a line of a table each, with its expression and its slope in WGSL (of x, a
 * vec4f that is called T, and the constants alpha and beta), and the same for the references. A slope of 0 is that of a
 * function in steps. kernels/lib/elementwise.wgsl has what the expressions call.
 */
import type { Tensor } from '../tensor.ts';
import { type Unary, unary, type UnaryRule, unaryWith } from './shared/unary.ts';
import { densityOf, erfOf, geluOf, geluSlope, normalOf, reluSlope, roundOf, sigmoidOf as s } from './unary.ref.ts';

/** max(x, 0); its slope at 0 is 0. */
export const relu: Unary = unary('relu', {
  f: 'keep_nan(max(x, T(0.0)), x)',
  slope: 'keep_nan(select(T(0.0), T(1.0), x > T(0.0)), x)',
  reference: [(x) => Math.max(x, 0), reluSlope],
  wasm: 0,
});

/** SiLU: x · sigmoid(x) (Elfwing et al. 2018). */
export const silu: Unary = unary('silu', {
  f: 'silu4(x)',
  slope: 'silu_slope4(x)',
  reference: [(x) => x * s(x), (x) => s(x) * (1 + x * s(-x))],
  wasm: 1,
});

/** The logistic function 1 / (1 + exp(−x)). */
export const sigmoid: Unary = unary('sigmoid', {
  f: 'sigmoid4(x)',
  slope: 'sigmoid4(x) * sigmoid4(-x)',
  reference: [s, (x) => s(x) * s(-x)],
  wasm: 2,
});

/** The hyperbolic tangent. */
export const tanh: Unary = unary('tanh', {
  f: 'tanh4(x)',
  slope: '1.0 - tanh4(x) * tanh4(x)',
  reference: [Math.tanh, (x) => 1 - Math.tanh(x) ** 2],
});

/** eˣ; above 88.7 f32 overflows. */
export const exp: Unary = unary('exp', {
  f: 'keep_nan(exp(x), x)',
  slope: 'keep_nan(exp(x), x)',
  reference: [Math.exp, Math.exp],
  wasm: 4,
});

/** The natural logarithm; values must be positive. */
export const log: Unary = unary('log', {
  f: 'keep_nan(log(x), x)',
  slope: '1.0 / x',
  reference: [Math.log, (x) => 1 / x],
  wasm: 5,
});

/** GELU, tanh approximation: x/2 · (1 + tanh(√(2/π) (x + 0.044715 x³))) (Hendrycks & Gimpel 2016, §2). */
export const gelu: Unary = unary('gelu', {
  f: 'gelu4(x)',
  slope: 'gelu_slope4(x)',
  reference: [geluOf, geluSlope],
});

/** GELU itself: x · Φ(x), Φ the standard normal distribution function. */
export const geluErf: Unary = unary('geluErf', {
  f: '0.5 * x * (1.0 + erf_of(x * 0.70710678))',
  slope: '0.5 * (1.0 + erf_of(x * 0.70710678)) + x * exp(-0.5 * x * x) * 0.39894228',
  reference: [(x) => x * normalOf(x), (x) => normalOf(x) + x * densityOf(x)],
});

/** The error function. */
export const erf: Unary = unary('erf', {
  f: 'erf_of(x)',
  slope: 'keep_nan(exp(-x * x) * 1.12837917, x)',
  reference: [erfOf, (x) => (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x)],
});

/** −x. */
export const neg: Unary = unary('neg', { f: '-x', slope: 'T(-1.0)', reference: [(x) => -x, () => -1] });

/** |x|; its slope at 0 is 0. */
export const abs: Unary = unary('abs', {
  f: 'keep_nan(abs(x), x)',
  slope: 'keep_nan(sign(x), x)',
  reference: [Math.abs, Math.sign],
});

/** −1, 0 or 1; a slope of 0. */
export const sign: Unary = unary('sign', {
  f: 'keep_nan(sign(x), x)',
  slope: 'T(0.0)',
  reference: [Math.sign, () => 0],
});

/** √x; values must be ≥ 0. */
export const sqrt: Unary = unary('sqrt', {
  f: 'keep_nan(sqrt(x), x)',
  slope: 'keep_nan(0.5 / sqrt(x), x)',
  reference: [Math.sqrt, (x) => 0.5 / Math.sqrt(x)],
});

/** 1 / x. */
export const reciprocal: Unary = unary('reciprocal', {
  f: '1.0 / x',
  slope: '-(1.0 / x) / x',
  reference: [(x) => 1 / x, (x) => -1 / (x * x)],
});

/** The largest integer that is not above x; a slope of 0. */
export const floor: Unary = unary('floor', {
  f: 'keep_nan(floor(x), x)',
  slope: 'T(0.0)',
  reference: [Math.floor, () => 0],
});

/** The smallest integer that is not below x; a slope of 0. */
export const ceil: Unary = unary('ceil', {
  f: 'keep_nan(ceil(x), x)',
  slope: 'T(0.0)',
  reference: [Math.ceil, () => 0],
});

/** The nearest integer, halves to the even one; a slope of 0. */
export const round: Unary = unary('round', {
  f: 'keep_nan(round(x), x)',
  slope: 'T(0.0)',
  reference: [roundOf, () => 0],
});

/** The sine of an angle in radians. */
export const sin: Unary = unary('sin', {
  f: 'keep_nan(sin(x), x)',
  slope: 'keep_nan(cos(x), x)',
  reference: [Math.sin, Math.cos],
});

/** The cosine of an angle in radians. */
export const cos: Unary = unary('cos', {
  f: 'keep_nan(cos(x), x)',
  slope: 'keep_nan(-sin(x), x)',
  reference: [Math.cos, (x) => -Math.sin(x)],
});

/** The tangent of an angle in radians. */
export const tan: Unary = unary('tan', {
  f: 'keep_nan(sin(x) / cos(x), x)',
  slope: 'keep_nan(1.0 / (cos(x) * cos(x)), x)',
  reference: [Math.tan, (x) => 1 / Math.cos(x) ** 2],
});

/** The angle in [−π/2, π/2] whose sine is x; values must be in [−1, 1]. */
export const asin: Unary = unary('asin', {
  f: 'keep_nan(atan2(x, sqrt((1.0 - x) * (1.0 + x))), x)',
  slope: 'keep_nan(1.0 / sqrt((1.0 - x) * (1.0 + x)), x)',
  reference: [Math.asin, (x) => 1 / Math.sqrt(1 - x * x)],
});

/** The angle in [0, π] whose cosine is x; values must be in [−1, 1]. */
export const acos: Unary = unary('acos', {
  f: 'keep_nan(atan2(sqrt((1.0 - x) * (1.0 + x)), x), x)',
  slope: 'keep_nan(-1.0 / sqrt((1.0 - x) * (1.0 + x)), x)',
  reference: [Math.acos, (x) => -1 / Math.sqrt(1 - x * x)],
});

/** The angle in (−π/2, π/2) whose tangent is x. */
export const atan: Unary = unary('atan', {
  f: 'keep_nan(atan(x), x)',
  slope: '1.0 / (1.0 + x * x)',
  reference: [Math.atan, (x) => 1 / (1 + x * x)],
});

/** The hyperbolic sine. */
export const sinh: Unary = unary('sinh', {
  f: 'keep_nan(0.5 * (exp(x) - exp(-x)), x)',
  slope: 'keep_nan(0.5 * (exp(x) + exp(-x)), x)',
  reference: [Math.sinh, Math.cosh],
});

/** The hyperbolic cosine. */
export const cosh: Unary = unary('cosh', {
  f: 'keep_nan(0.5 * (exp(x) + exp(-x)), x)',
  slope: 'keep_nan(0.5 * (exp(x) - exp(-x)), x)',
  reference: [Math.cosh, Math.sinh],
});

/** The inverse of `sinh`. */
export const asinh: Unary = unary('asinh', {
  f: 'keep_nan(sign(x) * log(abs(x) + sqrt(x * x + 1.0)), x)',
  slope: 'keep_nan(1.0 / sqrt(x * x + 1.0), x)',
  reference: [Math.asinh, (x) => 1 / Math.sqrt(x * x + 1)],
});

/** The inverse of `cosh`; values must be ≥ 1. */
export const acosh: Unary = unary('acosh', {
  f: 'keep_nan(log(x + sqrt((x - 1.0) * (x + 1.0))), x)',
  slope: 'keep_nan(1.0 / sqrt((x - 1.0) * (x + 1.0)), x)',
  reference: [Math.acosh, (x) => 1 / Math.sqrt(x * x - 1)],
});

/** The inverse of `tanh`; values must be in (−1, 1). */
export const atanh: Unary = unary('atanh', {
  f: 'keep_nan(0.5 * log((1.0 + x) / (1.0 - x)), x)',
  slope: '1.0 / ((1.0 - x) * (1.0 + x))',
  reference: [Math.atanh, (x) => 1 / (1 - x * x)],
});

/** log(1 + eˣ). */
export const softplus: Unary = unary('softplus', {
  f: 'softplus4(x)',
  slope: 'sigmoid4(x)',
  reference: [(x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))), s],
});

/** x / (1 + |x|). */
export const softsign: Unary = unary('softsign', {
  f: 'x / (1.0 + abs(x))',
  slope: '1.0 / ((1.0 + abs(x)) * (1.0 + abs(x)))',
  reference: [(x) => x / (1 + Math.abs(x)), (x) => 1 / (1 + Math.abs(x)) ** 2],
});

/** Mish: x · tanh(log(1 + eˣ)) (Misra 2019). */
export const mish: Unary = unary('mish', {
  f: 'x * tanh4(softplus4(x))',
  slope: 'tanh4(softplus4(x)) + x * sigmoid4(x) * (1.0 - tanh4(softplus4(x)) * tanh4(softplus4(x)))',
  reference: [
    (x) => x * Math.tanh(Math.log1p(Math.exp(x))),
    (x) => {
      const t = Math.tanh(Math.log1p(Math.exp(x)));
      return t + x * s(x) * (1 - t * t);
    },
  ],
});

/** 1 where x is 0, else 0; a slope of 0: "not" for what comparisons give. */
export const logicalNot: Unary = unary('logicalNot', {
  f: 'keep_nan(select(T(0.0), T(1.0), x == T(0.0)), x)',
  slope: 'T(0.0)',
  reference: [(x) => (Number.isNaN(x) ? x : x === 0 ? 1 : 0), () => 0],
});

const CLAMP: UnaryRule = {
  f: 'keep_nan(min(max(x, T(alpha)), T(beta)), x)',
  slope: 'keep_nan(select(T(0.0), select(T(0.0), T(1.0), x <= T(beta)), x >= T(alpha)), x)',
  reference: [
    (x, low, high) => Math.min(Math.max(x, low), high),
    (x, low, high) => (Number.isNaN(x) ? x : x >= low && x <= high ? 1 : 0),
  ],
};
const clampRange = unaryWith('clamp', CLAMP);

/** x within [low, high]: what lies outside becomes the nearer end, with a slope of 0. */
export function clamp(x: Tensor, low: number, high: number): Tensor {
  if (Number.isNaN(low) || Number.isNaN(high))
    throw new Error(`clamp: expected two numbers as ends, got ${low} and ${high}`);
  const most = 3.4028234663852886e38; // of f32
  return clampRange(x, Math.max(low, -most), Math.min(high, most));
}

const LEAKY: UnaryRule = {
  f: 'keep_nan(select(alpha * x, x, x >= T(0.0)), x)',
  slope: 'keep_nan(select(T(alpha), T(1.0), x >= T(0.0)), x)',
  reference: [(x, alpha) => (x >= 0 ? x : alpha * x), (x, alpha) => (Number.isNaN(x) ? x : x >= 0 ? 1 : alpha)],
};
const leaky = unaryWith('leakyRelu', LEAKY);

/** x, or slope · x below 0 (Maas et al. 2013). */
export function leakyRelu(x: Tensor, slope = 0.01): Tensor {
  return leaky(x, slope, 0);
}

const ELU: UnaryRule = {
  f: 'keep_nan(select(alpha * (exp(x) - 1.0), x, x >= T(0.0)), x)',
  slope: 'keep_nan(select(alpha * exp(x), T(1.0), x >= T(0.0)), x)',
  reference: [
    (x, alpha) => (x >= 0 ? x : alpha * Math.expm1(x)),
    (x, alpha) => (Number.isNaN(x) ? x : x >= 0 ? 1 : alpha * Math.exp(x)),
  ],
};
const exponential = unaryWith('elu', ELU);

/** x, or alpha · (eˣ − 1) below 0 (Clevert et al. 2016). */
export function elu(x: Tensor, alpha = 1): Tensor {
  return exponential(x, alpha, 0);
}

const HARD: UnaryRule = {
  f: 'keep_nan(clamp(alpha * x + beta, T(0.0), T(1.0)), x)',
  slope: 'keep_nan(select(T(0.0), T(alpha), abs(alpha * x + beta - 0.5) < T(0.5)), x)',
  reference: [
    (x, alpha, beta) => Math.min(1, Math.max(0, alpha * x + beta)),
    (x, alpha, beta) => (Number.isNaN(x) ? x : Math.abs(alpha * x + beta - 0.5) < 0.5 ? alpha : 0),
  ],
};
const hard = unaryWith('hardSigmoid', HARD);

/** slope · x + offset within [0, 1]. */
export function hardSigmoid(x: Tensor, slope = 0.2, offset = 0.5): Tensor {
  return hard(x, slope, offset);
}
