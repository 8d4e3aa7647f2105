/** What is done with rows of scores [rows, v]: definitions are those of engine/ops/{sparse-scores,topk}.ref.ts. */
import { log4 } from './math';

const MASKED: f32 = -3e38;
const NONE: u32 = 0xffffffff;

// @ts-expect-error: decorator
@inline
function word(at: usize, i: u32): u32 {
  return load<u32>(at + ((<usize>i) << 2));
}

/** out[u] = Σ of weights[l] · row items[l] of a sparse matrix, for l in [offsets[u], offsets[u + 1]); NaN where lists are broken. */
export function sparseScores(
  starts: usize, columns: usize, values: usize, offsets: usize, items: usize, weights: usize, out: usize,
  rows: u32, v: u32, first: u32, rowFirst: u32, rowCount: u32, longest: u32, capacity: u32, entries: u32, start: bool,
): void {
  for (let u: u32 = 0; u < rows; u++) {
    const row = out + (((<usize>u) * v) << 2);
    if (start) memory.fill(row, 0, (<usize>v) << 2);
    const begin = word(offsets, u);
    const end = word(offsets, u + 1);
    let valid = begin <= end && end - begin <= longest && end <= capacity;
    for (let l = begin; valid && l < end; l++) {
      const r = word(items, l) - rowFirst;
      if (r >= rowCount) continue;
      const weight = load<f32>(weights + ((<usize>l) << 2));
      const until = word(starts, r + 1);
      const from = word(starts, r);
      valid = from <= until && until <= entries;
      for (let i = from; valid && i < until; i++) {
        const j = word(columns, i) - first;
        if (j >= v) continue;
        const at = row + ((<usize>j) << 2);
        store<f32>(at, load<f32>(at) + weight * load<f32>(values + ((<usize>i) << 2)));
      }
    }
    if (!valid) for (let j: u32 = 0; j < v; j++) store<f32>(row + ((<usize>j) << 2), NaN);
  }
}

/** moments[u] = [shift, count, Σ(s − shift), Σ(s − shift)²], the shift being the row's first score; continued unless `start`. */
export function rowMoments(scores: usize, moments: usize, rows: u32, v: u32, start: bool): void {
  for (let u: u32 = 0; u < rows; u++) {
    const row = scores + (((<usize>u) * v) << 2);
    const at = moments + ((<usize>u) << 4);
    if (start) {
      store<f32>(at, load<f32>(row));
      store<f32>(at + 4, 0);
      store<f32>(at + 8, 0);
      store<f32>(at + 12, 0);
    }
    const shift = load<f32>(at);
    const four = f32x4.splat(shift);
    let sum: f64 = load<f32>(at + 8);
    let squares: f64 = load<f32>(at + 12);
    let j: u32 = 0;
    while (j + 4 <= v) {
      // In f32 over a block, in f64 over blocks.
      const until = min(v & ~3, j + 256);
      let s = f32x4.splat(0);
      let q = f32x4.splat(0);
      for (; j < until; j += 4) {
        const e = f32x4.sub(v128.load(row + ((<usize>j) << 2)), four);
        s = f32x4.add(s, e);
        q = f32x4.add(q, f32x4.mul(e, e));
      }
      sum += <f64>f32x4.extract_lane(s, 0) + f32x4.extract_lane(s, 1) + f32x4.extract_lane(s, 2) + f32x4.extract_lane(s, 3);
      squares += <f64>f32x4.extract_lane(q, 0) + f32x4.extract_lane(q, 1) + f32x4.extract_lane(q, 2) + f32x4.extract_lane(q, 3);
    }
    for (; j < v; j++) {
      const e = load<f32>(row + ((<usize>j) << 2)) - shift;
      sum += e;
      squares += e * e;
    }
    store<f32>(at + 4, load<f32>(at + 4) + <f32>v);
    store<f32>(at + 8, <f32>sum);
    store<f32>(at + 12, <f32>squares);
  }
}

