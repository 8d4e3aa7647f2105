/**
 * EASE (Steck: Embarrassingly Shallow Autoencoders for Sparse Data, WWW 2019): the linear item–item model that predicts
 * each user's items from the others of that user, in closed form (equation 8):
 *
 *   P = (XᵀX + λI)⁻¹;  B_ij = −P_ij / P_jj, B_jj = 0;  score of item j = Σ over the history of B_ij
 *
 * X [users, V] holds 1 where a user met an item in training. The history's last events count with weights decay^k.
 */
import type { Split } from '../../data/splits/split.ts';
import type { Device } from '../../engine/index.ts';
import { invertSpd, Panels } from '../../engine/spd.ts';
import type { Baseline } from './baselines.ts';

/** Catalogues up to this size have an exact inverse (V² numbers, 2V³ operations); 1,500 on the CPU device. */
export const exactItems = (device: Device): number => (device.gpu ? 10_000 : 1_500);

/**
 * Scores by the last items of a history, each one's row of B weighted decay^k (k = 0 for the last). λ = 500, 20 items and
 * 0.9 are what gives the figures known for MovieLens 1M (.1197 / .2194, seen items excluded).
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

/** B [V, V], row-major; exact, so take it up to {@link exactItems} items only. The product runs on the device. */
export async function easeWeights(device: Device, parts: Split, lambda: number): Promise<Float32Array> {
  const V = parts.items;
  const together = cooccurrences(parts);
  const p = await Panels.create(device, V, (row, out) => {
    together(row, out);
    out[row] += lambda;
  });
  try {
    await invertSpd(p);
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

/** Writes row i of XᵀX: how many users met both items in training (a user who met one twice counts once). */
function cooccurrences(parts: Split): (row: number, out: Float32Array) => void {
  const users: Uint32Array[] = [];
  const counts = new Uint32Array(parts.items + 1);
  for (let u = 0; u < parts.users; u++) {
    const items = Uint32Array.from(new Set(parts.history(u, 'train')));
    users.push(items);
    for (const item of items) counts[item + 1]++;
  }
  const starts = counts;
  for (let i = 0; i < parts.items; i++) starts[i + 1] += starts[i];
  const next = starts.slice();
  const owners = new Uint32Array(starts[parts.items]);
  users.forEach((items, u) => {
    for (const item of items) owners[next[item]++] = u;
  });
  return (row, out) => {
    for (let o = starts[row]; o < starts[row + 1]; o++) for (const item of users[owners[o]]) out[item]++;
  };
}
