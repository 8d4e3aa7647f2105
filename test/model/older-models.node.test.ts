/** Models made by Attune 0.1.0, before folders had a manifest (test/fixtures/make-models.mjs), still answer as they did. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { RatingPredictor, Recommender } from '../../recommend/node.ts';

const folder = path.join(import.meta.dirname, '../fixtures/models');
type Answer = { id: string; score?: number; probability?: number; prediction?: number };
const expected = JSON.parse(readFileSync(path.join(folder, 'top-tens.json'), 'utf8')) as Record<string, Answer[]>;

/** The same items in the same order; scores to the rounding of an engine that may add in another order. */
function expectSame(answer: readonly Answer[], name: string): void {
  expect(answer.map(({ id }) => id)).toEqual(expected[name].map(({ id }) => id));
  expect(answer).toHaveLength(10);
  answer.forEach((item, i) => {
    for (const key of ['score', 'probability', 'prediction'] as const) {
      const value = expected[name][i][key];
      if (value === undefined) expect(item[key], `${item.id} ${key}`).toBeUndefined();
      else expect(item[key], `${item.id} ${key}`).toBeCloseTo(value, 4);
    }
  });
}

const history = ['i1', 'i4', 'i7'];
const about = { segment: 'new' };

describe('models of Attune 0.1.0 give the top ten that they gave', () => {
  it.each([
    ['sequence', 'sequence', { history, user: about }],
    ['newcomer', 'sequence', { history: [], user: about }],
    ['ranker', 'ranker', { history }],
    ['packed', 'packed.attune', { history }],
  ] as const)('%s', async (name, where, query) => {
    const recommender = await Recommender.load(path.join(folder, where), { backend: 'cpu' });
    expectSame((await recommender.recommend({ ...query, k: 10 })).items, name);
    const { note } = recommender.loaded.weights;
    // A packed model has checksums of its own.
    if (name === 'packed') expect(note).toBeNull();
    else expect(note).toMatch(/: made before folders had a manifest, so damage to its files may go unnoticed/);
    recommender.close();
  });

  it('ratings', async () => {
    const predictor = await RatingPredictor.load(path.join(folder, 'ratings'), { backend: 'cpu' });
    const rated = history.map((item, i) => ({ item, rating: [5, 2, 4][i] }));
    const { items } = await predictor.predict({ history: rated });
    expectSame(items.sort((a, b) => b.prediction - a.prediction).slice(0, 10), 'ratings');
    expect(predictor.stored.loaded.weights.note).toMatch(/: made before folders had a manifest/);
    predictor.close();
  });
});
