/** Re-ranking of a list, item by item: diversity, calibration, caps by attribute, and exposure floors. Pure functions of the list. */
import { CalibratedList, type Calibration } from './calibrate.ts';
import { type ExposureFloor, FlooredList } from './expose.ts';

/** A candidate of a ranked list, best first. */
export interface Candidate {
  /** Item row. */
  row: number;
  score: number;
}

export interface RerankOptions {
  /** How many to keep. */
  k: number;
  /**
   * 0 (leave the order) to 1 (the least alike): maximal marginal relevance, Carbonell & Goldstein, SIGIR 1998. The next
   * item is the one with the highest (1 − diversity) · relevance − diversity · (highest cosine to those taken);
   * relevance is the score scaled to 0 … 1 over the candidates.
   */
  diversity?: number;
  /** Vector of an item, of length 1, for `diversity`. */
  vectorOf?(row: number): Float32Array;
  /** Most items of a list that may share a value of an attribute; `valuesOf` gives an item's values of each. */
  caps?: readonly { most: number; valuesOf(row: number): readonly string[] }[];
  /** Proportions of attributes as in the history; their weights add up to 1 at most. */
  calibrations?: readonly Calibration[];
  /** Items that get a share of the list's exposure. Where two are due and no candidate has both properties, the first counts. */
  floors?: readonly ExposureFloor[];
}

/**
 * The k candidates that stay, in their new order. Fewer come out where caps leave no more. Equal choices keep the order
 * that came.
 */
export function rerank(candidates: readonly Candidate[], options: RerankOptions): Candidate[] {
  const { k, diversity = 0, vectorOf, caps = [] } = options;
  if (!(diversity >= 0 && diversity <= 1))
    throw new Error(`rerank: expected a diversity from 0 to 1, got ${diversity}`);
  if (diversity > 0 && !vectorOf) throw new Error('rerank: diversity needs the vectors of the items');
  const counts = caps.map(() => new Map<string, number>());
  const fits = ({ row }: Candidate): boolean =>
    caps.every((cap, i) => cap.valuesOf(row).every((value) => (counts[i].get(value) ?? 0) < cap.most));
  const floors = (options.floors ?? []).map((floor) => {
    const members = candidates.reduce((n, { row }) => n + Number(floor.has(row)), 0);
    return new FlooredList(floor, Math.min(k, candidates.length), members);
  });
  const calibrated = (options.calibrations ?? [])
    .map((calibration) => new CalibratedList(calibration))
    .filter(({ weight }) => weight > 0);
  const uncalibrated = 1 - calibrated.reduce((sum, { weight }) => sum + weight, 0);
  const relevance = scaled(candidates);
  const alike = new Float64Array(candidates.length).fill(-1);
  const left = new Set(candidates.keys());
  const taken: Candidate[] = [];
  const valueAt = (i: number): number => {
    const value = taken.length === 0 ? relevance[i] : (1 - diversity) * relevance[i] - diversity * alike[i];
    if (calibrated.length === 0) return value;
    return calibrated.reduce((sum, list) => sum - list.weight * list.with(candidates[i].row), uncalibrated * value);
  };
  while (taken.length < k && left.size > 0) {
    let open = Array.from(left).filter((i) => fits(candidates[i]));
    for (const floor of floors) {
      if (!floor.due) continue;
      const due = open.filter((i) => floor.has(candidates[i].row));
      if (due.length > 0) open = due;
    }
    let best = -1;
    let bestValue = Number.NEGATIVE_INFINITY;
    for (const i of open) {
      const value = valueAt(i);
      if (value > bestValue) {
        best = i;
        bestValue = value;
      }
    }
    if (best < 0) break;
    const { row } = candidates[best];
    left.delete(best);
    taken.push(candidates[best]);
    caps.forEach((cap, c) => {
      for (const value of cap.valuesOf(row)) counts[c].set(value, (counts[c].get(value) ?? 0) + 1);
    });
    for (const list of [...calibrated, ...floors]) list.add(row);
    if (diversity > 0 && vectorOf) {
      const vector = vectorOf(row);
      for (const other of left) alike[other] = Math.max(alike[other], dot(vector, vectorOf(candidates[other].row)));
    }
  }
  return taken;
}

/** Scores from 0 (the lowest) to 1 (the highest). */
function scaled(candidates: readonly Candidate[]): Float64Array {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const { score } of candidates) {
    low = Math.min(low, score);
    high = Math.max(high, score);
  }
  return Float64Array.from(candidates, ({ score }) => (high > low ? (score - low) / (high - low) : 1));
}

function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}
