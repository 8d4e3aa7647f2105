/** DP-SGD by users: what a user may contribute, the noise, and what a private training leaves behind. */
import { describe, expect, it } from 'vitest';
import { userBatches } from '../../../data/batching/batches.ts';
import { seeded } from '../../../data/random.ts';
import type { Split } from '../../../data/splits/split.ts';
import { loadCheckpoint } from '../../../model/storage/checkpoint.ts';
import type { Privacy } from '../../../model/storage/config.ts';
import { loadConfig, loadItems } from '../../../model/storage/config.ts';
import { type Files, MemoryFiles } from '../../../model/storage/files.ts';
import { readMetrics } from '../../../model/storage/folder.ts';
import { loadModel } from '../../../model/storage/load-model.ts';
import { SequenceModel } from '../../../model/encoders/sequence-model.ts';
import { settingsOf } from '../../../model/inference/ranking-model.ts';
import { createEncoder } from '../../../train/loop/trainer.ts';
import type { TrainOptions } from '../../../train/loop/options.ts';
import {
  finalPlan,
  planTraining,
  planTransfer,
  planUpdate,
  resumePlan,
  runPlan,
  trainModel,
} from '../../../train/index.ts';
import { attackByLoss, userLosses } from '../../../train/privacy/membership.ts';
import { fillNormal, secretUniform } from '../../../train/privacy/noise.ts';
import { trainPrivately } from '../../../train/privacy/trainer.ts';
import { openDevice } from '../../device.ts';
import {
  expectSameCheckpoint,
  folderOf,
  randomSource,
  ring,
  run,
  sameBits,
  small,
  splitOf,
  stopWhen,
} from '../small.ts';

const USERS = 40;
/** Of a user of `ring()`: 15 events less the two that are held out, less the last target. */
const POSITIONS = 12;
const settings = small({ window: `${POSITIONS}`, budget: `${POSITIONS}`, dropout: '0', memory: 'off', clip: '1e6' });
const plain: Privacy = { epsilon: 1e9, delta: 1e-6, clip: 1e6, noise: 0, rate: 1, steps: 1, noiseSeed: 1 };

