import { describe, expect, it } from 'vitest';
import { seeded } from '../../data/random.ts';
import type { Ratings } from '../../data/ratings/ratings.ts';
import { byUser } from '../../data/by-user.ts';
import { ratingRounds } from '../../data/ratings/split.ts';
import { Device } from '../../engine/index.ts';
import {
  factorScore,
  leaveOneOut,
  PosteriorSolver,
  restoreFactors,
  storeFactors,
  userFactors,
} from '../../model/ratings/factors.ts';
import { MemoryFiles } from '../../model/storage/files.ts';
import type { ModelConfig } from '../../model/storage/config.ts';
import { loadPredictions } from '../../model/ratings/folder.ts';
import { meanOf, medianOf } from '../../model/ratings/scorer.ts';
import { ratingSettings } from '../../model/ratings/settings.ts';
import { RatingPredictor } from '../../recommend/rating-predictor.ts';
import { fitFactors } from '../../train/ratings/factors.ts';
import { clickMetrics, ratingMetrics } from '../../train/ratings/metrics.ts';
import { ratingReport } from '../../train/ratings/report.ts';
import type { RatingPlan } from '../../train/ratings/plan.ts';
import { trainRound } from '../../train/ratings/round.ts';
import { type RatingRunOptions, runRatingPlan } from '../../train/ratings/run-plan.ts';
import { openDevice } from '../device.ts';
import { set } from '../set.ts';

/** Users and items of two numbers each; ratings from 1 to 5 follow from their product, biases and a little noise. */
function world(users: number, items: number, share: number, noise = 0.3): Ratings {
  const random = seeded(3, 0);
  const gauss = () => random.next() + random.next() + random.next() - 1.5;
  const vectors = (n: number) => Array.from({ length: n }, () => [gauss() * 2, gauss() * 2, gauss()]);
  const [p, q] = [vectors(users), vectors(items)];
  const rows: [number, number, number][] = [];
  for (let u = 0; u < users; u++) {
    for (let i = 0; i < items; i++) {
      if (!random.chance(share)) continue;
      const exact = 3 + p[u][0] * q[i][0] + p[u][1] * q[i][1] + p[u][2] + q[i][2] + noise * gauss();
      rows.push([u, i, Math.min(5, Math.max(1, Math.round(exact)))]);
    }
  }
  const user = Uint32Array.from(rows, ([u]) => u);
  const time = Float64Array.from(rows, () => Math.floor(random.next() * 1e5));
  return {
    userIds: Array.from({ length: users }, (_, u) => `u${u}`),
    itemIds: Array.from({ length: items }, (_, i) => `i${i}`),
    user,
    item: Uint32Array.from(rows, ([, i]) => i),
    value: Float32Array.from(rows, ([, , r]) => r),
    level: Uint32Array.from(rows, ([, , r]) => r - 1),
    levels: Float32Array.of(1, 2, 3, 4, 5),
    time,
    ...byUser(user, users, time),
    size: rows.length,
    range: { least: 1, most: 5 },
    positive: null,
    source: 'world',
    notes: [],
  };
}

function finished<T>(work: Generator<number, T, boolean | undefined>): T {
  for (;;) {
    const step = work.next();
    if (step.done) return step.value;
  }
}

const small = (more: Record<string, string> = {}) =>
  ratingSettings(100, {
    ...set('d=8 heads=1 ff=8 budget=64 window=16 epochs=2 factors=2 sweeps=4 parts=2'),
    ...more,
  });

