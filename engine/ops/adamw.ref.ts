import type { Reference } from '../reference.ts';
import { STATE, STATUS } from '../state.ts';
import type { NumericArray } from '../tensor.ts';

const scratch = new DataView(new ArrayBuffer(4));

/** The bits of a number as f32, and the number of such bits. */
export function bitsOf(value: number): number {
  scratch.setFloat32(0, value);
  return scratch.getUint32(0);
}
export function floatOf(bits: number): number {
  scratch.setUint32(0, bits);
  return scratch.getFloat32(0);
}

export const clearPaddingReference: Reference = ({ ends, grads }, { n }) => {
  for (let i = 0; i < n; i++) for (let e = ends[i]; e % 4 !== 0 && e < grads.length; e++) grads[e] = 0;
};

/** Whole sums fit one partial here; the others are zero. On the CPU device partials are numbers, not bits. */
export const gradNormReference: Reference = ({ x, partial }, { n, at, groups }) => {
  let sum = 0;
  for (let i = 0; i < n; i++) sum += x[i] * x[i];
  for (let g = 0; g < groups; g++) partial[at + g] = 0;
  partial[at] = Number.isFinite(sum) ? sum : Number.POSITIVE_INFINITY;
};

export const gradNormFinishReference: Reference = (
  { state, loss, partial, status, losses },
  { count, max_norm, has_loss, ring, rows },
) => {
  if (status[STATUS.FAILED]) return;
  const step = ++status[STATUS.STEP];
  const at = STATUS.TABLE + 2 * (Math.min(step, rows) - 1);
  status.copyWithin(STATUS.CORRECTION1, at, at + 2);
  let bad = 0;
  if (has_loss) {
    if (!Number.isFinite(loss[0])) bad = 1;
    status[STATUS.LOSS] = bitsOf(loss[0]);
    losses[step % ring] = loss[0];
  }
  let total = 0;
  for (let i = 0; i < count; i++) total += partial[i];
  const finite = Number.isFinite(Math.fround(total));
  if (!finite) bad |= 2;
  const norm = Math.sqrt(total);
  status[STATUS.NORM] = bitsOf(finite ? norm : Number.POSITIVE_INFINITY);
  status[STATUS.SCALE] = bitsOf(!finite ? 0 : max_norm > 0 ? Math.min(1, max_norm / (norm + 1e-6)) : 1);
  if (!Number.isFinite(floatOf(state[STATE.LEARNING_RATE]))) bad |= 4;
  status[STATUS.CAUSE] = bad;
  if (bad) status[STATUS.FAILED] = step;
};

export const adamwReference: Reference = (t: Record<string, NumericArray>, p) => {
  const { state, status, params, grads, m, v } = t;
  if (status[STATUS.FAILED]) return;
  const [lr, c1, c2] = [
    floatOf(state[STATE.LEARNING_RATE]),
    floatOf(status[STATUS.CORRECTION1]),
    floatOf(status[STATUS.CORRECTION2]),
  ];
  const scale = floatOf(status[STATUS.SCALE]);
  for (let i = 0; i < p.n; i++) {
    const g = grads[i] * scale;
    m[i] = p.beta1 * m[i] + p.rest1 * g;
    v[i] = p.beta2 * v[i] + p.rest2 * g * g;
    const decay = i < p.decay_end ? p.decay : i < p.embedding_end ? p.embedding_decay : 0;
    const table = i >= p.decay_end && i < p.table_end;
    const rate = table ? p.table_rate : 1;
    grads[i] = 0;
    if (state[STATE.FROZEN] && !table) continue;
    params[i] -= lr * ((rate * m[i]) / c1 / (Math.sqrt(v[i] / c2) + p.eps) + decay * params[i]);
  }
};

/** average = k · average + (1 − k) · params with k = min(decay, (1 + step) / (10 + step)); nothing once status[STATUS.FAILED] is set. */
export const averageReference: Reference = ({ status, params, average }, { n, decay }) => {
  if (status[STATUS.FAILED]) return;
  const k = Math.min(decay, (1 + status[STATUS.STEP]) / (10 + status[STATUS.STEP]));
  for (let i = 0; i < n; i++) average[i] = params[i] + k * (average[i] - params[i]);
};

export const exchangeReference: Reference = ({ a, b }, { n }) => {
  for (let i = 0; i < n; i++) [a[i], b[i]] = [b[i], a[i]];
};
