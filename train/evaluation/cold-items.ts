/** Cold items: scores by the attribute model and by the item tower, their blend, and the metrics of each. */
import type { ColdSplit } from '../../data/splits/cold.ts';
import type { Similarity } from '../../data/features/similarity.ts';
import { type Device, Panels, type Pause, solveSpd } from '../../engine/index.ts';
import type { AttributeModel, AttributeWeights } from '../../model/transitions/attribute-model.ts';
import { Scorer } from '../../model/inference/scorer.ts';
import type { Scored, ScoreQuery } from '../../model/inference/scored.ts';
import { rankAmong, requireFinite } from '../../model/inference/ranks.ts';
import type { SequenceModel } from '../../model/encoders/sequence-model.ts';
import { Collector, type TrainingFacts, trainingFacts } from './collector.ts';
import { exactItems } from '../baselines/ease.ts';
import type { Evaluation } from './evaluate.ts';
import { splitQuery } from '../../model/inference/query.ts';
import { usersWithTarget } from './evaluate.ts';
import type { Distance } from './list-metrics.ts';
import { type Metrics, RankMetrics } from './metrics.ts';
import { distinct } from './ranking.ts';

const CHUNK = 1024;

/** A user's scores of the cold items, in the order of their rows: sums of the history's rows of α. */
type AttributeScores = (history: Uint32Array) => Float64Array;

/**
 * Learns the attribute model for the cold items of validation or test, from the items that are known then: of many the
 * most popular, as many as have an exact inverse (`exactItems`).
 * @param pause awaited between pieces of the work; it may throw to stop
 */
export async function learnAttributes(
  device: Device,
  split: ColdSplit,
  part: 'valid' | 'test',
  similar: Similarity,
  { lambda, text }: AttributeWeights,
  pause: Pause = async () => {},
): Promise<AttributeScores> {
  const [from, to] = split.candidates(part);
  const known = anchors(device, split, from);
  const n = known.length;
  const c = to - from;
  const row = new Float32Array(split.items);
  const fill = (i: number, out: Float32Array): void => {
    similar(known[i], text, row);
    for (let j = 0; j < n; j++) out[j] = row[known[j]];
    out[i] += lambda;
  };
  const panels = await Panels.create(device, n, fill, 1, pause);
  let alpha: Float32Array;
  try {
    // Their similarity to cold items.
    const cross = new Float32Array(panels.size * c);
    for (let i = 0; i < n; i++) {
      similar(known[i], text, row);
      cross.set(row.subarray(from, to), i * c);
      await pause();
    }
    alpha = await solveSpd(panels, cross, c, pause);
  } finally {
    panels.dispose();
  }
  const position = new Int32Array(split.items).fill(-1);
  known.forEach((item, i) => {
    position[item] = i;
  });
  return (history) => {
    const out = new Float64Array(c);
    for (const item of new Set(history)) {
      const i = position[item];
      if (i < 0) continue;
      const base = i * c;
      for (let j = 0; j < c; j++) out[j] += alpha[base + j];
    }
    return out;
  };
}

/** Item rows below `from`, the most popular if there are too many. */
function anchors(device: Device, split: ColdSplit, from: number): Uint32Array {
  const rows = Uint32Array.from({ length: from }, (_, i) => i);
  const most = exactItems(device);
  if (from <= most) return rows;
  const counts = new Uint32Array(split.items);
  for (const item of split.dataset.items) counts[item]++;
  return rows
    .sort((a, b) => counts[b] - counts[a] || a - b)
    .slice(0, most)
    .sort();
}

/** To mean 0 and deviation 1. */
export function standardize(scores: ArrayLike<number>): Float64Array {
  const out = Float64Array.from(scores);
  const mean = out.reduce((sum, x) => sum + x, 0) / out.length;
  const deviation = Math.sqrt(out.reduce((sum, x) => sum + (x - mean) ** 2, 0) / out.length) || 1;
  return out.map((x) => (x - mean) / deviation);
}