// @ts-expect-error: decorator
@inline
function blend(s: v128, more: v128, scale: v128, b: f32, epsilon: v128, back: v128): v128 {
  const added = f32x4.mul(f32x4.splat(b), log4(f32x4.add(f32x4.max(more, f32x4.splat(0)), epsilon)));
  const y = f32x4.mul(f32x4.add(f32x4.mul(scale, s), added), back);
  const finite = f32x4.lt(f32x4.abs(more), f32x4.splat(Infinity));
  return v128.bitselect(y, f32x4.splat(NaN), finite);
}

/** scores = scores / σ + b · ln(max(more, 0) + ε), in units of σ, or times σ where `keep`. */
export function logBlend(
  scores: usize, more: usize, moments: usize, weights: usize, rows: u32, v: u32, keep: bool,
): void {
  const b = load<f32>(weights);
  const epsilon = f32x4.splat(load<f32>(weights + 4));
  for (let u: u32 = 0; u < rows; u++) {
    const at = moments + ((<usize>u) << 4);
    const n: f64 = load<f32>(at + 4);
    const mean: f64 = <f64>load<f32>(at + 8) / n;
    const variance: f64 = <f64>load<f32>(at + 12) / n - mean * mean;
    let scale: f32 = variance > 1e-30 ? <f32>(1 / sqrt(variance)) : 1;
    if (!isFinite(variance)) scale = NaN;
    const back: f32 = keep ? 1 / scale : 1;
    const first = ((<usize>u) * v) << 2;
    const end = first + ((<usize>v) << 2);
    let o = first;
    for (; o + 16 <= end; o += 16) {
      const s = v128.load(scores + o);
      let y = f32x4.mul(f32x4.mul(f32x4.splat(scale), s), f32x4.splat(back));
      if (b != 0) y = blend(s, v128.load(more + o), f32x4.splat(scale), b, epsilon, f32x4.splat(back));
      v128.store(scores + o, y);
    }
    for (; o < end; o += 4) {
      const s = load<f32>(scores + o);
      let y = scale * s * back;
      if (b != 0) {
        const four = blend(f32x4.splat(s), v128.load32_splat(more + o), f32x4.splat(scale), b, epsilon, f32x4.splat(back));
        y = f32x4.extract_lane(four, 0);
      }
      store<f32>(scores + o, y);
    }
  }
}

/** Row u's items of [offsets[u], offsets[u + 1]) become −3e38. */
export function maskSeen(offsets: usize, items: usize, scores: usize, rows: u32, v: u32, first: u32, capacity: u32): void {
  for (let u: u32 = 0; u < rows; u++) {
    const end = min(word(offsets, u + 1), capacity);
    for (let l = word(offsets, u); l < end; l++) {
      const j = word(items, l) - first;
      if (j < v) store<f32>(scores + ((u * v + j) << 2), MASKED);
    }
  }
}

/** Ranks of the targets: 1 is best, equal scores count before it; 0xffffffff without one, 0 where a score is not finite. */
export function rankOf(scores: usize, targets: usize, ranks: usize, rows: u32, v: u32): void {
  for (let u: u32 = 0; u < rows; u++) {
    const row = scores + (((<usize>u) * v) << 2);
    const target = word(targets, u);
    const score: f32 = target < v ? load<f32>(row + ((<usize>target) << 2)) : MASKED;
    let rank: u32 = 0;
    let finite = true;
    for (let j: u32 = 0; j < v; j++) {
      const s = load<f32>(row + ((<usize>j) << 2));
      if (s >= score) rank++;
      if (!(abs(s) < Infinity)) finite = false;
    }
    if (score <= MASKED) rank = NONE;
    if (!finite) rank = 0;
    store<u32>(ranks + ((<usize>u) << 2), rank);
  }
}

