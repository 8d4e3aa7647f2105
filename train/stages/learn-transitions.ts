/**
 * Learns item transitions (model/transitions/transitions.ts) from the training events, in closed form. Every training event
 * y with the events before it is one example: x holds r_k for the event k positions back (repeats add up), and the ridge
 * regression of the next item on x is
 *
 *   W = (G + λI)⁻¹ C,   G = Σ x xᵀ,   C = Σ x e_yᵀ                            [V, V]
 *
 * EASE (Steck, WWW 2019) with order: windowed transition counts C, and G to take out what items share with one another
 * (the transition model of Choi et al., Session-aware Linear Item-Item Models, WWW 2021). Exact up to a catalog of about
 * 10,000 items, through the device's matrix product. Beyond, each target item has a regression of its own on its likeliest
 * predecessors (as fsSLIM: Ning & Karypis, ICDM 2011), so that no V × V matrix is ever held. The largest weights of each
 * row are kept.
 */
import { inMemory } from '../../data/column.ts';
import type { Split } from '../../data/splits/split.ts';
import { type Device, invertSpd, multiply, Panels, type SparseHost } from '../../engine/index.ts';
import { type ItemTransitions, type TransitionSettings, recency } from '../../model/transitions/transitions.ts';

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

/** @throws Error when the ridge is too small for single precision */
export async function learnTransitions(
  device: Device,
  split: Split,
  options: TransitionOptions = {},
): Promise<ItemTransitions> {
  const { last = 50, power = 0.7, lambda = 300, pause = async () => {} } = options;
  const method = options.method ?? (split.items <= exactItems(device) ? 'exact' : 'neighbours');
  const kept = Math.min(options.kept ?? 300, split.items);
  const settings: TransitionSettings = { method, last, power, lambda, kept };
  const examples = await Examples.of(split, recency(settings), () => pause(0));
  const rows =
    method === 'exact' ? await exact(device, examples, settings, pause) : await neighbours(examples, settings, pause);
  return { settings, rows };
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
  const near = new RowWriter(items, GRAM_ENTRIES);
  const diagonal = new Float64Array(items);
  const sums = new Sums(items);
  for (let i = 0; i < items; i++) {
    examples.gram(i, sums.add);
    sums.drain((j, x) => {
      if (j === i) diagonal[i] = x;
      else near.add(j, x);
    });
    near.end();
    await pause((0.4 * i) / items);
  }
  const gram = near.finish();

  // Columns first, as rows of Wᵀ.
  const columns = new RowWriter(items, PREDECESSORS);
  const chosen = new RowWriter(1, PREDECESSORS);
  const position = new Int32Array(items).fill(-1);
  for (let y = 0; y < items; y++) {
    examples.previous(y, sums.add);
    sums.drain((i, x) => chosen.add(i, x));
    const { columns: s, values: right } = chosen.take();
    const n = s.length;
    const a = new Float64Array(n * n);
    s.forEach((item, i) => {
      position[item] = i;
    });
    s.forEach((item, i) => {
      a[i * n + i] = diagonal[item] + lambda;
      for (let e = gram.starts[item]; e < gram.starts[item + 1]; e++) {
        const j = position[gram.columns[e]];
        // G is symmetric; a pair is in the row of either item, or both, or was cut from both.
        if (j >= 0) a[i * n + j] = a[j * n + i] = gram.values[e];
      }
    });
    solve(a, right, lambda);
    s.forEach((item, i) => {
      columns.add(item, right[i]);
      position[item] = -1;
    });
    columns.end();
    await pause(0.4 + (0.55 * y) / items);
  }
  return transpose(columns.finish(), items, kept, () => pause(0.95));
}

