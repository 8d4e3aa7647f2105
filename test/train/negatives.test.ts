/** Samplers, schedule and settings, on the host alone. */
import { describe, expect, it } from 'vitest';
import type { Batch } from '../../data/batching/batch.ts';
import { Device } from '../../engine/index.ts';
import { calibratedBeta } from '../../model/heads/losses/gbce.ts';
import type { Settings } from '../../model/recipes/settings.ts';
import { settingsFor } from '../../model/recipes/recipes.ts';
import { makeSampler, Negatives } from '../../train/loop/negatives.ts';
import { horizonOf, learningRateAt } from '../../train/loop/schedule.ts';
import { set } from '../set.ts';

const COUNTS = Uint32Array.of(10, 0, 30, 5, 0, 55);
const targets = Uint32Array.of(2, 2, 3, 5, 0, 0, 0, 0);
const batch = { tokens: 4, targets } as Batch;
const at = { seed: 3, epoch: 1, batch: 7 };

/** χ² of a draw against what the sampler says, over items that can come. */
function chiSquared(out: Uint32Array, q: (v: number) => number, items: number): number {
  const seen = new Array(items).fill(0);
  for (const v of out) seen[v]++;
  return seen.reduce((sum, n, v) => {
    const expected = q(v) * out.length;
    if (expected === 0) {
      expect(n).toBe(0);
      return sum;
    }
    return sum + (n - expected) ** 2 / expected;
  }, 0);
}

describe('samplers', () => {
  it('uniform and popularity draw as often as they say', () => {
    for (const kind of ['uniform', 'popularity'] as const) {
      const sampler = makeSampler(kind, COUNTS);
      const out = new Uint32Array(20_000);
      sampler.draw(out, batch, at);
      // 5 degrees of freedom: above 20.5 once in a thousand.
      expect(chiSquared(out, sampler.q, 6)).toBeLessThan(20.5);
      const total = Array.from(COUNTS, (_, v) => sampler.q(v)).reduce((a, b) => a + b);
      expect(total).toBeCloseTo(1, 12);
    }
  });

  it("in-batch draws the batch's targets, not what lies behind its tokens", () => {
    const sampler = makeSampler('in-batch', COUNTS);
    const out = new Uint32Array(20_000);
    sampler.draw(out, batch, at);
    const shares = [0, 0, 0.5, 0.25, 0, 0.25];
    expect(chiSquared(out, (v) => shares[v], 6)).toBeLessThan(13.8);
    expect(sampler.q(5)).toBeCloseTo(0.55, 12);
  });

  it('draw the same for the same (seed, epoch, batch), other things for another', () => {
    for (const kind of ['uniform', 'popularity', 'in-batch'] as const) {
      const draw = (where: typeof at) => {
        const out = new Uint32Array(64);
        makeSampler(kind, COUNTS).draw(out, batch, where);
        return out;
      };
      expect(draw(at)).toEqual(draw({ ...at }));
      for (const other of [{ seed: 4 }, { epoch: 2 }, { batch: 8 }])
        expect(draw({ ...at, ...other })).not.toEqual(draw(at));
    }
  });

  it('lists lie where kernels look for them: groups without a token stay empty, log(N q) is next to each', async () => {
    const device = await Device.open({ backend: 'cpu' });
    const s = settingsFor(
      'sasrec',
      set('loss=sampled-softmax negatives=3 negativeGroup=2 budget=8 window=8 sampler=popularity'),
    );
    const negatives = new Negatives(device, s, COUNTS);
    negatives.stage({ ...batch, tokens: 3 }, at);
    negatives.upload();
    const { ids, logq, groups } = negatives.tensors;
    expect(ids.shape).toEqual([4, 3]);
    const rows = await ids.data();
    expect(Array.from(rows.subarray(6))).toEqual([0, 0, 0, 0, 0, 0]);
    expect((await groups.data())[0]).toBe(new Set(rows.subarray(0, 6)).size);
    const terms = (await logq?.data()) as Float32Array;
    terms.forEach((x, i) => expect(x).toBeCloseTo(Math.log((3 * COUNTS[rows[i]]) / 100), 5));
    expect(new Negatives(device, { ...s, logq: 'off' }, COUNTS).tensors.logq).toBeNull();
    expect(new Negatives(device, { ...s, loss: 'gbce' }, COUNTS).tensors.logq).toBeNull();
  });
});

it("gBCE's calibration goes from 1 to the sampling rate", () => {
  const beta = (calibration: number) => calibratedBeta(calibration, 10, 101);
  expect([beta(0), beta(0.5), beta(1)]).toEqual([1, 0.55, expect.closeTo(0.1, 12)]);
});

describe('the schedule', () => {
  const of = (more: Record<string, string>): Settings => settingsFor('sasrec', { learningRate: '1', ...more });
  const rates = (s: Settings, horizon: number, steps: number[]) =>
    steps.map((step) => learningRateAt(s, step, horizon));

  it('warms up, then stays or falls by a cosine and stays at a hundredth', () => {
    expect(rates(of({}), 0, [1, 1000])).toEqual([1, 1]);
    expect(rates(of({ warmup: '4' }), 0, [1, 2, 4, 5, 99])).toEqual([0.25, 0.5, 1, 1, 1]);
    const cosine = rates(of({ warmup: '10', schedule: 'cosine', scheduleSteps: '110' }), 110, [5, 10, 60, 110, 500]);
    [0.5, 1, 0.505, 0.01, 0.01].forEach((rate, i) => expect(cosine[i]).toBeCloseTo(rate, 12));
  });

  it('ends where the settings or the epochs say', () => {
    const cosine = of({ schedule: 'cosine' });
    expect(horizonOf(cosine, 3, 40)).toBe(120);
    expect(horizonOf(of({ schedule: 'cosine', scheduleSteps: '99' }), 3, 40)).toBe(99);
    expect(horizonOf(of({}), undefined, 40)).toBe(0);
    expect(() => horizonOf(cosine, undefined, 40)).toThrow(/`epochs: N` or `settings.scheduleSteps: N`/);
  });
});

it.each([
  [{ loss: 'hinge' }, '`settings.loss: hinge`: expected softmax, sampled-softmax, bce, gbce or bpr'],
  [
    { loss: 'gbce', negativeGroup: '100' },
    '`settings.negativeGroup: 100`: a batch of 4096 tokens does not divide by it',
  ],
  [{ loss: 'bpr', labelSmoothing: '0.1' }, '`settings.labelSmoothing: 0.1`: requires `settings.loss: softmax`'],
  [{ loss: 'bce', negatives: '0' }, '`settings.negatives: 0`: expected an integer from 1 to 2097152'],
  [{ loss: 'bce', negatives: '1000', negativeGroup: '1' }, '`settings.negatives: 1000`: more than 2,097,152 a batch'],
  [{ ema: '1' }, '`settings.ema: 1`: expected a number from 0 to below 1'],
  [{ augmentCrop: '1.5' }, '`settings.augmentCrop: 1.5`: expected a number from 0 to 1'],
])('%o is refused', (settings, message) => {
  expect(() => settingsFor('sasrec', settings as Record<string, string>)).toThrow(message);
});
