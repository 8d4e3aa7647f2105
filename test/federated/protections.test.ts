/** What protects clients and rounds: clipping, noise, checked terms, and the bound on rows. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { aggregate } from '../../train/federated/aggregate.ts';
import { addNoise, clipNorm, normalFrom, normOf, type WeightValues } from '../../train/federated/clip.ts';
import { makeUpdate } from '../../train/federated/join.ts';
import { decodeUpdate, decodeWeights } from '../../train/federated/protocol.ts';
import { checkTerms, noiseOf, privacyOf } from '../../train/federated/terms.ts';
import { openDevice } from '../device.ts';
import { bytesOf, constant, ITEMS, message, start, trainer, walk } from './clients.ts';

const device = await openDevice({ backend: 'cpu' });

describe('a client', () => {
  it('clips its change to the norm that the terms name, and no further', async () => {
    const { coordinator } = await start();
    const change = constant(coordinator, 0.5);
    const norm = normOf(change);
    expect(clipNorm(change, 2 * norm)).toBe(norm);
    expect(normOf(change)).toBe(norm);
    expect(clipNorm(change, 1.5)).toBe(norm);
    expect(normOf(change)).toBeCloseTo(1.5, 6);
    expect(clipNorm(change, 0)).toBeCloseTo(1.5, 6);
  });

  it('adds normal noise, which sums to that of the terms over the clients', async () => {
    const terms = checkTerms({ clients: 16, clip: 2, noise: 1.5 });
    expect(noiseOf(terms)).toBeCloseTo((1.5 * 2) / 4, 12);
    expect(noiseOf(checkTerms({ clients: 16, leastClients: 4, clip: 2, noise: 1.5 }))).toBeCloseTo(1.5, 12);
    const sum = new Float64Array(4000);
    for (let client = 0; client < 16; client++) {
      const noise: WeightValues = new Map([['w', new Float32Array(4000)]]);
      addNoise(noise, noiseOf(terms), bytesOf(client));
      for (const [i, value] of noise.get('w')!.entries()) sum[i] += value;
    }
    const deviation = Math.sqrt(sum.reduce((total, x) => total + x * x, 0) / sum.length);
    expect(deviation).toBeGreaterThan(0.95 * 3);
    expect(deviation).toBeLessThan(1.05 * 3);
  });

  it('draws noise with the tails of a normal', () => {
    const drawn = normalFrom(bytesOf(7), 40_001);
    const share = (of: (x: number) => boolean): number => drawn.filter(of).length / drawn.length;
    expect(share((x) => x < 0)).toBeCloseTo(0.5, 1);
    expect(share((x) => Math.abs(x) < 1)).toBeCloseTo(0.6827, 1);
    expect(share((x) => Math.abs(x) > 3)).toBeGreaterThan(0.0015);
    expect(share((x) => Math.abs(x) > 3)).toBeLessThan(0.0042);
    // All bits zero, and all one.
    for (const byte of [0, 255])
      expect(normalFrom((bytes) => void bytes.fill(byte), 3).every(Number.isFinite)).toBe(true);
    // By default no two draws are alike.
    const twice = [0, 1].map(() => {
      const values: WeightValues = new Map([['w', new Float32Array(20_000)]]);
      addNoise(values, 1);
      return values.get('w')!;
    });
    expect(twice[0]).not.toEqual(twice[1]);
    expect(new Set(twice[0]).size).toBeGreaterThan(19_000);
  });

  it('sends every row, also those that it has not touched', async () => {
    const local = trainer(device);
    const { coordinator, terms } = await start();
    const { values } = decodeWeights(coordinator.message, coordinator.shapes);
    const sizes: number[] = [];
    for (const length of [2, 12]) {
      const { update } = await makeUpdate(local, values, { history: walk(0, length) }, terms);
      const bytes = await message(coordinator, update);
      expect(decodeUpdate(bytes, coordinator.shapes).values.get('items.weight')).toHaveLength(ITEMS * 8);
      sizes.push(bytes.length);
    }
    expect(sizes[0]).toBe(sizes[1]);
    local.dispose();
  });
});

describe('terms', () => {
  it.each([
    [{ rounds: 0 }, 'rounds: expected an integer from 1 to 1000000, got 0'],
    [{ trim: 0.7 }, 'trim: expected a number from 0 to 0.5, got 0.7'],
    [{ noise: 1, clip: 0 }, '`clip: 0`: noise hides an update only where its norm is bounded; give a norm above 0'],
    [{ clients: 3, leastClients: 4 }, '`leastClients: 4`: expected at most as many as clients (3)'],
    [{ serverRate: Number.NaN }, 'serverRate: expected a number from 1e-9 to 1000000000, got null'],
  ])('%j are refused', (given, reason) => {
    expect(() => checkTerms(given)).toThrow(reason);
  });
});

describe('what noise is worth', () => {
  const spent = (given: Parameters<typeof checkTerms>[0], rounds = 1) => privacyOf(checkTerms(given), rounds);

  it('by an update and by what is published', () => {
    // One release of the Gaussian mechanism at noise 5: 0.5 / 25 + 2 sqrt(0.02 log(1e6)) bounds it.
    const { updates, published } = spent({ clients: 25, noise: 5, trim: 0 });
    expect(published).toBeGreaterThan(0.6);
    expect(published).toBeLessThan(0.02 + 2 * Math.sqrt(0.02 * Math.log(1e6)));
    expect(updates).toBe(spent({ clients: 1, noise: 1, trim: 0 }).published);
    expect(spent({ clients: 25, noise: 5, trim: 0 }, 10).published).toBeGreaterThan(2 * (published as number));
  });

  it('is not claimed of what is published where rows are cut, and nothing without noise', () => {
    const { updates, published } = spent({ clients: 25, noise: 5, trim: 0.1 });
    expect(published).toBeNull();
    expect(updates).toBe(spent({ clients: 25, noise: 5, trim: 0 }).updates);
    expect(spent({ trim: 0 })).toEqual({ updates: Number.POSITIVE_INFINITY, published: null });
    // By default rows are cut from 20 clients on.
    expect(spent({ clients: 20, noise: 5 }).published).toBeNull();
    expect(spent({ clients: 19, noise: 5 }).published).toBe(spent({ clients: 19, noise: 5, trim: 0 }).published);
  });
});

describe('hostile clients', () => {
  const shapes = new Map([
    ['table', [4, 3]],
    ['bias', [5]],
  ]);
  const numbers = fc.double({ min: -1, max: 1, noNaN: true });
  const update = (scale: number) =>
    fc
      .tuple(fc.array(numbers, { minLength: 12, maxLength: 12 }), fc.array(numbers, { minLength: 5, maxLength: 5 }))
      .map(
        ([table, bias]): WeightValues =>
          new Map([
            ['table', Float32Array.from(table, (x) => x * scale)],
            ['bias', Float32Array.from(bias, (x) => x * scale)],
          ]),
      );
  const rows = (values: WeightValues): Float32Array[] => [
    ...[0, 3, 6, 9].map((from) => values.get('table')!.subarray(from, from + 3)),
    values.get('bias')!,
  ];
  const length = (row: Float32Array): number => Math.sqrt(row.reduce((sum, x) => sum + x * x, 0));

  it('of no more than the trimmed share move no row further than as many of the others could', () => {
    fc.assert(
      fc.property(
        fc.array(update(1), { minLength: 8, maxLength: 8 }),
        fc.array(update(1e4), { minLength: 2, maxLength: 2 }),
        (honest, hostile) => {
          const all = aggregate([...honest, ...hostile], shapes, 0.2);
          const own = rows(aggregate(honest, shapes, 0));
          for (const [r, row] of rows(all).entries()) {
            const loudest = Math.max(...honest.map((one) => length(rows(one)[r])));
            const honestShare = own[r].map((x) => 0.8 * x);
            const moved = length(row.map((x, i) => x - honestShare[i]));
            // Two hostile ones at the norm of the loudest honest one, and what that norm takes from honest ones: nothing.
            expect(moved).toBeLessThanOrEqual((2 * loudest) / 10 + 1e-5);
          }
        },
      ),
      { seed: 1 },
    );
  });

  it('are the mean with all others where nothing is trimmed', () => {
    const one = (value: number): WeightValues =>
      new Map(
        Array.from(shapes, ([name, shape]) => [name, new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(value)]),
      );
    for (const x of aggregate([one(0), one(0), one(3e4)], shapes, 0).get('table')!) expect(x).toBe(1e4);
    for (const x of aggregate([one(1), one(1), one(3e4)], shapes, 0.34).get('table')!) expect(x).toBeCloseTo(1, 6);
    // The share of a small round may be no client at all: 0.1 of 9.
    const nine = Array.from({ length: 9 }, (_, i) => one(i === 0 ? 9 : 0));
    expect(aggregate(nine, shapes, 0.1)).toEqual(one(1));
    // A single client is always the loudest.
    expect(aggregate([one(2)], shapes, 0.5)).toEqual(one(2));
  });
});
