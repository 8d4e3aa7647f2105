/**
 * Inverses of symmetric positive definite matrices, and products with them, through the engine's own matrix product.
 * A matrix too large for one binding lies in panels of rows.
 *
 * The inverse is block Gauss–Jordan elimination in place, without pivoting, which is stable for such matrices (Higham,
 * Accuracy and Stability of Numerical Algorithms, §14.4): with D = (A_kk)⁻¹ and R = D·A_k:, every other row i becomes
 * A_i: − A_ik·R, column k becomes −A_ik·D, and row k becomes R with D in its own place. A pivot block is inverted on the
 * host, in double precision; all else, 2n³ operations, is one product a step.
 */
import type { Device } from './device.ts';
import { matmul } from './ops/matmul.ts';
import { gemm } from './ops/shared/gemm.ts';
import type { Tensor } from './tensor.ts';

/** Rows of a pivot block; panels hold a multiple. */
const BLOCK = 128;
/** Awaited between pieces of work, so that a long computation lets others run; it may throw to end the computation. */
export type Pause = () => Promise<void>;

/** Largest panel, in bytes: on a slow adapter a longer product would keep it busy for too long at a time. */
const PANEL_BYTES = 64 * 2 ** 20;

/** A square matrix on the device, f32, padded to a multiple of 128 rows and columns. */
export class Panels {
  readonly device: Device;
  /** Rows and columns as they were asked for. */
  readonly n: number;
  /** The same, padded. */
  readonly size: number;
  /** Rows of a panel; the last may hold fewer. */
  readonly height: number;
  readonly tensors: readonly Tensor[];

  private constructor(device: Device, n: number, size: number, height: number, tensors: Tensor[]) {
    this.device = device;
    this.n = n;
    this.size = size;
    this.height = height;
    this.tensors = tensors;
  }

  /**
   * @param fill writes row i (n values; the array is zeroed) of the matrix; null: values are not set
   * @param diagonal what stands on the diagonal of the padding
   * @param pause awaited after each row
   */
  static async create(
    device: Device,
    n: number,
    fill: ((row: number, out: Float32Array) => void) | null,
    diagonal = 1,
    pause?: Pause,
  ): Promise<Panels> {
    const size = Math.ceil(n / BLOCK) * BLOCK;
    const most = Math.floor(Math.min(device.maxBindingBytes, PANEL_BYTES) / (4 * size * BLOCK));
    const height = Math.max(1, most) * BLOCK;
    const tensors: Tensor[] = [];
    const panels = new Panels(device, n, size, height, tensors);
    try {
      for (let from = 0; from < size; from += height) {
        const rows = Math.min(height, size - from);
        const tensor = device.empty([rows, size], 'f32', 'panel').keep();
        tensors.push(tensor);
        if (!fill) continue;
        const values = new Float32Array(rows * size);
        for (let i = 0; i < rows; i++) {
          const at = i * size;
          if (from + i < n) fill(from + i, values.subarray(at, at + n));
          else values[at + from + i] = diagonal;
          if (pause) await pause();
        }
        device.write(tensor, values);
      }
    } catch (error) {
      panels.dispose();
      throw error;
    }
    return panels;
  }

  /** Hands each row to `use` (n values, valid during the call), panel by panel. */
  async rows(use: (row: number, values: Float32Array) => void | Promise<void>): Promise<void> {
    for (let p = 0; p < this.tensors.length; p++) {
      const values = (await this.tensors[p].data()) as Float32Array;
      const from = p * this.height;
      for (let i = 0; from + i < this.n && i * this.size < values.length; i++) {
        await use(from + i, values.subarray(i * this.size, i * this.size + this.n));
      }
    }
  }

  dispose(): void {
    for (const tensor of this.tensors) tensor.dispose();
  }
}

/**
 * Inverts a symmetric positive definite matrix in place.
 * @throws Error when it is not positive definite, as far as single precision tells
 */
