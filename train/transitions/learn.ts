/**
 * Learns item transitions (model/transitions/transitions.ts) from the training events, in closed form. Every target y with the
 * events around it is one example: x holds r_k for the event k positions back (repeats add up), and the ridge regression of
 * the target on x is
 *
 *   W = (G + λI)⁻¹ C,   G = Σ x xᵀ,   C = Σ x e_yᵀ                            [V, V]
 *
 * EASE (Steck, WWW 2019) with order: windowed transition counts C, and G to take out what items share with one another
 * (the transition model of Choi et al., Session-aware Linear Item-Item Models, WWW 2021). Examples that are read backward,
 * x being the events after y, count with a weight of 0 to 1: at 1, what precedes and what follows are alike, and with a
 * recency of 1 throughout order counts for nothing. EASE itself (train/baselines/ease.ts), which forbids an item to predict
 * itself instead, is the setting `orderFree`. Exact up to a catalog of about
 * 10,000 items, through the device's matrix product. Beyond, each target item has a regression of its own on its likeliest
 * predecessors (as fsSLIM: Ning & Karypis, ICDM 2011), so that no V × V matrix is ever held. The largest weights of each
 * row are kept. Which recency, weight and λ suit a log is chosen on its validation targets (choose.ts).
 */
import { inPieces } from '../../data/pieces.ts';
import { sampleUsers } from '../../data/splits/sample.ts';
import type { Split } from '../../data/splits/split.ts';
import { type Device, invertSpd, multiply, Panels, type SparseHost } from '../../engine/index.ts';
import { type ItemTransitions, type TransitionSettings, recency } from '../../model/transitions/transitions.ts';
import { countItems } from '../baselines/baselines.ts';
import { easeWeights } from '../baselines/ease.ts';
import { Examples } from './examples.ts';
import { type Add, RowWriter, Sums, transposed } from './sparse-rows.ts';

export interface TransitionOptions extends Partial<TransitionSettings> {
  /** Awaited after each piece of work with the share that is done, 0 to 1; it may throw to stop. */
  pause?(done: number): Promise<void>;
}

type Pause = (done: number) => Promise<void>;

/** Catalogs up to this size are solved exactly (V² numbers, 4V³ operations); fewer on the CPU device. */
const exactItems = (device: Device): number => (device.gpu ? 10_000 : 1_500);
/** Predecessors that a target item's own regression looks at. */
const PREDECESSORS = 64;
/** Entries of a row of G that the regressions of single items look at. */
const GRAM_ENTRIES = 128;
/** Marks of the predecessors at hand, by item modulo this. */
const NEAR = 4096;

/** How transitions of a catalog of this size are learned. */
export const methodFor = (device: Device, items: number): TransitionSettings['method'] =>
  items <= exactItems(device) ? 'exact' : 'neighbours';

/** @throws Error when the ridge is too small for single precision */
export async function learnTransitions(
  device: Device,
  split: Split,
  options: TransitionOptions = {},
): Promise<ItemTransitions> {
  const { last = 50, power = options.learningPower ?? 0.7, lambda = 300, pause = async () => {} } = options;
  const { learningPower = power, backward = 0, firstOnly = false, damping = 0, orderFree = false } = options;
  const method = options.method ?? (orderFree ? 'exact' : methodFor(device, split.items));
  const kept = Math.min(options.kept ?? 300, split.items);
  const settings = { method, last, power, lambda, kept, learningPower, backward, firstOnly, orderFree };
  if (orderFree) return withDamping(split, { settings, rows: await ease(device, split, settings, pause) }, damping);
  const sample = await inPieces(sampleUsers(split), () => pause(0));
  const examples = await Examples.of(sample, {
    recency: recency({ last, power: learningPower }),
    backward,
    firstOnly,
    pause: () => pause(0),
  });
  const rows =
    method === 'exact' ? await exact(device, examples, settings, pause) : await neighbours(examples, settings, pause);
  return withDamping(split, { settings, rows }, damping);
}

/** The transitions with what leads to an item divided by its training events to this power. */
export function withDamping(split: Split, { settings, rows }: ItemTransitions, damping: number): ItemTransitions {
  const factors = dampingOf(split, damping);
  const values = damping === 0 ? rows.values : rows.values.map((x, e) => x * factors[rows.columns[e]]);
  return { settings: { ...settings, damping }, rows: { ...rows, values } };
}

/** What scores are multiplied by, [V]: training events to the power −damping, 1 on average. */
export function dampingOf(split: Split, damping: number): Float64Array {
  const factors = Float64Array.from(countItems(split), (count) => Math.max(1, count) ** -damping);
  const mean = factors.reduce((sum, factor) => sum + factor, 0) / factors.length;
  return factors.map((factor) => factor / mean);
}

/** The rows of EASE, which is exact alone. */
async function ease(
  device: Device,
  split: Split,
  { lambda, kept }: TransitionSettings,
  pause: Pause,
): Promise<SparseHost> {
  const { items } = split;
  const weights = await easeWeights(device, await inPieces(sampleUsers(split), () => pause(0)), lambda, pause);
  const rows = new RowWriter(items, kept);
  for (let row = 0; row < items; row++) {
    weights.subarray(row * items, (row + 1) * items).forEach((x, column) => {
      if (x !== 0) rows.add(column, x);
    });
    rows.end();
    await pause(0.9 + (0.1 * row) / items);
  }
  return rows.finish();
}

