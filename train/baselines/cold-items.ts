/** Nearest neighbors by attributes: the simplest recommender of unseen items. */
import type { ColdSplit } from '../../data/splits/cold.ts';
import type { Similarity } from '../../data/features/similarity.ts';
import type { Baseline } from './baselines.ts';

const NEIGHBORS = 50;

/** A cold item's score: the summed similarity of those of its 50 nearest known items that are in the history. */
export function attributeNeighbors(split: ColdSplit, part: 'valid' | 'test', similar: Similarity): Baseline {
  const [from, to] = split.candidates(part);
  const row = new Float32Array(split.items);
  /** For each known item, the candidates that have it among their neighbors, with their similarity. */
  const near: [candidate: number, similarity: number][][] = Array.from({ length: from }, () => []);
  for (let c = from; c < to; c++) {
    similar(c, 1, row);
    const nearest = Array.from({ length: from }, (_, j) => j)
      .sort((a, b) => row[b] - row[a] || a - b)
      .slice(0, NEIGHBORS);
    for (const j of nearest) near[j].push([c, row[j]]);
  }
  return {
    name: 'attribute neighbours',
    scores: (history, out) => {
      out.fill(0);
      for (const item of new Set(history)) for (const [c, s] of near[item] ?? []) out[c] += s;
    },
  };
}
