/**
 * Codes of items for `items=codes`, as RecJPQ finds them (Petrov & Macdonald, WSDM 2024, section 5): items that the same users
 * had get the same codes. Of the matrix A [users, items], which counts training events, the right singular vectors of the M
 * largest singular values give each item M numbers; a little noise tells items apart that the same users had, and each of the
 * M axes is cut into 256 parts with equally many items.
 *
 * The singular vectors are those of a random subspace that A multiplies again and again (Halko, Martinsson & Tropp 2011,
 * algorithm 4.4).
 */
import { inPieces } from '../data/pieces.ts';
import { sampleUsers } from '../data/splits/sample.ts';
import type { Split } from '../data/splits/split.ts';
import { CODES, type ItemCodes, normal } from '../engine/index.ts';

/** Columns of the subspace beyond those that are kept, and multiplications by AᵀA. */
const SPARE = 8;
const ROUNDS = 5;
/** Standard deviation of the noise, of axes from 0 to 1. */
const NOISE = 1e-5;
/** Stream of the seed that the subspace comes from, and the first of the noise's. */
const STREAM = 0x6a707100;
/** Rows of work between two pauses. */
const PIECE = 4096;

type Pause = (done: number) => Promise<void>;

/**
 * The codes of all items of a split, of a sample of its users where the log is large.
 * @param each codes of an item, M @param pause awaited between pieces of the work with the share that is done; may throw
 */
export async function findCodes(split: Split, each: number, seed: number, pause: Pause): Promise<ItemCodes> {
  const axes = await singularVectors(await inPieces(sampleUsers(split), () => pause(0)), each, seed, pause);
  const { items } = split;
  const width = axes.length / items;
  const codes = new Uint8Array(items * each);
  for (let m = 0; m < each; m++) {
    await pause(0.9 + (0.1 * m) / each);
    const noise = normal(items, seed, STREAM + 1 + m, NOISE);
    let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    for (let v = 0; v < items; v++) {
      low = Math.min(low, axes[v * width + m]);
      high = Math.max(high, axes[v * width + m]);
    }
    const place = Float64Array.from(noise, (x, v) => (axes[v * width + m] - low) / (high - low || 1) + x);
    const sorted = place.slice().sort();
    const starts = Float64Array.from({ length: CODES }, (_, c) => sorted[Math.ceil((c * items) / CODES)] ?? Infinity);
    for (let v = 0; v < items; v++) codes[v * each + m] = lastUpTo(starts, place[v]);
  }
  return { codes, each };
}

/** The last index whose value is at most x; values do not fall. */
function lastUpTo(values: Float64Array, x: number): number {
  let low = 0;
  for (let high = values.length; high - low > 1; ) {
    const middle = (low + high) >>> 1;
    if (values[middle] <= x) low = middle;
    else high = middle;
  }
  return low;
}

/** [items, `count` and more]: right singular vectors of the matrix of training events, by falling singular values. */
async function singularVectors(split: Split, count: number, seed: number, pause: Pause): Promise<Float32Array> {
  const width = count + SPARE;
  let q: Float32Array = normal(split.items * width, seed, STREAM);
  for (let round = 0; round < ROUNDS; round++)
    q = orthonormal(await product(split, q, width, (done) => pause((0.9 * (round + done)) / ROUNDS)), width);
  return q;
}

/** AᵀA Q [items, width]. */
async function product(split: Split, q: Float32Array, width: number, pause: Pause): Promise<Float32Array> {
  const out = new Float32Array(q.length);
  const y = new Float64Array(width);
  for (let u = 0; u < split.users; u++) {
    if (u % PIECE === 0) await pause(u / split.users);
    const history = split.history(u, 'train');
    y.fill(0);
    for (const v of history) for (let c = 0; c < width; c++) y[c] += q[v * width + c];
    for (const v of history) for (let c = 0; c < width; c++) out[v * width + c] += y[c];
  }
  return out;
}

/** The left singular vectors of Z [n, width], by falling singular values; zeros in place of those that are lost to rounding. */
function orthonormal(z: Float32Array, width: number): Float32Array {
  const gram = new Float64Array(width * width);
  for (let at = 0; at < z.length; at += width)
    for (let i = 0; i < width; i++) for (let j = 0; j < width; j++) gram[i * width + j] += z[at + i] * z[at + j];
  const { values, vectors } = eigenvectors(gram, width);
  const factors = values.map((value) => (value > 1e-12 * values[0] ? 1 / Math.sqrt(value) : 0));
  const out = new Float32Array(z.length);
  for (let at = 0; at < z.length; at += width)
    for (let j = 0; j < width; j++) {
      let sum = 0;
      for (let i = 0; i < width; i++) sum += z[at + i] * vectors[i * width + j];
      out[at + j] = factors[j] * sum;
    }
  return out;
}

/** Of a symmetric matrix [n, n]: its eigenvalues, falling, and the vectors as columns (Jacobi's rotations). */
function eigenvectors(matrix: Float64Array, n: number): { values: number[]; vectors: Float64Array } {
  const a = matrix.slice();
  const v = Float64Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? 1 : 0));
  for (let sweep = 0; sweep < 30; sweep++) {
    for (let p = 0; p < n; p++) {
      for (let q = p + 1; q < n; q++) {
        if (a[p * n + q] === 0) continue;
        const angle = 0.5 * Math.atan2(2 * a[p * n + q], a[q * n + q] - a[p * n + p]);
        const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
        const rotate = (m: Float64Array, i: number, j: number): void => {
          const [x, y] = [m[i], m[j]];
          m[i] = cos * x - sin * y;
          m[j] = sin * x + cos * y;
        };
        for (let k = 0; k < n; k++) rotate(a, k * n + p, k * n + q);
        for (let k = 0; k < n; k++) rotate(a, p * n + k, q * n + k);
        for (let k = 0; k < n; k++) rotate(v, k * n + p, k * n + q);
      }
    }
  }
  const order = Array.from({ length: n }, (_, i) => i).sort((i, j) => a[j * (n + 1)] - a[i * (n + 1)] || i - j);
  const vectors = Float64Array.from({ length: n * n }, (_, i) => v[Math.floor(i / n) * n + order[i % n]]);
  return { values: order.map((i) => a[i * (n + 1)]), vectors };
}
