/**
 * Rows of items from what is known of them, by kernel ridge regression (the mean of a Gaussian process: Rasmussen & Williams
 * 2006, eq. 2.25) on the items whose rows are known:
 *
 *   r̂(v) = mean + Σ_j k(v, j) α[j];  α = (K + λI)⁻¹ (R − mean)
 *
 * K [n, n] holds the kernel of the known items, R [n, D] their rows. The kernel, of those that are offered, and λ are chosen
 * by how well they predict a tenth of the known items from the others.
 */
import { type Device, Panels, type Pause, solveSpd } from '../../engine/index.ts';

/** Writes k(i, j) for all items j, known and new. */
export type ItemKernel = (i: number, out: Float32Array) => void;

export interface KernelRidge {
  /** The known items come first, then the new ones. */
  kernels: readonly ItemKernel[];
  /** [n, D] */
  known: Float32Array;
  d: number;
  /** New items. */
  count: number;
}

/** One known item in so many is predicted from the others. */
const HELD_OUT = 10;
const LAMBDAS = [0.3, 1, 3, 10];

/** @returns rows [count, D] of the new items, and the share of the held-out rows' variance that is explained */
export async function kernelRidge(
  device: Device,
  { kernels, known, d, count }: KernelRidge,
  pause: Pause,
): Promise<{ rows: Float32Array; explained: number }> {
  const n = known.length / d;
  const all = Array.from({ length: n }, (_, i) => i);
  const test = all.filter((i) => i % HELD_OUT === 0);
  const train = all.filter((i) => i % HELD_OUT !== 0);
  const none: Float32Array = new Float32Array(0);
  let best = { explained: Number.NEGATIVE_INFINITY, kernel: kernels[0], gram: none, lambda: 0 };
  for (const kernel of kernels) {
    const gram = await gramOf(kernel, n, count, pause);
    const rowOf = (i: number): Float32Array => gram.subarray(i * n, (i + 1) * n);
    for (const lambda of LAMBDAS) {
      const predict = await fitted(device, { gram, known, d, from: train, lambda }, pause);
      const explained = explainedBy(await predict(test, rowOf), known, d, train, test);
      if (explained > best.explained) best = { explained, kernel, gram, lambda };
    }
  }
  const { kernel, gram, lambda, explained } = best;
  const predict = await fitted(device, { gram, known, d, from: all, lambda }, pause);
  const row = new Float32Array(n + count);
  const rowOf = (item: number): Float32Array => {
    kernel(item, row);
    return row;
  };
  const fresh = Array.from({ length: count }, (_, i) => n + i);
  return { rows: await predict(fresh, rowOf), explained };
}

/** K [n, n] of the known items. */
async function gramOf(kernel: ItemKernel, n: number, count: number, pause: Pause): Promise<Float32Array> {
  const gram = new Float32Array(n * n);
  const row = new Float32Array(n + count);
  for (let i = 0; i < n; i++) {
    kernel(i, row);
    gram.set(row.subarray(0, n), i * n);
    await pause();
  }
  return gram;
}

interface Fit {
  /** K [n, n] of all known items. */
  gram: Float32Array;
  known: Float32Array;
  d: number;
  /** Those that are learned from. */
  from: readonly number[];
  lambda: number;
}

/** r̂ [items, D] of items, by what `rowOf` says of them: their kernel with all known items. */
type Predict = (items: readonly number[], rowOf: (item: number) => Float32Array) => Promise<Float32Array>;

async function fitted(device: Device, { gram, known, d, from, lambda }: Fit, pause: Pause): Promise<Predict> {
  const n = known.length / d;
  const mean = meanOf(known, d, from);
  const fill = (i: number, out: Float32Array): void => {
    for (let j = 0; j < from.length; j++) out[j] = gram[from[i] * n + from[j]];
    out[i] += lambda;
  };
  const panels = await Panels.create(device, from.length, fill, 1, pause);
  let alpha: Float32Array;
  try {
    const right = new Float32Array(panels.size * d);
    from.forEach((item, i) => {
      for (let c = 0; c < d; c++) right[i * d + c] = known[item * d + c] - mean[c];
    });
    alpha = await solveSpd(panels, right, d, pause);
  } finally {
    panels.dispose();
  }
  return async (items, rowOf) => {
    const out = new Float32Array(items.length * d);
    for (const [at, item] of items.entries()) {
      const row = rowOf(item);
      const sum = Float64Array.from(mean);
      for (let j = 0; j < from.length; j++) {
        const k = row[from[j]];
        if (k !== 0) for (let c = 0; c < d; c++) sum[c] += k * alpha[j * d + c];
      }
      out.set(sum, at * d);
      await pause();
    }
    return out;
  };
}

function meanOf(rows: Float32Array, d: number, items: readonly number[]): Float64Array {
  const mean = new Float64Array(d);
  for (const item of items) for (let c = 0; c < d; c++) mean[c] += rows[item * d + c] / items.length;
  return mean;
}

/** 1 − Σ |r − r̂|² / Σ |r − mean|², with the mean of what was learned from. */
function explainedBy(
  predicted: Float32Array,
  known: Float32Array,
  d: number,
  from: readonly number[],
  items: readonly number[],
): number {
  const mean = meanOf(known, d, from);
  let [left, all] = [0, 0];
  items.forEach((item, i) => {
    for (let c = 0; c < d; c++) {
      left += (known[item * d + c] - predicted[i * d + c]) ** 2;
      all += (known[item * d + c] - mean[c]) ** 2;
    }
  });
  return all > 0 ? 1 - left / all : 0;
}
