/** Exploration: what each way does to a list, and what it costs and saves in a simulated shop. */
import { describe, expect, it } from 'vitest';
import { seeded } from '../../data/random.ts';
import { type Exploration, explore } from '../../recommend/reranking/explore.ts';

const list = Array.from({ length: 20 }, (_, i) => ({ id: i, score: 5 - i / 4, count: i < 10 ? 1000 : 0 }));
const ids = (exploration: Exploration): number[] =>
  explore(list, ({ count }) => count, exploration).map(({ id }) => id);

describe('explore', () => {
  it('leaves the list as it is at strength 0', () => {
    for (const method of ['epsilon-greedy', 'thompson', 'ucb'] as const) {
      expect(ids({ method, strength: 0 })).toEqual(list.map(({ id }) => id));
    }
  });

  it('gives every candidate once, and the same list for one seed', () => {
    for (const method of ['epsilon-greedy', 'thompson', 'ucb'] as const) {
      const once = ids({ method, strength: 0.5, seed: 3 });
      expect([...once].sort((a, b) => a - b)).toEqual(list.map(({ id }) => id));
      expect(ids({ method, strength: 0.5, seed: 3 })).toEqual(once);
    }
    expect(ids({ method: 'thompson', seed: 3 })).not.toEqual(ids({ method: 'thompson', seed: 4 }));
  });

  it('ucb and thompson raise what is little known, and leave what is well known in its order', () => {
    const known = (order: number[]) => order.filter((id) => id < 10);
    expect(known(ids({ method: 'ucb', strength: 1 }))).toEqual(known(list.map(({ id }) => id)));
    expect(ids({ method: 'ucb', strength: 1 })[0]).toBe(10);
    const moved = Array.from({ length: 50 }, (_, seed) => ids({ method: 'thompson', strength: 3, seed })[0]);
    expect(moved.filter((id) => id >= 10).length).toBeGreaterThan(20);
  });

  it('refuses what makes no sense', () => {
    expect(() => ids({ method: 'epsilon-greedy', strength: 2 })).toThrow(
      'explore strength: expected a number from 0 to 1, got 2',
    );
    expect(() => ids({ method: 'ucb', strength: -1 })).toThrow('expected a number >= 0, got -1');
    expect(() => ids({ method: 'greed' as 'ucb' })).toThrow('there is epsilon-greedy, thompson, ucb');
  });

  /** Regret: what the best item would have brought beyond what was shown, over all rounds; a score is the mean so far. */
  function regret(exploration: Exploration | null, rounds: number, run: number): number {
    const rates = [0.3, 0.35, 0.4, 0.45, 0.7];
    const random = seeded(run, 7);
    const shown = rates.map(() => 1);
    const liked = rates.map((rate) => (random.chance(rate) ? 1 : 0));
    let lost = 0;
    for (let t = 0; t < rounds; t++) {
      const arms = rates
        .map((_, id) => ({ id, score: liked[id] / shown[id], count: shown[id] }))
        .sort((a, b) => b.score - a.score);
      const seed = run * rounds + t;
      const [top] = exploration ? explore(arms, ({ count }) => count, { ...exploration, seed }) : arms;
      lost += 0.7 - rates[top.id];
      shown[top.id]++;
      if (random.chance(rates[top.id])) liked[top.id]++;
    }
    return lost;
  }

  it('has less regret than always taking the best score, and thompson and ucb learn to stop', () => {
    const mean = (exploration: Exploration | null, rounds: number): number => {
      const runs = Array.from({ length: 40 }, (_, run) => regret(exploration, rounds, run));
      return runs.reduce((sum, lost) => sum + lost, 0) / runs.length;
    };
    const rounds = 1500;
    const greedy = mean(null, rounds);
    for (const method of ['thompson', 'ucb'] as const) {
      const strength = 2;
      const lost = mean({ method, strength }, rounds);
      expect(lost).toBeLessThan(greedy / 2);
      // Sublinear: the second half costs less than half of the first.
      expect(lost - mean({ method, strength }, rounds / 2)).toBeLessThan(lost / 3);
    }
    const epsilon = mean({ method: 'epsilon-greedy', strength: 0.1 }, rounds);
    expect(epsilon).toBeLessThan(greedy);
    // A tenth of the positions for ever: at least what these cost, a fifth of them being the best one's.
    expect(epsilon).toBeGreaterThan(0.1 * rounds * 0.25);
  });
});
