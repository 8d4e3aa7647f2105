/** Cold items: scores by the attribute memory and by the item tower, their blend, its fit, and the figures of both. */
import type { ColdSplit } from '../../data/splits/cold.ts';
import type { Similarity } from '../../data/features/similarity.ts';
import { type Device, invertSpd, matmul, Panels } from '../../engine/index.ts';
import type { AttributeModel, AttributeWeights } from '../../model/transitions/attribute-model.ts';
import { type Scored, Scorer, type ScoreQuery } from '../../model/inference/scorer.ts';
import { rankAmong, requireFinite } from '../../model/inference/ranks.ts';
import type { SequenceModel } from '../../model/encoders/sequence-model.ts';
import { Collector, type TrainingFacts, trainingFacts } from '../evaluation/collector.ts';
import { exactItems } from '../baselines/ease.ts';
import type { Evaluation } from '../evaluation/evaluate.ts';
import { queryOf, usersWithTarget } from '../evaluation/evaluate.ts';
import type { Distance } from '../evaluation/list-metrics.ts';
import { type Metrics, RankMetrics } from '../evaluation/metrics.ts';
import { distinct } from '../evaluation/ranking.ts';

/** What is tried on validation. */
const LAMBDAS = [2, 5, 10];
const TEXTS = [0.3, 1];
const WEIGHTS = [0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1];
/** TargetMetrics that config.json keeps. */
const KEPT = ['NDCG@10', 'HR@10', 'Recall@10'];
const CHUNK = 1024;

/** A user's scores of a part's cold items, in the order of their rows; added up from rows of α for the history. */
type AttributeScores = (history: Uint32Array) => Float64Array;

/**
 * Learns the attribute memory for a part's cold items, by the items that are known then: of many the most popular, as many
 * as have an exact inverse (`exactItems`).
 */
export async function learnAttributes(
  device: Device,
  parts: ColdSplit,
  part: 'valid' | 'test',
  similar: Similarity,
  { lambda, text }: AttributeWeights,
): Promise<AttributeScores> {
  const [from, to] = parts.candidates(part);
  const known = anchors(device, parts, from);
  const n = known.length;
  const c = to - from;
  const row = new Float32Array(parts.items);
  const panels = Panels.create(device, n, (i, out) => {
    similar(known[i], text, row);
    for (let j = 0; j < n; j++) out[j] = row[known[j]];
    out[i] += lambda;
  });
  const alpha = new Float32Array(n * c);
  try {
    await invertSpd(panels);
    const cross = new Float32Array(panels.size * c);
    for (let i = 0; i < n; i++) {
      similar(known[i], text, row);
      cross.set(row.subarray(from, to), i * c);
    }
    const right = device.tensor(cross, [panels.size, c], { label: 'similarity to cold items' });
    let at = 0;
    for (const panel of panels.tensors) {
      const product = device.noGrad(() => device.scope(() => matmul(panel, right).keep()));
      const values = (await product.data()) as Float32Array;
      alpha.set(values.subarray(0, Math.min(values.length, alpha.length - at)), at);
      at += values.length;
      product.dispose();
    }
    right.dispose();
  } finally {
    panels.dispose();
  }
  const place = new Int32Array(parts.items).fill(-1);
  known.forEach((item, i) => {
    place[item] = i;
  });
  return (history) => {
    const out = new Float64Array(c);
    for (const item of new Set(history)) {
      const i = place[item];
      if (i < 0) continue;
      const base = i * c;
      for (let j = 0; j < c; j++) out[j] += alpha[base + j];
    }
    return out;
  };
}

/** Item rows below `from`, the most popular if there are too many. */
function anchors(device: Device, parts: ColdSplit, from: number): Uint32Array {
  const rows = Uint32Array.from({ length: from }, (_, i) => i);
  const most = exactItems(device);
  if (from <= most) return rows;
  const counts = new Uint32Array(parts.items);
  for (const item of parts.dataset.items) counts[item]++;
  return rows
    .sort((a, b) => counts[b] - counts[a] || a - b)
    .slice(0, most)
    .sort();
}

/** To mean 0 and deviation 1. */
function standardise(scores: ArrayLike<number>): Float64Array {
  const out = Float64Array.from(scores);
  const mean = out.reduce((sum, x) => sum + x, 0) / out.length;
  const deviation = Math.sqrt(out.reduce((sum, x) => sum + (x - mean) ** 2, 0) / out.length) || 1;
  return out.map((x) => (x - mean) / deviation);
}

/** 1-based ranks of `targets` (places among the scores); ties count against them. */
function ranksOf(scores: Float64Array, targets: ArrayLike<number>): Uint32Array {
  requireFinite(scores, 'scores of cold items');
  return Uint32Array.from(targets, (t) => rankAmong(scores, scores[t]));
}