for (const backend of ['cpu', 'webgpu'] as const) {
  describe(`private training on ${backend}`, async () => {
    const device = await openDevice({ backend });

    async function privately(privacy: Privacy, split: Split = ring(), more: Partial<TrainOptions> = {}) {
      const files = await folderOf(split, settings);
      const options: TrainOptions = { device, files, split, settings, seed: 1, ...more };
      const model = createEncoder(options);
      try {
        return { files, options, result: (await trainPrivately(model, options, privacy)).result };
      } finally {
        model.dispose();
      }
    }

    /** The sum of clipped gradients with its noise, as the first moment of the first step has it. */
    async function sumOf(privacy: Privacy, split: Split = ring()): Promise<Float64Array> {
      const { files } = await privately({ ...privacy, steps: 1 }, split);
      const users = Array.from({ length: split.users }, (_, u) => u).filter((u) => split.trainLength(u) >= 2).length;
      const m = (await loadCheckpoint(files))?.m ?? new Map();
      const moments = Array.from(m.values()).flatMap(({ data }) => Array.from(data as Float32Array));
      return Float64Array.from(moments, (value) => 10 * value * privacy.rate * users);
    }
    const normOf = (values: Float64Array): number => Math.sqrt(values.reduce((sum, x) => sum + x * x, 0));

    it('without noise and without clipping is ordinary training on all users at once', async () => {
      const budget = `${USERS * POSITIONS}`;
      const whole = await run(device, ring(), { ...settings, budget: Number(budget) }, { epochs: 3 });
      const { files, result } = await privately({ ...plain, steps: 3 });
      expect(result).toMatchObject({ reason: 'steps', step: 3, losses: [], validations: [], bestNdcg: null });
      const [a, b] = [await loadCheckpoint(whole.files), await loadCheckpoint(files)];
      expect(whole.result.step).toBe(3);
      for (const group of ['params', 'm'] as const)
        for (const [name, { data }] of a?.[group] ?? []) {
          const other = b?.[group].get(name)?.data as Float32Array;
          const far = (data as Float32Array).reduce((most, x, i) => Math.max(most, Math.abs(x - other[i])), 0);
          expect(far, `${group} ${name}`).toBeLessThan(group === 'm' ? 1e-6 : 1e-3);
        }
    });

    it('gives no user more than the clipping norm in the sum, and a long gradient just that', async () => {
      const clip = 0.05;
      const privacy = { ...plain, clip };
      const all = await sumOf(privacy);
      for (const user of [0, 7, 39]) {
        const others = Uint8Array.from({ length: USERS }, (_, u) => (u === user ? 0 : 1));
        const without = await sumOf(privacy, ring().trainedOn(others));
        const norm = normOf(all.map((x, i) => x - without[i]));
        expect(norm).toBeLessThan(clip * (1 + 1e-5));
        expect(norm).toBeGreaterThan(clip * (1 - 1e-3));
      }
    });

    it('leaves a short gradient as it is', async () => {
      const [loose, tight] = [await sumOf(plain), await sumOf({ ...plain, clip: 0.05 })];
      expect(normOf(tight)).toBeLessThanOrEqual(0.05 * USERS);
      expect(normOf(loose)).toBeGreaterThan(0.05 * USERS);
      expect(normOf(loose.map((x, i) => x - tight[i]))).toBeGreaterThan(0.1);
      const [a, b] = [await sumOf({ ...plain, clip: 100 }), loose];
      expect(normOf(a.map((x, i) => x - b[i]))).toBeLessThan(1e-4 * normOf(b));
    });

    it('adds noise of the planned deviation to every weight', async () => {
      const privacy = { ...plain, clip: 0.5, noise: 3, rate: 0.5 };
      const [noisy, quiet] = [await sumOf(privacy), await sumOf({ ...privacy, noise: 0 })];
      const noise = noisy.map((x, i) => x - quiet[i]).filter((x) => x !== 0);
      expect(noise.length).toBeGreaterThan(2000);
      const mean = noise.reduce((sum, x) => sum + x, 0) / noise.length;
      const deviation = normOf(noise.map((x) => x - mean)) / Math.sqrt(noise.length);
      expect(Math.abs(mean)).toBeLessThan(4 * (1.5 / Math.sqrt(noise.length)));
      expect(Math.abs(deviation / 1.5 - 1)).toBeLessThan(4 / Math.sqrt(2 * noise.length));
    });

    it('repeats noise for a seed alone', async () => {
      const weights = async (noiseSeed: number | undefined) => {
        const { files } = await privately({ ...plain, noise: 1, clip: 1, noiseSeed });
        return (await loadModel(files)).tensors.get('items.weight')?.data as Float32Array;
      };
      const [a, b, c, d, e] = [
        await weights(1),
        await weights(1),
        await weights(2),
        await weights(undefined),
        await weights(undefined),
      ];
      expect(sameBits(a, b)).toBe(true);
      expect(sameBits(a, c)).toBe(false);
      expect(sameBits(d, e)).toBe(false);
    });

    it('continues after an interruption bit for bit, for the planned steps and no more', async () => {
      const privacy = { ...plain, noise: 1, clip: 1, rate: 0.5, steps: 4 };
      const whole = await privately(privacy);
      const first = await privately(
        privacy,
        ring(),
        stopWhen((p) => p.step === 2),
      );
      expect(first.result).toMatchObject({ reason: 'interrupted', step: 2 });
      const again = { ...first.options, signal: undefined, onProgress: undefined, resume: true };
      const model = createEncoder(again);
      const rest = await trainPrivately(model, again, privacy);
      model.dispose();
      expect(rest.result).toMatchObject({ reason: 'steps', step: 4 });
      await expectSameCheckpoint(whole.files, first.files);
      const done = createEncoder(again);
      expect((await trainPrivately(done, again, privacy)).result).toMatchObject({ reason: 'finished before', step: 4 });
      done.dispose();
    });
  });
}

