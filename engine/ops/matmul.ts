/** Matrix product with transposes, batches, and an epilogue of bias, activation, dropout and residual. */
import { gradOf, into, intoSum } from '../autograd.ts';
import { dropoutParams } from '../random/keep.ts';
import { groups, kernel } from '../kernel.ts';
import { showShape, sizeOf, type Tensor } from '../tensor.ts';
import { dropoutTo } from './dropout.ts';
import { ACTIVATIONS, matmulActivationBackward } from './matmul.ref.ts';
import { type Activation, type Gemm, gemm } from './shared/gemm.ts';
import { expectOneOf, expectType } from './shared/check.ts';
import { expand } from './permute.ts';
import { scaleInto } from './shared/scale.ts';
import { broadcastShape } from './shared/strided.ts';

const ACT_BACKWARD = kernel('matmul_act_bwd', [
  { file: 'matmul_act_bwd', grid: (p) => groups(p.n, 1024), constants: (p) => ({ ACT: p.act }) },
]);

const RELU = ACTIVATIONS.indexOf('relu');

export interface MatmulOptions {
  transA?: boolean;
  transB?: boolean;
  /** [N] or [1, N], added to every row: a parameter, or anything computed. */
  bias?: Tensor;
  activation?: Activation;
  /** Share of the result's elements that is zeroed after the activation, the others scaled by 1 / (1 − dropout). */
  dropout?: number;
  /** Of the result's shape, added last. */
  residual?: Tensor;
}

/**
 * residual + dropout(act(op(a) · op(b) + bias)), in one kernel. `a` is [.., M, K] ([.., K, M] with transA), `b` is [K, N] or
 * [.., K, N] ([N, K] with transB). Leading axes broadcast; what repeats is copied first, but for a `b` without any. Gives
 * [.., M, N].
 */
export function matmul(left: Tensor, right: Tensor, options: MatmulOptions = {}): Tensor {
  const { device } = left;
  const { transA = false, transB = false, activation = 'none', residual } = options;
  for (const [name, t] of Object.entries({ a: left, b: right, bias: options.bias, residual }))
    if (t) expectType('matmul', name, t);
  expectOneOf('matmul', 'activation', activation, ACTIVATIONS);
  const [a, b] = alongBatches(left, right, transA, transB);
  const s = shapesOf(a, b, transA, transB);
  // [N], or [1, …, 1, N], of a parameter or of what was computed.
  const { bias: given } = options;
  const bias = given?.size === s.n && given.shape.at(-1) === s.n ? given.reshape([s.n]) : undefined;
  if (given && !bias) {
    throw new Error(
      `matmul: bias must be [${s.n}], got ${showShape(given.shape)}; add() takes one of the result's shape ${showShape(s.shape)}`,
    );
  }
  if (residual && showShape(residual.shape) !== showShape(s.shape))
    throw new Error(`matmul: residual must be ${showShape(s.shape)}, got ${showShape(residual.shape)}`);
  // As dropout() counts, so that a fused mask is that of a dropout() in its place.
  const dropped = dropoutParams('matmul', options.dropout ?? 0, options.dropout === undefined ? 0 : device.opCounter++);
  const mask = dropped.dropout ? dropped : null;
  const c = device.empty(s.shape, 'f32', 'matmul');
  const needsGrad = device.tape.enabled && [a, b, bias].some((t) => t?.requiresGrad);
  const act = ACTIVATIONS.indexOf(activation);
  // What is added or masked after it hides ReLU's own value.
  const z =
    needsGrad && (act > RELU || (act > 0 && (mask || residual))) ? device.empty(s.shape, 'f32', 'matmul z') : null;
  gemm(device, { ...s.gemm, a, b, c, bias, z, activation, transA, transB, residual, mask });
  // ReLU's slope is the same at its value.
  if (needsGrad && act > 0 && !mask && !residual) {
    const before = z ?? c.detach();
    before.state.requiresGrad = true;
    c.state.inner = { z: before, act };
  }
  device.tape.record([a, b, bias, residual], c, () => {
    if (residual?.requiresGrad) scaleInto(gradOf(c), residual, 1);
    if (!needsGrad) return;
    const dc = mask || residual ? gradWithin(c, z, act, mask) : gradBefore(c);
    const { m, n, k, batch, sa, sb, sc } = s.gemm;
    // The product for b's gradient is aᵀ · dC then, which can take the column sums of dC along.
    const alongB = b.requiresGrad && !transA && !transB && batch === 1 && k > 0 && bias?.state !== b.state;
    // dop(A) = dC · op(B)ᵀ and dop(B) = op(A)ᵀ · dC, each stored as its operand is.
    if (a.requiresGrad) {
      const { grad, acc, slope } = transA ? { ...into(a), slope: null } : beyond(a);
      if (transA)
        gemm(device, {
          a: b,
          b: dc,
          gradient: 'b',
          c: grad,
          m: k,
          n: m,
          k: n,
          transA: transB,
          transB: true,
          batch,
          sa: sb,
          sb: sc,
          sc: sa,
          acc,
          lda: transB ? k : n,
          ldb: n,
        });
      else
        gemm(device, {
          a: dc,
          gradient: 'a',
          b,
          c: grad,
          m,
          n: k,
          k: n,
          transB: !transB,
          batch,
          sa: sc,
          sb,
          sc: sa,
          acc,
          ...slope,
        });
    }
    const columnSums = bias?.requiresGrad ? intoSum(bias) : null;
    if (b.requiresGrad) {
      const { grad, acc } = into(b);
      if (transB)
        gemm(device, {
          a: dc,
          gradient: 'a',
          b: a,
          c: grad,
          m: n,
          n: k,
          k: m,
          transA: true,
          transB: transA,
          batch,
          sa: sc,
          sb: sa,
          sc: sb,
          acc,
          ldb: transA ? m : k,
        });
      else
        gemm(device, {
          a,
          b: dc,
          gradient: 'b',
          c: grad,
          m: k,
          n,
          k: m,
          transA: !transA,
          batch,
          sa,
          sb: sc,
          sc: sb,
          acc,
          lda: transA ? m : k,
          columnSums: alongB ? columnSums : null,
        });
    }
    if (columnSums && !alongB) {
      // No product to take the column sums along: one row of ones does it.
      const rows = m * batch;
      const ones = device.full([rows], 1, 'ones');
      gemm(device, { a: ones, b: dc, gradient: 'b', c: columnSums, m: 1, n, k: rows, acc: 1 });
    }
  });
  return c;
}