/** b = A⁻¹ b by Cholesky; where cutting G has made A indefinite, a pivot is no smaller than the ridge. */
function solve(a: Float64Array, b: Float64Array, ridge: number): void {
  const n = b.length;
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = a[i * n + j];
      for (let k = 0; k < j; k++) sum -= a[i * n + k] * a[j * n + k];
      a[i * n + j] = i === j ? Math.sqrt(Math.max(sum, ridge)) : sum / a[j * n + j];
    }
    let sum = b[i];
    for (let k = 0; k < i; k++) sum -= a[i * n + k] * b[k];
    b[i] = sum / a[i * n + i];
  }
  for (let i = n - 1; i >= 0; i--) {
    let sum = b[i];
    for (let k = i + 1; k < n; k++) sum -= a[k * n + i] * b[k];
    b[i] = sum / a[i * n + i];
  }
}

async function transpose(
  rows: SparseHost,
  items: number,
  kept: number,
  pause: () => Promise<void>,
): Promise<SparseHost> {
  const starts = new Uint32Array(items + 1);
  for (const column of rows.columns) starts[column + 1]++;
  for (let i = 0; i < items; i++) starts[i + 1] += starts[i];
  const next = starts.slice();
  const columns = new Uint32Array(rows.columns.length);
  const values = new Float32Array(rows.columns.length);
  for (let row = 0; row < items; row++) {
    for (let e = rows.starts[row]; e < rows.starts[row + 1]; e++) {
      const at = next[rows.columns[e]]++;
      columns[at] = row;
      values[at] = rows.values[e];
    }
  }
  const out = new RowWriter(items, kept);
  for (let i = 0; i < items; i++) {
    for (let e = starts[i]; e < starts[i + 1]; e++) out.add(columns[e], values[e]);
    out.end();
    await pause();
  }
  return out.finish();
}

type Add = (item: number, x: number) => void;

/** Rows of G and C, and columns of C, each made from where its item occurs. */
class Examples {
  readonly items: number;
  private readonly events: Uint32Array;
  private readonly r: Float32Array;
  /** Item i occurs at positions[starts[i]] to positions[starts[i + 1]], in the history of [begins, ends) there. */
  private readonly starts: Uint32Array;
  private positions = new Uint32Array(0);
  private begins = new Uint32Array(0);
  private ends = new Uint32Array(0);
  /** products[lag][m] = Σ r_(lag + s) r_s over s < m: what two events `lag` apart share, with m events behind the later. */
  private readonly products: Float64Array[];

  private constructor(split: Split, r: Float32Array) {
    this.items = split.items;
    this.events = inMemory(split.dataset.items);
    this.r = r;
    this.starts = new Uint32Array(split.items + 1);
    this.products = Array.from(r, (_, lag) => {
      const sums = new Float64Array(r.length - lag + 1);
      for (let s = 0; s < r.length - lag; s++) sums[s + 1] = sums[s] + r[lag + s] * r[s];
      return sums;
    });
  }

  /** @param r by recency @param pause awaited after each user */
  static async of(split: Split, r: Float32Array, pause: () => Promise<void>): Promise<Examples> {
    const examples = new Examples(split, r);
    await examples.find(split, pause);
    return examples;
  }

  private async find(split: Split, pause: () => Promise<void>): Promise<void> {
    const { starts, events } = this;
    const { offsets } = split.dataset;
    for (let u = 0; u < split.users; u++) {
      for (const item of split.history(u, 'train')) starts[item + 1]++;
      await pause();
    }
    for (let i = 0; i < split.items; i++) starts[i + 1] += starts[i];
    const next = starts.slice();
    const total = starts[split.items];
    [this.positions, this.begins, this.ends] = [new Uint32Array(total), new Uint32Array(total), new Uint32Array(total)];
    for (let u = 0; u < split.users; u++) {
      const end = offsets[u] + split.trainLength(u);
      for (let at = offsets[u]; at < end; at++) {
        const entry = next[events[at]]++;
        this.positions[entry] = at;
        this.begins[entry] = offsets[u];
        this.ends[entry] = end;
      }
      await pause();
    }
  }