async function exact(
  device: Device,
  examples: Examples,
  { lambda, kept }: TransitionSettings,
  pause: Pause,
): Promise<SparseHost> {
  const { items } = examples;
  const fill = (rowOf: (item: number, add: Add) => void, ridge: number) => (row: number, out: Float32Array) => {
    rowOf(row, (column, x) => {
      out[column] += x;
    });
    out[row] += ridge;
  };
  const parts: Panels[] = [];
  const own = (panels: Panels): Panels => {
    parts.push(panels);
    return panels;
  };
  try {
    const g = own(await Panels.create(device, items, fill(examples.gram, lambda), 1, () => pause(0)));
    const c = own(await Panels.create(device, items, fill(examples.next, 0), 0, () => pause(0.2)));
    await invertSpd(g, () => pause(0.3));
    const w = own(await multiply(g, c, () => pause(0.7)));
    const rows = new RowWriter(items, kept);
    await w.rows(async (row, values) => {
      values.forEach((x, column) => {
        if (x !== 0) rows.add(column, x);
      });
      rows.end();
      await pause(0.9 + (0.1 * row) / items);
    });
    return rows.finish();
  } finally {
    for (const panels of parts) panels.dispose();
  }
}

/** Column by column: y's weights on its likeliest predecessors S solve (G_SS + λI) w = C_Sy. */
async function neighbours(examples: Examples, { lambda, kept }: TransitionSettings, pause: Pause): Promise<SparseHost> {
  const { items } = examples;
  const pairs = new RowWriter(items, GRAM_ENTRIES);
  const diagonal = new Float64Array(items);
  const sums = new Sums(items);
  for (let i = 0; i < items; i++) {
    examples.gram(i, sums.add);
    sums.drain((j, x) => {
      if (j === i) diagonal[i] = x;
      else pairs.add(j, x);
    });
    pairs.end();
    await pause((0.4 * i) / items);
  }
  const gram = pairs.finish();

  // Columns first, as rows of Wᵀ.
  const columns = new RowWriter(items, PREDECESSORS);
  const chosen = new RowWriter(1, PREDECESSORS);
  const indices = new Int32Array(items).fill(-1);
  // Most partners of an item are in no row of S: what a cache holds says so for all but few of them.
  const near = new Uint8Array(NEAR);
  const matrix = new Float64Array(PREDECESSORS ** 2);
  for (let y = 0; y < items; y++) {
    examples.previous(y, sums.add);
    sums.drain((i, x) => chosen.add(i, x));
    const { columns: s, values: right } = chosen.take();
    const n = s.length;
    const a = matrix.subarray(0, n * n).fill(0);
    for (let i = 0; i < n; i++) {
      indices[s[i]] = i;
      near[s[i] % NEAR] = 1;
    }
    for (let i = 0; i < n; i++) {
      a[i * n + i] = diagonal[s[i]] + lambda;
      for (let e = gram.starts[s[i]]; e < gram.starts[s[i] + 1]; e++) {
        const item = gram.columns[e];
        if (near[item % NEAR] === 0) continue;
        const j = indices[item];
        // G is symmetric; a pair is in the row of either item, or both, or was cut from both.
        if (j >= 0) a[i * n + j] = a[j * n + i] = gram.values[e];
      }
    }
    solve(a, right, lambda);
    for (let i = 0; i < n; i++) {
      columns.add(s[i], right[i]);
      indices[s[i]] = -1;
      near[s[i] % NEAR] = 0;
    }
    columns.end();
    await pause(0.4 + (0.55 * y) / items);
  }
  return transposed(columns.finish(), items, kept, () => pause(0.95));
}

/**
 * b = A⁻¹ b by Cholesky, overwriting A; where cutting G has made A indefinite, a pivot is no smaller than the ridge. What is left
 * of the first entry of a row stays zero and is skipped (skyline: George and Liu, Computer Solution of Large Sparse Positive
 * Definite Systems, 1981).
 */
function solve(a: Float64Array, b: Float64Array, ridge: number): void {
  const n = b.length;
  const first = new Uint32Array(n);
  for (let i = 0; i < n; i++) {
    let from = 0;
    while (a[i * n + from] === 0 && from < i) from++;
    first[i] = from;
    for (let j = from; j <= i; j++) {
      let sum = a[i * n + j];
      for (let k = Math.max(from, first[j]); k < j; k++) sum -= a[i * n + k] * a[j * n + k];
      a[i * n + j] = i === j ? Math.sqrt(Math.max(sum, ridge)) : sum / a[j * n + j];
    }
    let sum = b[i];
    for (let k = from; k < i; k++) sum -= a[i * n + k] * b[k];
    b[i] = sum / a[i * n + i];
  }
  for (let i = n - 1; i >= 0; i--) {
    b[i] /= a[i * n + i];
    for (let k = first[i]; k < i; k++) b[k] -= a[i * n + k] * b[i];
  }
}