describe('a private model', async () => {
  const device = await openDevice({ backend: 'cpu' });
  const shared = { recipe: 'sasrec', minInteractions: 1, settings: { d: '8', ff: '8', blocks: '1', window: '8' } };
  const dp = { epsilon: 8, delta: 1e-6, steps: 3, rate: 0.5 };
  const source = { ...randomSource(30, 8, 12), users: null };

  async function trained(more: Parameters<typeof planTraining>[1] = {}): Promise<Files> {
    const files = new MemoryFiles('private');
    await runPlan(planTraining(source, { ...shared, dp, ...more }), { device, files });
    return files;
  }

  it('holds what it guarantees, and nothing else of the log', async () => {
    const files = new MemoryFiles('private');
    const plan = planTraining(source, { ...shared, dp });
    expect(plan.notes.join('\n')).toMatch(/\((7\.9\d|8\.00), 0\.000001\)-differential privacy of users/);
    expect(plan.notes.join('\n')).toMatch(/taken as public: the items, the filter/);
    const { metrics, baselines, result } = await runPlan(plan, { device, files });
    expect({ metrics, baselines: baselines.metrics, reason: result.reason }).toEqual({
      metrics: null,
      baselines: {},
      reason: 'steps',
    });
    const { privacy, hyperparameters } = await loadConfig(files);
    expect(privacy).toEqual({ ...dp, clip: 1, noise: expect.any(Number) });
    expect(privacy?.noise).toBeGreaterThan(0.5);
    expect(hyperparameters).toMatchObject({ memory: 'off', sampler: 'uniform', budget: 8 });
    const items = await loadItems(files);
    expect(items.map(({ id }) => id)).toEqual(items.map(({ id }) => id).sort());
    expect(items.every((item) => item.count === undefined)).toBe(true);
    const { blended, prior, weights } = await loadModel(files);
    expect({ blended, prior, step: weights.step, from: weights.from }).toEqual({
      blended: null,
      prior: null,
      step: 3,
      from: 'model',
    });
    expect(await readMetrics(files)).toEqual([]);
    const card = new TextDecoder().decode((await files.read('README.md')) as Uint8Array);
    expect(card).toMatch(/## Privacy\n\n\(7\.9\d|8\.00/);
    expect(card).toMatch(/Not validated: that would read the log without noise\./);
  });

  it('that was stopped early has spent less', async () => {
    const files = new MemoryFiles('private');
    const plan = planTraining(source, { ...shared, dp: { ...dp, steps: 1000 } });
    const { step } = await runPlan(plan, { device, files, deadline: performance.now() + 4000 });
    expect(step).toBeGreaterThan(0);
    expect(step).toBeLessThan(1000);
    const card = new TextDecoder().decode((await files.read('README.md')) as Uint8Array);
    const [, spent, taken] =
      /\((\d\.\d\d), 0\.000001\)-differential privacy of users, one more or less: (\d+) steps of 1000/.exec(card) ?? [];
    expect(Number(spent)).toBeLessThan(8);
    expect(Number(taken)).toBe(step);
  });

  it.each([
    [{ dp: { epsilon: 0 } }, '`dp`: epsilon: expected a number > 0, got 0'],
    [{ dp: { epsilon: 8, delta: 1 } }, '`dp`: delta: expected a number > 0 and < 1, got 1'],
    [{ dp: { epsilon: 8, delta: 0.1 } }, /`dp`: delta: expected less than 1 \/ users = 0\.0\d+, got 0\.1/],
    [{ dp: { epsilon: 1e-5 } }, /`dp`: epsilon: 0\.00001 is less than any noise gives at delta 0\.000001; choose/],
    [
      { dp: { epsilon: 8, budget: 3 } as never },
      /`dp`: expected epsilon, delta, clip, rate, steps, noiseSeed, got budget/,
    ],
    [{ dp, epochs: 3 }, '`epochs`: with `dp`: a private training plans its steps'],
    [
      { dp, protocol: { name: 'temporal', parameters: {} } as const },
      '`protocol`: with `dp`: it reads the log where no noise covers it',
    ],
    [{ dp, events: ['hour'] }, '`reads`: with `dp`: the values of such columns are stored without noise'],
    [{ dp, domainColumn: 'shop' }, '`domainColumn`: with `dp`: domains are read of the log without noise'],
    [{ dp, parallel: {} as never }, '`workers`: with `dp`: a private training is done by one machine'],
    [{ dp, settings: { memory: 'on' } }, '`settings.memory: on`: private training requires memory=off'],
    [
      { dp, settings: { sampler: 'popularity' } },
      '`settings.sampler: popularity`: private training requires sampler=uniform',
    ],
    [{ dp, settings: { items: 'tower' } }, '`settings.items: tower`: private training requires items=ids'],
    [
      { dp, settings: { budget: '64' } },
      '`settings.budget: 64`: a batch is one user in private training; choose window alone',
    ],
  ])('is refused with %j', (options, message) => {
    expect(() => planTraining(source, { ...shared, ...options })).toThrow(message);
  });

  it('is refused with user features', () => {
    const users = randomSource(30, 8, 12).users;
    expect(() => planTraining({ ...source, users }, { ...shared, dp })).toThrow(
      '`users`: with `dp`: their values are stored without noise; leave it out',
    );
  });

  it('is not trained further without noise', async () => {
    const files = await trained();
    const refused = 'private: was trained privately (`dp`)';
    await expect(resumePlan(files, source, { epochs: 9 })).rejects.toThrow(`${refused}; its steps are planned`);
    await expect(resumePlan(files, source, { ranker: {} })).rejects.toThrow(`${refused}; a ranker would learn`);
    await expect(finalPlan(files, source)).rejects.toThrow(`${refused}; a training on all events`);
    const init = { ...shared, settings: {}, dp };
    await expect(planTransfer(files, source, init)).rejects.toThrow(
      '`dp: epsilon=8`: not with the weights of another model',
    );
    await expect(planUpdate(files, source)).rejects.toThrow(`${refused}; an update would learn without noise`);
    const { reason } = (await runPlan(await resumePlan(files, source), { device, files })).result;
    expect(reason).toBe('finished before');
  });

  it('is trained from a program, with another recipe and a loss over samples', async () => {
    const events = Array.from({ length: 120 }, (_, i) => ({
      user: `u${i % 20}`,
      item: `i${(i * 7 + (i % 20)) % 11}`,
      time: i,
    }));
    const more = { d: 8, ff: 8, blocks: 1, window: 8, negatives: 4, negativeGroup: 0, ema: 0.9 };
    const { config } = await trainModel(events, {
      device,
      minInteractions: 1,
      recipe: 'gsasrec',
      settings: more,
      dp: { epsilon: 4, delta: 1e-6, steps: 2, clip: 0.5 },
    });
    expect(config.privacy).toMatchObject({ epsilon: 4, steps: 2, clip: 0.5 });
  });
});

describe('membership by loss', async () => {
  const device = await openDevice({ backend: 'cpu' });

  it('has an advantage of 1 and an AUC of 1 where losses are apart, and of 0 and .5 where they are equal', () => {
    const [low, high] = [Float64Array.of(1, 2, 3), Float64Array.of(4, 5)];
    expect(attackByLoss(low, high)).toMatchObject({ advantage: 1, auc: 1, low: 1, high: 1, members: 3, outsiders: 2 });
    expect(attackByLoss(high, low)).toMatchObject({ advantage: 0, auc: 0 });
    expect(attackByLoss(low, low)).toMatchObject({ advantage: 0, auc: 0.5 });
    // By hand: of the six pairs the member has the lower loss in four and the same in one.
    const mixed = attackByLoss(Float64Array.of(1, 2, 5), Float64Array.of(2, 6));
    expect(mixed.auc).toBeCloseTo(4.5 / 6 + 0 / 6, 12);
    expect(mixed.advantage).toBeCloseTo(0.5, 12);
    expect(() => attackByLoss(low, new Float64Array(0))).toThrow(
      'membership: expected users of both kinds, got 3 and 0',
    );
  });

  it('finds the members of an overfit model, and not those of a private one', async () => {
    const random = seeded(3, 5);
    const histories = Array.from({ length: 60 }, () => Array.from({ length: 10 }, () => random.below(20)));
    const [all, items] = [splitOf(histories, 20), 20];
    const members = all.trainedOn(Uint8Array.from(histories, (_, u) => (u < 30 ? 1 : 0)));
    const overfit = small({ window: '8', dropout: '0', memory: 'off', validateSteps: '1000' });
    const losses = async (files: Files) => {
      const loaded = await loadModel(files);
      const model = SequenceModel.load(device, settingsOf(loaded), items, loaded.tensors);
      const users = (from: number) => Array.from({ length: 30 }, (_, i) => from + i);
      try {
        return attackByLoss(await userLosses(model, all, users(0)), await userLosses(model, all, users(30)));
      } finally {
        model.dispose();
      }
    };
    const known = await losses((await run(device, members, overfit, { epochs: 60 })).files);
    expect(known.auc).toBeGreaterThan(0.95);
    expect(known.advantage).toBeGreaterThan(0.8);
    expect(known.loss.members).toBeLessThan(known.loss.outsiders);
    const files = await folderOf(members, { ...overfit, budget: 8 });
    const options = { device, files, split: members, settings: { ...overfit, budget: 8 }, seed: 1 };
    const model = createEncoder(options);
    await trainPrivately(model, options, { ...plain, clip: 0.5, noise: 4, steps: 15 });
    model.dispose();
    const hidden = await losses(files);
    expect(hidden.low).toBeLessThan(0.5);
    expect(hidden.advantage).toBeLessThan(known.advantage / 2);
  });
});

describe('what noise and users are drawn from', () => {
  it('normal numbers have the mean and the deviation of what is asked, by the cryptographic generator', () => {
    const values = new Float32Array(40_001);
    fillNormal(values, 2, secretUniform());
    const mean = values.reduce((sum, x) => sum + x, 0) / values.length;
    const variance = values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / values.length;
    // Five standard errors: one failure in a million runs.
    expect(Math.abs(mean)).toBeLessThan(5 * (2 / 200));
    expect(Math.abs(variance / 4 - 1)).toBeLessThan(5 * Math.sqrt(2 / 40_000));
    expect(values.some((x) => Math.abs(x) > 6)).toBe(true);
  });

  it("a user's window is one of its history, somewhere in it, and the whole of a short one", () => {
    const split = splitOf([Array.from({ length: 32 }, (_, i) => i % 7), [1, 2, 3, 4, 5]], 7);
    const starts = new Set<number>();
    for (let epoch = 0; epoch < 40; epoch++) {
      const [long, short] = userBatches(split, [0, 1], { maxTokens: 8, window: 8, seed: 1, epoch });
      expect([long.tokens, short.tokens]).toEqual([8, 2]);
      const history = split.history(0, 'train');
      const at = history.findIndex((_, i) =>
        long.items.every((item, t) => item === history[i + t] && long.targets[t] === history[i + t + 1]),
      );
      expect(at).toBeGreaterThanOrEqual(0);
      starts.add(at);
      expect(Array.from(short.items.subarray(0, 2))).toEqual(Array.from(split.history(1, 'train').subarray(0, 2)));
      expect(Array.from(long.weights)).toEqual(Array(8).fill(1 / 8));
    }
    expect(starts.size).toBeGreaterThan(4);
    expect(() =>
      Array.from(userBatches(splitOf([[1], [1, 2, 3]], 4), [0], { maxTokens: 8, window: 8, seed: 1, epoch: 0 })),
    ).toThrow('batches: expected users with training events, got user 0 with 1');
  });
});