/** 1-based ranks of `targets` (indices of the scores); ties count against them. */
export function ranksOf(scores: Float64Array, targets: ArrayLike<number>): Uint32Array {
  requireFinite(scores, 'scores of cold items');
  return Uint32Array.from(targets, (t) => rankAmong(scores, scores[t]));
}

/** The tower's scores of the cold items, user by user. */
export async function* towerScores(
  model: SequenceModel,
  split: ColdSplit,
  part: 'valid' | 'test',
  users: Uint32Array,
  onProgress?: (done: number, total: number) => void | Promise<void>,
): AsyncGenerator<{ user: number; history: Uint32Array; targets: Uint32Array; tower: Float64Array }> {
  const [from, to] = split.candidates(part);
  const scorer = new Scorer(model, { k: 1, scoresFrom: from });
  try {
    for (let at = 0; at < users.length; at += CHUNK) {
      const chunk = users.subarray(at, at + CHUNK);
      const queries = Array.from(chunk, (u): ScoreQuery => splitQuery(split, u, part, model.settings.window));
      const scored: Scored[] = await scorer.score(queries, (done) => onProgress?.(at + done, users.length));
      for (const [i, user] of chunk.entries()) {
        const targets = distinct(split.targets(user, part)).map((item) => item - from);
        const tower = standardize((scored[i].allScores as Float32Array).subarray(0, to - from));
        yield { user, history: queries[i].history, targets, tower };
      }
    }
  } finally {
    scorer.dispose();
  }
}

export const blended = (tower: Float64Array, byAttributes: Float64Array, weight: number): Float64Array =>
  tower.map((x, j) => (1 - weight) * x + weight * byAttributes[j]);

export interface ColdOptions {
  split: 'valid' | 'test';
  /** How the attribute model joins the item tower; null: the tower scores alone. */
  attributes: AttributeModel | null;
  similar: Similarity;
  /** Length of the lists. */
  k?: number;
  facts?: TrainingFacts;
  distance?: Distance | null;
  keepLists?: boolean;
  onProgress?(done: number, total: number): void;
  onUser?(user: number, targets: Uint32Array, ranks: Uint32Array, scored: Scored): void;
}

/** Ranks all cold items of each user among the cold items of validation or test; see data/splits/cold.ts. */
export async function evaluateCold(model: SequenceModel, split: ColdSplit, options: ColdOptions): Promise<Evaluation> {
  const {
    split: part,
    attributes: joined,
    similar,
    k = 10,
    facts = trainingFacts(split),
    distance,
    keepLists,
  } = options;
  const [from] = split.candidates(part);
  const attributeScores = joined && (await learnAttributes(model.device, split, part, similar, joined));
  const collector = new Collector(split, { split: part, facts, distance, keepLists });
  const alone = { transformer: new RankMetrics(), attributes: new RankMetrics() };
  const users = usersWithTarget(split, part);
  for await (const one of towerScores(model, split, part, users, options.onProgress)) {
    const { user, history, targets, tower } = one;
    let scores = tower;
    if (joined && attributeScores) {
      const attributes = standardize(attributeScores(history));
      alone.transformer.addUser(ranksOf(tower, targets));
      alone.attributes.addUser(ranksOf(attributes, targets));
      scores = blended(tower, attributes, joined.weight);
    }
    const ranks = ranksOf(scores, targets);
    const list = Array.from(scores, (_, j) => j)
      .sort((a, b) => scores[b] - scores[a] || a - b)
      .slice(0, Math.max(10, k));
    const items = Uint32Array.from(list, (j) => from + j);
    const rows = targets.map((j) => from + j);
    collector.add(user, rows, ranks, items);
    const values = Float32Array.from(list, (j) => scores[j]);
    options.onUser?.(user, rows, ranks, { rank: ranks[0], items, scores: values });
  }
  const components: Record<string, Metrics> = {};
  for (const [name, ranks] of Object.entries(alone)) if (ranks.users > 0) components[name] = ranks.result();
  const { protocol, items } = split;
  const conditions = { protocol, split: part, seen: 'excluded', requestTime: 'unknown' } as const;
  return { ...conditions, items, parts: components, ...collector.result() };
}