export async function invertSpd(a: Panels, pause?: Pause): Promise<void> {
  const { device, size, height } = a;
  const make = (label: string, cols = size): Tensor => device.empty([BLOCK, cols], 'f32', label).keep();
  const [own, factors, pivot, row] = [make('row of A'), make('A_k'), make('D', BLOCK), make('R')];
  try {
    for (let k = 0; k < size; k += BLOCK) {
      const panel = a.tensors[Math.floor(k / height)];
      const here = panel.rows(k % height, (k % height) + BLOCK);
      const values = (await here.data()) as Float32Array;
      const inverse = invertBlock(values, size, k);
      // A_ik is A_kiᵀ below the pivot; above it, where elimination has passed, its sign has turned.
      const negated = values.slice();
      for (let i = 0; i < BLOCK; i++) {
        for (let j = 0; j < k + BLOCK; j++) negated[i * size + j] = j < k ? values[i * size + j] : 0;
        for (let j = k + BLOCK; j < size; j++) negated[i * size + j] = -values[i * size + j];
        // D·I gives the new row its own D.
        values.fill(0, i * size + k, i * size + k + BLOCK);
        values[i * size + k + i] = 1;
      }
      device.write(own, values);
      device.write(factors, negated);
      device.write(pivot, Float32Array.from(inverse));
      gemm(device, { a: pivot, b: own, c: row, m: BLOCK, n: size, k: BLOCK });
      for (let p = 0; p < a.tensors.length; p++) {
        const m = a.tensors[p].shape[0];
        const rest = device.view(factors, p * height, [factors.size - p * height], 'f32', 'A_k');
        gemm(device, { a: rest, b: row, c: a.tensors[p], m, n: size, k: BLOCK, transA: true, lda: size, acc: 1 });
        const column = device.view(a.tensors[p], k, [m * size - k], 'f32', 'column of A');
        gemm(device, { a: rest, b: pivot, c: column, m, n: BLOCK, k: BLOCK, transA: true, lda: size, ldc: size });
      }
      gemm(device, { a: pivot, b: own, c: here, m: BLOCK, n: size, k: BLOCK });
      if (pause) await pause();
    }
  } finally {
    for (const t of [own, factors, pivot, row]) t.dispose();
  }
}

/**
 * A⁻¹ · B for a symmetric positive definite matrix A, which is inverted in place.
 * @param b [size of A, columns], row-major; rows of the padding are 0
 * @returns [n, columns]
 * @throws Error when A is not positive definite, as far as single precision tells
 */
export async function solveSpd(a: Panels, b: Float32Array, columns: number, pause?: Pause): Promise<Float32Array> {
  const { device, n, size } = a;
  await invertSpd(a, pause);
  const right = device.tensor(b, [size, columns], { label: 'right side' });
  const out = new Float32Array(n * columns);
  let at = 0;
  for (const panel of a.tensors) {
    const product = device.noGrad(() => device.scope(() => matmul(panel, right).keep()));
    const values = (await product.data()) as Float32Array;
    out.set(values.subarray(0, Math.min(values.length, out.length - at)), at);
    at += values.length;
    product.dispose();
  }
  right.dispose();
  return out;
}

/** A · B, for matrices of one size. */
export async function multiply(a: Panels, b: Panels, pause?: Pause): Promise<Panels> {
  const { device, size, height } = a;
  const c = await Panels.create(device, a.n, null);
  try {
    for (let p = 0; p < a.tensors.length; p++) {
      for (let q = 0; q < b.tensors.length; q++) {
        const m = a.tensors[p].shape[0];
        const inner = b.tensors[q].shape[0];
        // In bands of rows, so that no dispatch takes long.
        for (let from = 0; from < m; from += BLOCK) {
          gemm(device, {
            a: device.view(a.tensors[p], from * size + q * height, [BLOCK * size - q * height], 'f32', 'band of A'),
            b: b.tensors[q],
            c: c.tensors[p].rows(from, from + BLOCK),
            m: BLOCK,
            n: size,
            k: inner,
            lda: size,
            acc: q > 0 ? 1 : 0,
          });
          if (pause) await pause();
        }
        await device.settle();
      }
    }
    return c;
  } catch (error) {
    c.dispose();
    throw error;
  }
}

/** The inverse [BLOCK, BLOCK] of the pivot block that starts at column `at`, through its Cholesky factor, in doubles. */
function invertBlock(values: Float32Array, stride: number, at: number): Float64Array {
  const n = BLOCK;
  const l = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      // The mean of both halves keeps rounding from making it asymmetric.
      let sum = (values[i * stride + at + j] + values[j * stride + at + i]) / 2;
      for (let k = 0; k < j; k++) sum -= l[i * n + k] * l[j * n + k];
      if (i !== j) l[i * n + j] = sum / l[j * n + j];
      else if (sum > 0) l[i * n + i] = Math.sqrt(sum);
      else
        throw new Error(
          `invertSpd: not positive definite in single precision (pivot ${at + i} is ${sum}); use a larger λ`,
        );
    }
  }
  // L⁻¹, then L⁻ᵀ·L⁻¹.
  const m = new Float64Array(n * n);
  for (let j = 0; j < n; j++) {
    m[j * n + j] = 1 / l[j * n + j];
    for (let i = j + 1; i < n; i++) {
      let sum = 0;
      for (let k = j; k < i; k++) sum -= l[i * n + k] * m[k * n + j];
      m[i * n + j] = sum / l[i * n + i];
    }
  }
  const inverse = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = 0;
      for (let k = i; k < n; k++) sum += m[k * n + i] * m[k * n + j];
      inverse[i * n + j] = sum;
      inverse[j * n + i] = sum;
    }
  }
  return inverse;
}
