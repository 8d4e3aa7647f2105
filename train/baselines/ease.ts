/**
 * EASE (Steck: Embarrassingly Shallow Autoencoders for Sparse Data, WWW 2019): the linear item-item model that
 * predicts each of a user's items from the user's other items, in closed form (equation 8):
 *
 *   P = (XᵀX + λI)⁻¹;  B_ij = −P_ij / P_jj, B_jj = 0;  score of item j = Σ over the history of B_ij
 *
 * X [users, V] is 1 where a user has an item in training. The last events of the history count with weights decay^k.
 */
import type { Split } from '../../data/splits/split.ts';
import type { Device } from '../../engine/index.ts';
import { invertSpd, Panels } from '../../engine/spd.ts';
import type { Baseline } from './baselines.ts';

/** Largest catalog with an exact inverse (V² numbers, 2V³ operations). */
export const exactItems = (device: Device): number => (device.gpu ? 10_000 : 1_500);

/**
 * Scores by the last items of a history, the row of B of each weighted by decay^k (k = 0 for the last). λ = 500, 20 items, and
 * 0.9 reproduce the metrics published for MovieLens 1M (.1197 / .2194, seen items excluded).
 */
export function easeRows(
  weights: Float32Array,
  V: number,
  { last = 20, decay = 0.9 }: { last?: number; decay?: number } = {},
): Baseline['scores'] {
  return (history, out) => {
    out.fill(0);
    for (let k = 0; k < Math.min(last, history.length); k++) {
      const row = history[history.length - 1 - k] * V;
      const scale = decay ** k;
      for (let i = 0; i < V; i++) out[i] += scale * weights[row + i];
    }
  };
}

/**
 * B [V, V], row-major. Exact, so only for up to {@link exactItems} items. The inverse runs on the device.
 * @param pause awaited after each piece of work with the share that is done, 0 to 1; it may throw to stop
 */
export async function easeWeights(
  device: Device,
  split: Split,
  lambda: number,
  pause: (done: number) => Promise<void> = async () => {},
): Promise<Float32Array> {
  const V = split.items;
  const addCounts = cooccurrences(split);
  const fill = (row: number, out: Float32Array): void => {
    addCounts(row, out);
    out[row] += lambda;
  };
  const p = await Panels.create(device, V, fill, 1, () => pause(0));
  try {
    await invertSpd(p, () => pause(0.3));
    const b = new Float32Array(V * V);
    const diagonal = new Float64Array(V);
    await p.rows((row, values) => {
      b.set(values, row * V);
      diagonal[row] = values[row];
    });
    for (let i = 0; i < V; i++) {
      for (let j = 0; j < V; j++) b[i * V + j] = i === j ? 0 : -b[i * V + j] / diagonal[j];
    }
    return b;
  } finally {
    p.dispose();
  }
}

/** Writes row i of XᵀX: how many users have both items in training (repeated events count once). */
function cooccurrences(split: Split): (row: number, out: Float32Array) => void {
  const users: Uint32Array[] = [];
  const counts = new Uint32Array(split.items + 1);
  for (let u = 0; u < split.users; u++) {
    const items = Uint32Array.from(new Set(split.history(u, 'train')));
    users.push(items);
    for (const item of items) counts[item + 1]++;
  }
  const starts = counts;
  for (let i = 0; i < split.items; i++) starts[i + 1] += starts[i];
  const next = starts.slice();
  const owners = new Uint32Array(starts[split.items]);
  users.forEach((items, u) => {
    for (const item of items) owners[next[item]++] = u;
  });
  return (row, out) => {
    for (let o = starts[row]; o < starts[row + 1]; o++) for (const item of users[owners[o]]) out[item]++;
  };
}