describe('factors', () => {
  const ratings = world(60, 40, 0.4);
  const [{ train, test }] = ratingRounds(ratings, { name: 'random', test: 0.2 }, 1);
  const errorOf = (factors: number) => {
    const f = finished(fitFactors(ratings, train, { factors, sweeps: 20, seed: 1 }));
    const predicted = Float32Array.from(test, (row) => {
      const user = f.users.subarray(ratings.user[row] * f.n, (ratings.user[row] + 1) * f.n);
      return f.mean + f.std * factorScore(f, user, ratings.item[row]);
    });
    return {
      f,
      RMSE: ratingMetrics(
        ratings.value.filter((_, row) => test.includes(row)),
        predicted,
      ).RMSE,
    };
  };

  it('find what users and items share, and biases where there is no more', () => {
    const [biases, two] = [errorOf(0), errorOf(2)];
    expect(biases.RMSE).toBeLessThan(1.2);
    expect(two.RMSE).toBeLessThan(0.75 * biases.RMSE);
  });

  it('give a user in closed form what the training gave', () => {
    const { f } = errorOf(2);
    const rows = [...train].filter((row) => ratings.user[row] === 0);
    const items = rows.map((row) => ratings.item[row]);
    const values = rows.map((row) => (ratings.value[row] - f.mean) / f.std);
    const folded = userFactors(f, items, values);
    // The training's last sweep moved the items after the users.
    for (let a = 0; a < f.n; a++) expect(folded[a]).toBeCloseTo(f.users[a], 1);
    const left = leaveOneOut(f, items, values);
    const without = userFactors(f, items.slice(1), values.slice(1));
    expect(left[0]).toBeCloseTo(factorScore(f, without, items[0]), 5);
    const again = restoreFactors(storeFactors(f), 'x');
    expect(again.userPrior).toEqual(f.userPrior);
    expect(() => restoreFactors(new Map([...storeFactors(f)].slice(1)), 'x')).toThrow(
      'x: expected a tensor factors.scale [3], there is none',
    );
  });

  it('solve as ridge regression does where the other side is certain', () => {
    // One number in addition to the biases: y = p x + b, x certain; items' own bias 0.
    const solver = new PosteriorSolver(3, 2);
    const xs = [1, 2, -1];
    const ys = [0.5, 1.5, -0.25];
    const means = Float32Array.from(xs.flatMap((x) => [x, 1, 0]));
    const moments = Float32Array.from(xs.flatMap((x) => [x * x, x, 1, 0, 0, 0]));
    xs.forEach((_, j) => {
      solver.add(means, moments, j, ys[j]);
    });
    solver.solve([2, 4, 1], 0.5);
    // (XᵀX / 0.5 + diag(1/2, 1/4)) w = Xᵀy / 0.5
    const [a, b, d] = [6 / 0.5 + 0.5, 2 / 0.5, 3 / 0.5 + 0.25];
    const [e, g] = [(0.5 + 3 + 0.25) / 0.5, 1.75 / 0.5];
    expect(solver.mean[0]).toBeCloseTo((e * d - b * g) / (a * d - b * b), 10);
    expect(solver.mean[1]).toBeCloseTo((a * g - b * e) / (a * d - b * b), 10);
    expect(solver.mean[2]).toBe(1);
    expect(solver.covariance[0]).toBeCloseTo(d / (a * d - b * b), 10);
  });
});

describe('metrics', () => {
  it('of ratings', () => {
    expect(ratingMetrics([1, 2, 5], [2, 2, 3])).toEqual({ RMSE: Math.sqrt(5 / 3), MAE: 1 });
    expect(meanOf([0.25, 0.25, 0.5], [1, 2, 4])).toBe(2.75);
    expect([medianOf([0.25, 0.25, 0.5], [1, 2, 4]), medianOf([0, 0, 0.4], [1, 2, 4])]).toEqual([2, 4]);
  });

  it('of probabilities', () => {
    const { metrics, calibration } = clickMetrics([1, 0, 1, 0], [0.9, 0.6, 0.4, 0.4]);
    expect(metrics.accuracy).toBe(0.5);
    expect([metrics.precision, metrics.recall, metrics.F1]).toEqual([0.5, 0.5, 0.5]);
    // Pairs (positive, negative): .9 above .6 and .4, .4 below .6 and even with .4.
    expect(metrics.AUC).toBe(2.5 / 4);
    expect(metrics.logLoss).toBeCloseTo(-(Math.log(0.9) + 2 * Math.log(0.4) + Math.log(0.6)) / 4, 10);
    expect(metrics.Brier).toBeCloseTo((0.01 + 0.36 + 0.36 + 0.16) / 4, 10);
    expect(calibration[4]).toMatchObject({ count: 2, observed: 0.5 });
    expect(metrics.ECE).toBeCloseTo((0.1 + 0.6 + Math.abs(0.8 - 1)) / 4, 10);
    expect(clickMetrics([1, 1], [0.5, 0.7]).metrics.AUC).toBeNull();
    expect(clickMetrics([0, 0], [0.5, 0.7]).metrics.AUC).toBeNull();
  });
});