/** The tower's scores of a part's cold items, user by user. */
async function* towerScores(
  model: SequenceModel,
  parts: ColdSplit,
  part: 'valid' | 'test',
  users: Uint32Array,
  onProgress?: (done: number, total: number) => void,
): AsyncGenerator<{ user: number; history: Uint32Array; targets: Uint32Array; tower: Float64Array }> {
  const [from, to] = parts.candidates(part);
  const scorer = new Scorer(model, { k: 1, scoresFrom: from });
  try {
    for (let at = 0; at < users.length; at += CHUNK) {
      const chunk = users.subarray(at, at + CHUNK);
      const queries = Array.from(chunk, (u): ScoreQuery => queryOf(parts, u, part, model));
      const scored: Scored[] = await scorer.score(queries, (done) => onProgress?.(at + done, users.length));
      for (const [i, user] of chunk.entries()) {
        const targets = distinct(parts.targets(user, part)).map((item) => item - from);
        const tower = standardise((scored[i].allScores as Float32Array).subarray(0, to - from));
        yield { user, history: queries[i].history, targets, tower };
      }
    }
  } finally {
    scorer.dispose();
  }
}

const blended = (tower: Float64Array, byAttributes: Float64Array, weight: number): Float64Array =>
  tower.map((x, j) => (1 - weight) * x + weight * byAttributes[j]);

/** Chooses λ, the weight of texts and that of the attribute memory by NDCG@10 on the cold items of the validation. */
export async function fitAttributes(
  model: SequenceModel,
  parts: ColdSplit,
  similar: Similarity,
  users: Uint32Array,
): Promise<AttributeModel> {
  const { device } = model;
  const kept: { history: Uint32Array; targets: Uint32Array; tower: Float64Array }[] = [];
  for await (const one of towerScores(model, parts, 'valid', users)) kept.push(one);
  let best: AttributeModel | null = null;
  for (const lambda of LAMBDAS) {
    for (const text of TEXTS) {
      const scores = await learnAttributes(device, parts, 'valid', similar, { lambda, text });
      const trials = WEIGHTS.map(() => new RankMetrics());
      for (const { history, targets, tower } of kept) {
        const attributes = standardise(scores(history));
        WEIGHTS.forEach((weight, i) => {
          trials[i].addUser(ranksOf(blended(tower, attributes, weight), targets));
        });
      }
      const figures = trials.map((trial) => pick(trial.result()));
      figures.forEach((blend, i) => {
        if (best && blend['NDCG@10'] <= best.fitted.blend['NDCG@10']) return;
        const fitted = { users: users.length, transformer: figures[0], attributes: figures[WEIGHTS.length - 1], blend };
        best = { lambda, text, weight: WEIGHTS[i], fitted };
      });
    }
  }
  if (!best) throw new Error('cold items: nobody to fit on');
  return best;
}

const pick = (metrics: Metrics): Metrics => Object.fromEntries(KEPT.map((name) => [name, metrics[name]]));

export interface ColdOptions {
  split: 'valid' | 'test';
  /** How attributes join the transformer; null: the transformer scores alone. */
  memory: AttributeModel | null;
  similar: Similarity;
  /** Length of the lists. */
  k?: number;
  facts?: TrainingFacts;
  distance?: Distance | null;
  onProgress?(done: number, total: number): void;
  onUser?(user: number, targets: Uint32Array, ranks: Uint32Array, scored: Scored): void;
}

/** Ranks all cold items of each user among the cold items of the part; see data/splits/cold.ts. */
export async function evaluateCold(model: SequenceModel, parts: ColdSplit, options: ColdOptions): Promise<Evaluation> {
  const { split, memory, similar, k = 10, facts = trainingFacts(parts), distance } = options;
  const [from] = parts.candidates(split);
  const attributeScores = memory && (await learnAttributes(model.device, parts, split, similar, memory));
  const collector = new Collector(parts, { split, facts, distance });
  const alone = { transformer: new RankMetrics(), attributes: new RankMetrics() };
  const users = usersWithTarget(parts, split);
  for await (const one of towerScores(model, parts, split, users, options.onProgress)) {
    const { user, history, targets, tower } = one;
    let scores = tower;
    if (memory && attributeScores) {
      const attributes = standardise(attributeScores(history));
      alone.transformer.addUser(ranksOf(tower, targets));
      alone.attributes.addUser(ranksOf(attributes, targets));
      scores = blended(tower, attributes, memory.weight);
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
  const { protocol, items } = parts;
  return { protocol, split, seen: 'excluded', items, parts: components, ...collector.result() };
}
