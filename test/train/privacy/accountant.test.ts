/** The accountant against values that others publish, and against itself where two formulas must agree. */
import { describe, expect, it } from 'vitest';
import { epsilonOf, logMomentByQuadrature, noiseFor, rdpOf } from '../../../train/privacy/accountant.ts';

const range = (from: number, to: number, step = 1): number[] =>
  Array.from({ length: Math.round((to - from) / step) + 1 }, (_, i) => from + i * step);

/** The orders that Opacus tries (opacus/accountants/rdp.py), and TensorFlow Privacy (compute_dp_sgd_privacy_lib.py). */
const OPACUS = [...Array.from({ length: 99 }, (_, i) => 1 + (i + 1) / 10), ...range(12, 63)];
const TENSORFLOW = [1.25, 1.5, 1.75, 2, 2.25, 2.5, 3, 3.5, 4, 4.5, ...range(5, 63), 128, 256, 512];

describe('epsilon against published values', () => {
  it("is Opacus's (opacus/tests/accountants_test.py, test_rdp_accountant)", () => {
    const steps = [{ rate: 0.04, noise: 1.5, steps: 2250 }];
    expect(epsilonOf(steps, 1e-5, OPACUS)).toBeCloseTo(7.32911117143, 8);
    // More orders can only help.
    expect(epsilonOf(steps, 1e-5)).toBeLessThan(7.3291112);
    expect(epsilonOf(steps, 1e-5)).toBeGreaterThan(7.32);
  });

  it.each([
    [60_000, 150, 1.3, 15, 1e-5, 0.7242234026109595],
    [100_000, 100, 1, 30, 1e-7, 1.4154988495444845],
    [100_000_000, 1024, 0.1, 10, 1e-7, 5907982.31138195],
  ])(
    "is TensorFlow Privacy's for n %i, batches of %i, noise %d (compute_dp_sgd_privacy_test.py)",
    (n, batch, noise, epochs, delta, epsilon) => {
      const steps = Math.ceil((epochs * n) / batch);
      const found = epsilonOf([{ rate: batch / n, noise, steps }], delta, TENSORFLOW);
      expect(found / epsilon).toBeCloseTo(1, 8);
    },
  );

  it('is 1 at δ = 1e-6 for the Gaussian mechanism with σ 4.530877117 (google/differential-privacy, test_compute_epsilon_delta_gaussian)', () => {
    const fine = range(1.001, 99.999, 0.001);
    expect(epsilonOf([{ rate: 1, noise: 4.530877117, steps: 1 }], 1e-6, fine)).toBeCloseTo(1, 6);
  });

  it.each([
    [1.5, 6.5007e-4],
    [2.5, 1.0854e-3],
    [5, 2.1808e-3],
    [50, 2.3846e-2],
    [100, 1.6742e2],
    // As later versions of that test have them for integers; their bound for fractions is looser now.
    [5, 2.18075656e-3],
    [50, 2.38460375e-2],
    [100, 1.67416308e2],
  ])(
    'costs order %d in 50 steps at rate .01, noise 2.5, what its test_compute_rdp_poisson_sampled_gaussian has',
    (order, rdp) => {
      expect((50 * rdpOf({ rate: 0.01, noise: 2.5 }, order)) / rdp).toBeCloseTo(1, 4);
    },
  );
});

describe('the accountant', () => {
  it.each([
    [1e-3, 1, 2],
    [0.01, 10, 20],
    [0.2, 0.8, 7],
    [0.5, 2, 40],
    [0.99, 0.3, 64],
  ])('has the same moment by the sum and by quadrature at rate %d, noise %d, order %i', (rate, noise, order) => {
    const sum = rdpOf({ rate, noise }, order) * (order - 1);
    expect(Math.abs(logMomentByQuadrature(rate, noise, order) - sum)).toBeLessThan(1e-10 * Math.max(1, sum));
  });

  it('adds up: steps of two kinds cost what they cost together', () => {
    const [a, b] = [
      { rate: 0.1, noise: 2, steps: 30 },
      { rate: 0.1, noise: 2, steps: 70 },
    ];
    expect(epsilonOf([a, b], 1e-6)).toBe(epsilonOf([{ ...a, steps: 100 }], 1e-6));
    expect(epsilonOf([a], 1e-6)).toBeLessThan(epsilonOf([a, { ...b, noise: 4 }], 1e-6));
    expect(epsilonOf([a, { ...b, noise: 4 }], 1e-6)).toBeLessThan(epsilonOf([a, b], 1e-6));
  });

  it('knows what costs nothing, and what costs everything', () => {
    expect(epsilonOf([], 1e-6)).toBe(0);
    expect(epsilonOf([{ rate: 0, noise: 1, steps: 10 }], 1e-6)).toBe(0);
    expect(epsilonOf([{ rate: 0.5, noise: 1, steps: 0 }], 1e-6)).toBe(0);
    expect(epsilonOf([{ rate: 0.5, noise: 0, steps: 1 }], 1e-6)).toBe(Number.POSITIVE_INFINITY);
  });

  it.each([
    [8, 1e-6, 0.2, 200],
    [2, 1e-5, 1, 20],
    [50, 1e-6, 0.01, 10],
  ])('finds the least noise for ε %d, δ %d, rate %d, %i steps', (epsilon, delta, rate, steps) => {
    const noise = noiseFor(epsilon, delta, rate, steps) as number;
    expect(epsilonOf([{ rate, noise, steps }], delta)).toBeLessThanOrEqual(epsilon);
    expect(epsilonOf([{ rate, noise: 0.999 * noise, steps }], delta)).toBeGreaterThan(epsilon);
  });

  it("finds Opacus's noise (test_get_noise_multiplier_rdp_steps), whose ε is within .01 of the target", () => {
    const steps = { rate: 0.04, steps: 2000 };
    expect(epsilonOf([{ ...steps, noise: 1.3562 }], 1e-5, OPACUS)).toBeGreaterThan(7.98);
    expect(Math.abs((noiseFor(8, 1e-5, steps.rate, steps.steps) as number) - 1.3562)).toBeLessThan(0.002);
  });

  it('gives no noise where none is enough', () => {
    expect(noiseFor(1e-4, 1e-6, 0.5, 100)).toBeNull();
  });

  it('refuses numbers out of range', () => {
    expect(() => rdpOf({ rate: 1.5, noise: 1 }, 2)).toThrow(/^accountant: expected a rate in \[0, 1\]/);
    expect(() => rdpOf({ rate: 0.5, noise: 1 }, 1)).toThrow(/an order > 1/);
    expect(() => epsilonOf([], 0)).toThrow('accountant: expected a delta in (0, 1), got 0');
  });
});
