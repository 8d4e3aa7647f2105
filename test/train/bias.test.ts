/** What is added to the scores on the device, and the users' vectors that come off it. */
import { describe, expect, it } from 'vitest';
import type { Device } from '../../engine/index.ts';
import { Scorer } from '../../model/inference/scorer.ts';
import { EXCLUDED, type ScorerOptions, type ScoreQuery } from '../../model/inference/scored.ts';
import { SequenceModel } from '../../model/encoders/sequence-model.ts';
import { evaluatePostProcessing } from '../../train/evaluation/reranking.ts';
import { trainingFacts } from '../../train/evaluation/collector.ts';
import { evaluate, type EvaluateOptions } from '../../train/evaluation/evaluate.ts';
import { MISS } from '../../train/evaluation/metrics.ts';
import { ring, small } from './small.ts';
import { openDevice } from '../device.ts';

const V = 4500;

describe.each(['webgpu', 'cpu'] as const)('on %s', async (backend) => {
  const device = await openDevice({ backend });
  // A binding holds fewer scores than there are items: the catalog is cut into tiles of columns.
  const narrow = await openDevice({ backend, maxBindingBytes: 4096 * 4 });

  const queries: ScoreQuery[] = [0, 1, 2, 3].map((u) => ({
    history: Uint32Array.from([u, u + 7, u + 20]),
    target: u === 3 ? 4496 : 40 + u,
    exclude: Uint32Array.of(u),
  }));
  const bias = Float32Array.from({ length: V }, (_, i) => (i % 3 === 2 ? EXCLUDED : -0.001 * i));
  const score = async (on: Device, options: Partial<ScorerOptions>, replaced?: Float32Array) => {
    const model = SequenceModel.create(on, small(), V, 1);
    const scorer = new Scorer(model, { k: 128, ...options });
    if (replaced) {
      await scorer.score(queries);
      scorer.setBias(replaced);
    }
    const scored = await scorer.score(queries);
    scorer.dispose();
    model.dispose();
    return scored;
  };

  it('adds the bias to every score, leaves items out, in one tile or several, and takes another', async () => {
    const plain = await score(device, {});
    for (const on of [device, narrow]) {
      const biased = await score(on, { bias });
      const again = await score(on, { bias: new Float32Array(V) }, bias);
      biased.forEach(({ items, scores, rank }, u) => {
        expect(Array.from(items).every((row) => row % 3 !== 2)).toBe(true);
        // By hand, for what the plain list holds of them.
        const own = new Map(Array.from(plain[u].items, (row, i) => [row, plain[u].scores[i]]));
        items.forEach((row, i) => {
          if (own.has(row)) expect(scores[i]).toBeCloseTo((own.get(row) as number) + bias[row], 4);
        });
        expect(Array.from(scores)).toEqual(Array.from(scores).sort((a, b) => b - a));
        const { target = 0 } = queries[u];
        if (target % 3 === 2) expect(rank).toBe(MISS);
        else if (items.includes(target)) expect(rank).toBe(items.indexOf(target) + 1);
        expect(again[u].rank).toBe(rank);
        expect(Array.from(again[u].items)).toEqual(Array.from(items));
      });
      expect(biased.map(({ rank }) => rank === MISS)).toEqual([false, true, false, true]);
    }
  });

  it('gives vectors whose products with the table are the scores', async () => {
    const model = SequenceModel.create(device, small(), V, 1);
    const scorer = new Scorer(model, { k: 10, userVectors: true });
    const scored = await scorer.score(queries);
    const table = (await model.parameters.read()).get('items.weight') as Float32Array;
    scored.forEach(({ userVector, items, scores }) => {
      items.forEach((row, i) => {
        const product = (userVector as Float32Array).reduce((sum, x, k) => sum + x * table[row * 16 + k], 0);
        expect(product).toBeCloseTo(scores[i], 4);
      });
    });
    scorer.dispose();
    model.dispose();
  });

  it('evaluates each variant as its own ranking would be', async () => {
    const split = ring();
    const facts = trainingFacts(split);
    const model = SequenceModel.create(device, small(), split.items, 3);
    const shared = { split: 'test', facts, includeSeen: true } as const;
    let passes = 0;
    const rank = (options: Partial<EvaluateOptions>) => {
      passes++;
      return evaluate(model, split, { ...shared, ...options });
    };
    const odd = Float32Array.from({ length: split.items }, (_, i) => (i % 2 === 1 ? EXCLUDED : 0));
    const backwards = (items: Uint32Array, _scores: Float32Array, k: number) => items.slice().reverse().slice(0, k);
    const same = (items: Uint32Array, _scores: Float32Array, k: number) => items.slice(0, k);
    const { plain, after } = await evaluatePostProcessing(
      [
        { name: 'same', bias: null, rerank: same },
        { name: 'backwards', bias: null, rerank: backwards },
        { name: 'even', bias: odd, rerank: null },
        { name: 'even, same', bias: odd, rerank: same },
      ],
      {},
      { split, part: 'test', facts, rank },
    );
    expect(passes).toBe(2);
    const alone = await evaluate(model, split, shared);
    expect(plain.metrics).toEqual(alone.metrics);
    const { MRR, ...known } = Object.fromEntries(
      Object.entries(alone.metrics).filter(([name]) => !/@(50|100)$/.test(name)),
    );
    expect(MRR).toBeGreaterThan(0);
    expect(after.same.metrics).toEqual(known);
    expect(after.backwards.metrics['NDCG@10']).not.toBeCloseTo(known['NDCG@10'], 3);
    expect(after.even.metrics).toEqual((await evaluate(model, split, { ...shared, bias: odd })).metrics);
    expect(after.even.metrics['Coverage@10']).toBe(0.5);
    expect(after['even, same'].metrics['NDCG@10']).toBe(after.even.metrics['NDCG@10']);
    // Of twelve targets, each met as often as the others or once more, the odd ones are missed.
    const odds = Array.from({ length: split.users }, (_, u) => split.targets(u, 'test')[0] % 2).filter((x) => x === 1);
    expect(after.even.metrics['HR@20']).toBeCloseTo(1 - odds.length / split.users, 12);
    model.dispose();
  });
});