  /** Row i of G. */
  readonly gram = (item: number, add: Add): void => {
    const { events, positions, products } = this;
    const n = this.r.length;
    for (let o = this.starts[item]; o < this.starts[item + 1]; o++) {
      const at = positions[o];
      const end = this.ends[o];
      for (let q = Math.max(this.begins[o], at - n + 1); q < Math.min(end, at + n); q++) {
        const shared = products[Math.abs(q - at)];
        add(events[q], shared[Math.min(shared.length - 1, end - 1 - Math.max(at, q))]);
      }
    }
  };

  /** Row i of C: what came after item i. */
  readonly next = (item: number, add: Add): void => {
    const { events, positions, r } = this;
    for (let o = this.starts[item]; o < this.starts[item + 1]; o++) {
      const at = positions[o];
      const end = Math.min(this.ends[o], at + r.length + 1);
      for (let q = at + 1; q < end; q++) add(events[q], r[q - at - 1]);
    }
  };

  /** Column y of C: what came before item y. */
  readonly previous = (item: number, add: Add): void => {
    const { events, positions, r } = this;
    for (let o = this.starts[item]; o < this.starts[item + 1]; o++) {
      const at = positions[o];
      for (let q = Math.max(this.begins[o], at - r.length); q < at; q++) add(events[q], r[at - q - 1]);
    }
  };
}

/** Sums by item, of which few are touched. */
class Sums {
  private readonly sums: Float64Array;
  private readonly seen: Uint8Array;
  private touched: number[] = [];

  constructor(items: number) {
    this.sums = new Float64Array(items);
    this.seen = new Uint8Array(items);
  }

  readonly add: Add = (item, x) => {
    if (!this.seen[item]) {
      this.seen[item] = 1;
      this.touched.push(item);
    }
    this.sums[item] += x;
  };

  /** Hands over what was added, and forgets it. */
  drain(use: Add): void {
    for (const item of this.touched) {
      use(item, this.sums[item]);
      this.sums[item] = 0;
      this.seen[item] = 0;
    }
    this.touched = [];
  }
}

/** Writes sparse rows one after another, of each the `most` largest weights by magnitude (ties: the lower column). */
class RowWriter {
  private readonly starts: Uint32Array;
  private columns = new Uint32Array(1024);
  private values = new Float32Array(1024);
  private row = 0;
  private length = 0;
  private readonly most: number;
  private items: number[] = [];
  private weights: number[] = [];

  constructor(rows: number, most: number) {
    this.starts = new Uint32Array(rows + 1);
    this.most = most;
  }

  readonly add: Add = (column, x) => {
    this.items.push(column);
    this.weights.push(x);
  };

  /** The row so far, cut and sorted by column; the writer forgets it. */
  take(): { columns: number[]; values: Float64Array } {
    const { items, weights, most } = this;
    let order = items.map((_, i) => i);
    if (order.length > most) {
      const sizes = Float64Array.from(weights, Math.abs).sort();
      const least = sizes[sizes.length - most];
      const above = order.filter((i) => Math.abs(weights[i]) > least);
      const equal = order.filter((i) => Math.abs(weights[i]) === least).sort((a, b) => items[a] - items[b]);
      order = [...above, ...equal.slice(0, most - above.length)];
    }
    order.sort((a, b) => items[a] - items[b]);
    [this.items, this.weights] = [[], []];
    return { columns: order.map((i) => items[i]), values: Float64Array.from(order, (i) => weights[i]) };
  }

  /** Ends the row. */
  end(): void {
    const { columns, values } = this.take();
    const need = this.length + columns.length;
    if (need > this.columns.length) {
      const room = Math.max(need, Math.ceil(this.columns.length * 1.5));
      const [c, v] = [new Uint32Array(room), new Float32Array(room)];
      c.set(this.columns);
      v.set(this.values);
      [this.columns, this.values] = [c, v];
    }
    this.columns.set(columns, this.length);
    this.values.set(values, this.length);
    this.length = need;
    this.starts[++this.row] = need;
  }

  finish(): SparseHost {
    const { starts, length } = this;
    return { starts, columns: this.columns.slice(0, length), values: this.values.slice(0, length) };
  }
}