describe('a training on ratings', async () => {
  const device = await openDevice({ backend: 'cpu' });
  const ratings = world(12, 10, 0.6);
  type Asked = Pick<RatingPlan, 'settings' | 'split'> & Partial<Pick<RatingPlan, 'resume'>>;
  const plan = ({ settings, split, resume = false }: Asked): RatingPlan => {
    const config = {
      formatVersion: 1,
      attune: 'test',
      created: '',
      recipe: 'ratings',
      task: 'rating',
      hyperparameters: { ...small() },
      schema: { columns: {}, attributes: [] },
      data: { source: 'world', users: 12, items: 10, interactions: ratings.size, minInteractions: 1, minRating: null },
      protocol: 'folds',
      seen: 'kept',
      tokenBudget: 64,
      seed: 1,
      device: '',
      variants: {},
    } as ModelConfig;
    const items = ratings.itemIds.map((id) => ({ id, title: id, attributes: {} }));
    const about = { kind: 'ratings' as const, task: 'rating' as const, features: null, notes: [], warnings: [] };
    return { ...about, config, settings, split, ratings, items, resume };
  };
  const trainRatings = async (asked: Asked & Omit<RatingRunOptions, 'device'>) =>
    (await runRatingPlan(plan(asked), { ...asked, device })).result;

  it('predicts a tested rating from its item and the known ratings alone', async () => {
    const [rows] = ratingRounds(ratings, { name: 'random', test: 0.25 }, 1);
    const run = async (of: Ratings) => {
      const result = await trainRound({ device, ratings: of, rows, settings: small(), seed: 1, tail: false });
      result?.model.dispose();
      return result?.predictions as NonNullable<typeof result>['predictions'];
    };
    const once = await run(ratings);
    expect(once.mean.every((v) => v >= 1 && v <= 5)).toBe(true);
    expect(await run(ratings)).toEqual(once);
    // Other ratings where they are tested, and another item in all but the first of them: no difference to the first.
    const [value, level, item] = [ratings.value.slice(), ratings.level.slice(), ratings.item.slice()];
    for (const row of rows.test) {
      value[row] = 6 - value[row];
      level[row] = 4 - level[row];
      if (row !== rows.test[0]) item[row] = (item[row] + 1) % 10;
    }
    const other = await run({ ...ratings, value, level, item });
    for (const name of ['mean', 'median', 'factors', 'biases'] as const)
      expect(other[name][0], name).toBe(once[name][0]);
    expect(other.mean).not.toEqual(once.mean);
  });

  it('reads times in whatever unit they are, in training and when it is asked', async () => {
    const [rows] = ratingRounds(ratings, { name: 'random', test: 0.25 }, 1);
    const seconds = (ratings.time as Float64Array).map((time) => 1.6e9 + time);
    const run = async (time: Float64Array, timeUnit: 's' | 'ms') => {
      const of = { ...ratings, time, timeUnit };
      const result = await trainRound({ device, ratings: of, rows, settings: small(), seed: 1, tail: false });
      result?.model.dispose();
      return result?.predictions.mean as Float32Array;
    };
    const once = await run(seconds, 's');
    const millis = seconds.map((time) => time * 1000);
    expect(await run(millis, 'ms')).toEqual(once);
    const files = new MemoryFiles('model');
    await trainRatings({ files, settings: small(), split: { name: 'folds', k: 2 } });
    const predictor = await RatingPredictor.load(files, { device });
    const asked = async (unit: number) => {
      const history = [0, 3600, 86_400].map((after, i) => ({
        item: `i${i}`,
        rating: 1 + i,
        time: (1.6e9 + after) * unit,
      }));
      return (await predictor.predict({ history, time: (1.6e9 + 1e7) * unit })).items.map(
        ({ prediction }) => prediction,
      );
    };
    const [inSeconds, inMilliseconds] = [await asked(1), await asked(1000)];
    for (const [i, v] of inMilliseconds.entries()) expect(v).toBeCloseTo(inSeconds[i], 6);
    predictor.close();
  });

  it('comes to the same on the adapter as in the references', async () => {
    const [rows] = ratingRounds(ratings, { name: 'random', test: 0.25 }, 1);
    const settings = small({ d: '32', epochs: '1', dropout: '0' });
    const predictions = async (on: Device) => {
      const result = await trainRound({ device: on, ratings, rows, settings, seed: 1, tail: false });
      result?.model.dispose();
      return result?.predictions.mean as Float32Array;
    };
    const adapter = await Device.open();
    const [expected, found] = [await predictions(device), await predictions(adapter)];
    adapter.close();
    for (const [i, v] of found.entries()) expect(v).toBeCloseTo(expected[i], 3);
  });

  it('tests every rating in one of the folds, and serves a model of all of them', async () => {
    const files = new MemoryFiles('model');
    const result = await trainRatings({
      files,
      settings: small(),
      split: { name: 'folds', k: 3 },
    });
    expect(result.reason).toBe('epochs');
    expect(result.progress).toMatchObject({ rounds: 4, of: 4, epochs: [2, 2, 2, 2] });
    const saved = await loadPredictions(files);
    expect(saved?.predictions).toEqual(result.predictions);
    const report = ratingReport(saved?.predictions as never, 'rating', 'mean');
    expect([report.ratings, report.rounds, report.byRound.length]).toEqual([ratings.size, 3, 3]);
    expect(report.metrics).toEqual(report.points?.mean);
    const predictor = await RatingPredictor.load(files, { device });
    const history = [
      { item: 'i1', rating: 5, time: 3 },
      { item: 'nobody knows it', rating: 1, time: 4 },
      { item: 'i2', rating: 1, time: 5 },
    ];
    const { items, unknown, levels } = await predictor.predict({ history, items: ['i3', 'i1', 'gone'] });
    expect(unknown).toEqual({ history: ['nobody knows it'], items: ['gone'] });
    expect(items.map(({ id }) => id)).toEqual(['i3', 'i1']);
    for (const { chances, prediction } of items) {
      expect(chances.reduce((sum, p) => sum + p, 0)).toBeCloseTo(1, 5);
      expect(prediction).toBeCloseTo(meanOf(chances, levels), 5);
    }
    expect((await predictor.predict({ history })).items).toHaveLength(8);
    expect((await predictor.predict({ history: [] })).items).toHaveLength(10);
    await expect(predictor.predict({ history: [{ item: 'i1', rating: Number.NaN }] })).rejects.toThrow(
      'expected a number as the rating of "i1", got NaN',
    );
    predictor.close();
  });

  it('stops between rounds and continues with the same metrics', async () => {
    const options = {
      settings: small({ epochs: '1' }),
      split: { name: 'folds', k: 2 },
    } as const;
    const whole = await trainRatings({ ...options, files: new MemoryFiles('model') });
    const files = new MemoryFiles('model');
    const abort = new AbortController();
    const first = await trainRatings({ ...options, files, signal: abort.signal, log: () => abort.abort() });
    expect([first.reason, first.progress.rounds]).toEqual(['interrupted', 1]);
    const rest = await trainRatings({ ...options, files, resume: true });
    expect(rest.predictions).toEqual(whole.predictions);
    expect((await trainRatings({ ...options, files, resume: true })).reason).toBe('finished before');
  });

  it('ends in time, with all that was asked for', async () => {
    const files = new MemoryFiles('model');
    const result = await trainRatings({
      files,
      settings: small({ epochs: '100000' }),
      split: { name: 'last' },
      deadline: performance.now() + 3500,
    });
    expect(result.reason).toBe('time');
    expect(result.predictions?.round.filter((r) => r === 1)).toHaveLength(12);
  });
});
