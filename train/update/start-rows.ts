/** The weights that an update starts from: those of the model, and rows for items that it did not know. */
import { inferSchema } from '../../data/features/schema.ts';
import { similarity } from '../../data/features/similarity.ts';
import type { Split } from '../../data/splits/split.ts';
import { ITEM_WEIGHTS } from '../../model/encoders/network.ts';
import type { Settings } from '../../model/recipes/settings.ts';
import type { Tensors } from '../../model/storage/checkpoint.ts';
import { CodedTensor } from '../../model/storage/coded-tensor.ts';
import type { Item } from '../../model/storage/config.ts';

/** Events before and after one that count as its neighbors. */
const NEAR = 3;
/** Items with similar attributes that a row starts from. */
const SIMILAR = 10;
/** Catalogs beyond which attributes are not compared: each new item takes a pass over all of them. */
const MOST_COMPARED = 50_000;

/**
 * The model's tensors with a row for each item of the split. A new row is the mean of the embeddings of
 *
 *   1. the known items next to its training events, each by 1 / distance,
 *   2. without any, the known items whose attributes are most similar,
 *   3. without those, all known items.
 *
 * With codes it has those that come nearest to it. With an item tower a new row is zero: the tower represents the item by its
 * attributes alone.
 */
export function startTensors(tensors: Tensors, split: Split, items: readonly Item[], settings: Settings): Tensors {
  const table = tensors.get(ITEM_WEIGHTS);
  if (!table) throw new Error(`update: the model has no ${ITEM_WEIGHTS}`);
  const [known, d] = table.shape;
  if (known === split.items) return tensors;
  const old = Float32Array.from(table.data);
  const data = new Float32Array(split.items * d);
  data.set(old);
  if (settings.items !== 'tower') {
    const sums = neighborSums(old, d, split, known);
    const similar = attributeNeighbors(items, known);
    const mean = meanOf(
      old,
      d,
      Array.from({ length: known }, (_, v) => v),
    );
    for (let v = known; v < split.items; v++) {
      const weight = sums.weights[v - known];
      const row =
        weight > 0
          ? sums.rows.subarray((v - known) * d, (v - known + 1) * d).map((x) => x / weight)
          : similar
            ? meanOf(old, d, similar(v))
            : mean;
      data.set(row, v * d);
    }
  }
  const grown =
    table instanceof CodedTensor ? table.withRows(data.subarray(known * d)) : { shape: [split.items, d], data };
  return new Map([...tensors, [ITEM_WEIGHTS, grown]]);
}

/** For each new item Σ E[i] / distance over the known items i next to its training events, and Σ 1 / distance. */
function neighborSums(old: Float32Array, d: number, split: Split, known: number) {
  const rows = new Float32Array((split.items - known) * d);
  const weights = new Float64Array(split.items - known);
  for (let u = 0; u < split.users; u++) {
    const history = split.history(u, 'train');
    history.forEach((item, at) => {
      if (item < known) return;
      for (let near = Math.max(0, at - NEAR); near <= Math.min(history.length - 1, at + NEAR); near++) {
        const other = history[near];
        if (other >= known) continue;
        const weight = 1 / Math.abs(near - at);
        weights[item - known] += weight;
        for (let c = 0; c < d; c++) rows[(item - known) * d + c] += weight * old[other * d + c];
      }
    });
  }
  return { rows, weights };
}

/** The known items whose attributes are most similar to those of a new one; null where items have none. */
function attributeNeighbors(items: readonly Item[], known: number): ((v: number) => number[]) | null {
  if (items.length > MOST_COMPARED || items.every(({ attributes }) => Object.keys(attributes).length === 0))
    return null;
  const similar = similarity(inferSchema(items), items);
  const row = new Float32Array(items.length);
  return (v) => {
    similar(v, 1, row);
    return Array.from({ length: known }, (_, i) => i)
      .sort((a, b) => row[b] - row[a] || a - b)
      .slice(0, SIMILAR);
  };
}

function meanOf(old: Float32Array, d: number, rows: readonly number[]): Float32Array {
  const mean = new Float32Array(d);
  for (const v of rows) for (let c = 0; c < d; c++) mean[c] += old[v * d + c] / rows.length;
  return mean;
}