/** Whether the score and item come before the others: by score, the target last among equals, then by item. */
// @ts-expect-error: decorator
@inline
function before(s: f32, i: u32, s2: f32, i2: u32, target: u32): bool {
  if (s != s2) return s > s2;
  if (i == target || i2 == target) return i2 == target && i != target;
  return i < i2;
}

/** Moves an entry of a heap, whose root comes last, down to its place. */
function sink(values: usize, indices: usize, n: u32, s: f32, i: u32, target: u32): void {
  let at: u32 = 0;
  while (true) {
    let child: u32 = 2 * at + 1;
    if (child >= n) break;
    let cs = load<f32>(values + ((<usize>child) << 2));
    let ci = word(indices, child);
    if (child + 1 < n) {
      const ds = load<f32>(values + ((<usize>(child + 1)) << 2));
      const di = word(indices, child + 1);
      if (before(cs, ci, ds, di, target)) {
        child++;
        cs = ds;
        ci = di;
      }
    }
    if (!before(s, i, cs, ci, target)) break;
    store<f32>(values + ((<usize>at) << 2), cs);
    store<u32>(indices + ((<usize>at) << 2), ci);
    at = child;
  }
  store<f32>(values + ((<usize>at) << 2), s);
  store<u32>(indices + ((<usize>at) << 2), i);
}

/**
 * The k best of each part of each row [v], best first, the row's target (of `targets`, unless 0) last among its equals. A part is
 * `width` scores wide; its items are in `candidates`, or count from `first` if that is 0. Missing ones are NONE and −3e38.
 */
export function topk(
  scores: usize, candidates: usize, targets: usize, values: usize, indices: usize,
  rows: u32, v: u32, parts: u32, width: u32, first: u32, k: u32,
): void {
  for (let u: u32 = 0; u < rows; u++) {
    const target = targets ? word(targets, u) : NONE;
    for (let part: u32 = 0; part < parts; part++) {
      const from = part * width;
      const at = (<usize>(u * v + from)) << 2;
      const to = (<usize>((u * parts + part) * k)) << 2;
      const named = candidates ? candidates + at : 0;
      const count = from < v ? min(width, v - from) : 0;
      best(scores + at, named, values + to, indices + to, count, first + from, k, target);
    }
  }
}

/** The k best of `width` scores. A heap of the k best so far lies in the output, the last of them on top. */
function best(
  scores: usize, candidates: usize, values: usize, indices: usize, width: u32, first: u32, k: u32, target: u32,
): void {
  let n: u32 = 0;
  for (let j: u32 = 0; j < width; j++) {
    const s = load<f32>(scores + ((<usize>j) << 2));
    if (!(s > MASKED)) continue;
    if (n == k && s < load<f32>(values)) continue;
    const item = candidates ? word(candidates, j) : first + j;
    if (n < k) {
      // Up from the end.
      let at = n++;
      while (at > 0) {
        const parent = (at - 1) >> 1;
        const ps = load<f32>(values + ((<usize>parent) << 2));
        const pi = word(indices, parent);
        if (!before(ps, pi, s, item, target)) break;
        store<f32>(values + ((<usize>at) << 2), ps);
        store<u32>(indices + ((<usize>at) << 2), pi);
        at = parent;
      }
      store<f32>(values + ((<usize>at) << 2), s);
      store<u32>(indices + ((<usize>at) << 2), item);
    } else if (before(s, item, load<f32>(values), word(indices, 0), target))
      sink(values, indices, k, s, item, target);
  }
  for (let j = n; j < k; j++) {
    store<f32>(values + ((<usize>j) << 2), MASKED);
    store<u32>(indices + ((<usize>j) << 2), NONE);
  }
  for (let end = n; end > 1; ) {
    end--;
    const s = load<f32>(values + ((<usize>end) << 2));
    const i = word(indices, end);
    store<f32>(values + ((<usize>end) << 2), load<f32>(values));
    store<u32>(indices + ((<usize>end) << 2), word(indices, 0));
    sink(values, indices, end, s, i, target);
  }
}
