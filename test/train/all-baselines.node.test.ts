import { expect, test } from 'vitest';
import { parseProtocol } from '../../data/splits/protocol.ts';
import { seeded } from '../../data/random.ts';
import { splitDataset } from '../../data/splits/split.ts';
import { allBaselines, BASELINES } from '../../train/baselines/all-baselines.ts';
import { fitBaselineBlend } from '../../train/baselines/baseline-blend.ts';
import { type Baseline, markov, markovWindow } from '../../train/baselines/baselines.ts';
import { easeRows, easeWeights } from '../../train/baselines/ease.ts';
import { evaluateBaseline } from '../../train/evaluation/ranking.ts';
import { datasetOf } from '../data/bytes.ts';
import { ranksOf } from './small.ts';
import { openDevice } from '../device.ts';

const device = await openDevice({ backend: 'auto' });

const random = seeded(1, 1);
const ITEMS = 71;
const histories = Array.from({ length: 90 }, () => {
  const start = random.below(ITEMS);
  return Array.from({ length: 4 + random.below(6) }, (_, t) => (start + t * (1 + random.below(2))) % ITEMS);
});
const dataset = datasetOf(histories);
const split = splitDataset(dataset);

/** P = (XᵀX + λI)⁻¹ by Gauss–Jordan, B_ij = −P_ij / P_jj. */
function closedForm(lambda: number): number[][] {
  const V = split.items;
  const a = Array.from({ length: V }, (_, i) =>
    Array.from({ length: 2 * V }, (_, j) => (j === V + i ? 1 : j === i ? lambda : 0)),
  );
  for (let u = 0; u < split.users; u++) {
    const own = new Set(split.history(u, 'train'));
    for (const i of own) for (const j of own) a[i][j]++;
  }
  for (let i = 0; i < V; i++) {
    const pivot = a[i][i];
    a[i] = a[i].map((x) => x / pivot);
    for (let r = 0; r < V; r++) {
      if (r === i) continue;
      const factor = a[r][i];
      a[r] = a[r].map((x, j) => x - factor * a[i][j]);
    }
  }
  return a.map((row, i) => Array.from({ length: V }, (_, j) => (i === j ? 0 : -row[V + j] / a[j][V + j])));
}

test.each([0.5, 500])('EASE is the closed form, λ = %d, up to single precision', async (lambda) => {
  const V = split.items;
  const weights = await easeWeights(device, split, lambda);
  closedForm(lambda).forEach((row, i) => {
    row.forEach((value, j) => expect(Math.abs(weights[i * V + j] - value)).toBeLessThan(2e-5));
  });
});

test('scores decay from the last item back, and only so far', async () => {
  const V = split.items;
  const weights = await easeWeights(device, split, 2);
  const out = new Float64Array(V);
  easeRows(weights, V, { last: 2, decay: 0.5 })(Uint32Array.of(5, 3, 7), out);
  for (let i = 0; i < V; i++) expect(out[i]).toBeCloseTo(weights[7 * V + i] + 0.5 * weights[3 * V + i], 6);
});

test('the blend is chosen on validation targets alone', async () => {
  const weights = await easeWeights(device, split, 10);
  const fitted = fitBaselineBlend(split, markovWindow(split), weights, 'kept');
  // Other test targets, the same training and validation.
  const items = Uint32Array.from(dataset.items);
  const other = { ...dataset, items };
  for (let u = 0; u < split.users; u++) items[dataset.offsets[u + 1] - 1] = 0;
  const changed = splitDataset(other);
  expect(fitBaselineBlend(changed, markovWindow(changed), await easeWeights(device, changed, 10), 'kept')).toEqual(
    fitted,
  );
});

test('all five, by name too; each ranks every user', async () => {
  const all: Baseline[] = [];
  for await (const baseline of allBaselines(device, split, 'kept')) all.push(baseline);
  expect(all.map(({ name }) => name)).toEqual([
    'popularity',
    'Markov',
    'windowed Markov',
    'EASE',
    'windowed Markov + EASE',
  ]);
  for (const [i, make] of Object.values(BASELINES).entries()) {
    const ranks = ranksOf(split, await make(device, split, 'kept'), { split: 'test', seen: 'kept' });
    expect(ranks).toEqual(ranksOf(split, all[i], { split: 'test', seen: 'kept' }));
    expect(ranks).toHaveLength(split.users);
  }
});

test('several targets: ranks of each, the metrics of the set, slices of the whole', () => {
  const sets = splitDataset(dataset, parseProtocol('ratio:test=0.4'));
  const falling = {
    name: 'falling',
    scores: (_: Uint32Array, out: Float32Array | Float64Array) => out.forEach((_, i) => (out[i] = -i)),
  }; // prettier-ignore
  const evaluation = evaluateBaseline(sets, falling, { split: 'test', seen: 'kept' });
  let [hits, recall] = [0, 0];
  for (let u = 0; u < sets.users; u++) {
    const targets = new Set(sets.targets(u, 'test'));
    const found = [...targets].filter((item) => item < 5).length;
    hits += found > 0 ? 1 : 0;
    recall += found / targets.size;
  }
  expect(evaluation?.metrics['HR@5']).toBeCloseTo(hits / sets.users, 12);
  expect(evaluation?.metrics['Recall@5']).toBeCloseTo(recall / sets.users, 12);
  const mean = (values: Float64Array) => values.reduce((a, b) => a + b, 0) / values.length;
  expect(mean(evaluation?.perUser['NDCG@10'] as Float64Array)).toBeCloseTo(
    evaluation?.metrics['NDCG@10'] as number,
    12,
  );
  const lengths = Object.values(evaluation?.slices.historyLength ?? {});
  expect(lengths.reduce((sum, { users }) => sum + users, 0)).toBe(sets.users);
  const weighted = lengths.reduce((sum, slice) => sum + slice.users * slice.MRR, 0) / sets.users;
  expect(weighted).toBeCloseTo(evaluation?.metrics.MRR as number, 12);
});

test('sampled-100 ranks among the sample: never worse than in the full catalog', () => {
  const big = Array.from({ length: 30 }, (_, u) => Array.from({ length: 20 }, (_, t) => (u * 13 + t * 7) % 400));
  const large = datasetOf(big);
  const [full, sampled] = ['leave-one-out', 'sampled-100'].map((name) => splitDataset(large, parseProtocol(name)));
  const flat = { name: 'flat', scores: (_: Uint32Array, out: Float32Array | Float64Array) => out.fill(1) };
  expect(new Set(ranksOf(sampled, flat, { split: 'test', seen: 'excluded' }))).toEqual(new Set([101]));
  const chain = markov(full);
  const few = ranksOf(sampled, chain, { split: 'test', seen: 'excluded' });
  ranksOf(full, chain, { split: 'test', seen: 'excluded' }).forEach((rank, i) => {
    expect(few[i]).toBeLessThanOrEqual(rank);
    expect(few[i]).toBeGreaterThanOrEqual(1);
  });
});