/** Where a product's gradient of x goes: x's own, or, through the activation that x is of, what was before it. */
function beyond(x: Tensor): { grad: Tensor; acc: number; slope: Pick<Gemm, 'slopeAt' | 'activation'> | null } {
  const { inner } = x.state;
  if (!inner) return { ...into(x), slope: null };
  return { ...into(inner.z.reshape(x.shape)), slope: { slopeAt: inner.z, activation: ACTIVATIONS[inner.act] } };
}

/** The gradient before the activation of c, from both of those that reached it. */
function gradBefore(c: Tensor): Tensor {
  const { inner } = c.state;
  if (!inner) return gradOf(c);
  if (!c.grad) return gradOf(inner.z);
  const { grad: dz, acc } = into(inner.z);
  c.device.run(
    ACT_BACKWARD,
    matmulActivationBackward,
    { z: inner.z, dy: c.grad, dz },
    { n: c.size, act: inner.act, acc },
  );
  return dz;
}

/** The gradient before the dropout and the activation inside of c = residual + dropout(act(z)). */
function gradWithin(c: Tensor, z: Tensor | null, act: number, mask: Gemm['mask']): Tensor {
  const { device } = c;
  let dy = gradOf(c);
  if (mask) {
    const masked = device.empty(c.shape, 'f32', 'grad before dropout');
    dropoutTo(dy, masked, mask, 0);
    dy = masked;
  }
  if (!z) return dy;
  const dz = device.empty(c.shape, 'f32', 'grad of matmul z');
  device.run(ACT_BACKWARD, matmulActivationBackward, { z, dy, dz }, { n: c.size, act, acc: 0 });
  return dz;
}

function fail(why: string, a: Tensor, b: Tensor, transA: boolean, transB: boolean): never {
  const t = (x: Tensor, flag: boolean) => `${showShape(x.shape)}${flag ? 'ᵀ' : ''}`;
  throw new Error(`matmul: ${why}, a ${t(a, transA)} · b ${t(b, transB)}`);
}

/** Both with the same leading axes, or `b` with none where the kernels and the gradients take one matrix for all. */
function alongBatches(a: Tensor, b: Tensor, transA: boolean, transB: boolean): [Tensor, Tensor] {
  if (a.rank < 2 || b.rank < 2) fail('expected matrices', a, b, transA, transB);
  if (b.rank === 2 && !(transA && a.rank > 2 && b.requiresGrad && b.device.tape.enabled)) return [a, b];
  const [leadA, leadB] = [a.shape.slice(0, -2), b.shape.slice(0, -2)];
  const lead = broadcastShape(leadA, leadB) ?? fail('leading axes do not broadcast', a, b, transA, transB);
  const along = (x: Tensor): Tensor => expand(x, [...lead, ...x.shape.slice(-2)]);
  return [along(a), along(b)];
}

function shapesOf(a: Tensor, b: Tensor, transA: boolean, transB: boolean) {
  const [a0, a1] = a.shape.slice(-2);
  const [b0, b1] = b.shape.slice(-2);
  const [m, k] = transA ? [a1, a0] : [a0, a1];
  const [kb, n] = transB ? [b1, b0] : [b0, b1];
  if (k !== kb) fail('inner dimensions differ', a, b, transA, transB);
  const lead = a.shape.slice(0, -2);
  const leadB = b.shape.slice(0, -2);
  const batch = sizeOf(lead);
  const shape = [...lead, m, n];
  if (leadB.length === 0 && !transA) {
    return { n, shape, gemm: { m: m * batch, n, k, batch: 1, sa: 0, sb: 0, sc: 0 } };
  }
  return { n, shape, gemm: { m, n, k, batch, sa: m * k, sb: leadB.length > 0 ? k * n : 0, sc: m * n } };
}
