/**
 * Finite numbers whose squares, or sums, f32 does not hold: norms of their rows are NaN on every device and by every
 * variant, forward and backward. 1 / √∞ would make zeros of them, an answer that looks like one.
 */
import { describe, expect, it } from 'vitest';
import { addLayernorm, layernorm, normalize, type NumericArray, rmsnorm } from '../../engine/index.ts';
import { normVariants } from './cases/norm.ts';
import { cpu, double, gpu, wasm } from './devices.ts';
import { type Case, firstMismatch, makeInputs, makeWeights, type Result, wantedChoices } from './harness.ts';
import { runCase } from './run-case.ts';

const ROWS = 35;
/** A value of row i: of the first five, three overflow. */
const VALUES: ((sign: number, normal: number) => number)[] = [
  (sign) => 3e38 * sign,
  (_, normal) => normal,
  () => 3e38, // no variance, but a sum
  (sign) => 1e19 * sign, // the mean of the squares is 1e38, their sum is infinite
  (sign) => 1e17 * sign,
];
const OVERFLOW = [0, 2, 3];

/** `few` numbers of a row are large, the others as usual. */
function input(d: number, few: boolean) {
  const value = (i: number, normal: () => number): number => {
    const [row, column] = [Math.floor(i / d), i % d];
    return few && column % 5 !== 3 ? normal() : (VALUES[row] ?? VALUES[1])(column % 2 ? 1 : -1, normal());
  };
  return { shape: [ROWS, d], value };
}

const layernorms = (d: number, few: boolean): Case[] => [
  {
    op: 'layernorm',
    name: `layernorm of ${d}${few ? ', a few large' : ''}`,
    inputs: { x: input(d, few), weight: { shape: [d] }, bias: { shape: [d] } },
    run: ({ x, weight, bias }) => layernorm(x, weight, bias),
    variants: normVariants,
  },
  {
    op: 'layernorm',
    name: `addLayernorm of ${d}${few ? ', a few large' : ''}`,
    inputs: { x: input(d, few), r: { shape: [ROWS, d] }, weight: { shape: [d] }, bias: { shape: [d] } },
    run: ({ x, r, weight, bias }) => addLayernorm(x, r, weight, bias).norm,
    variants: normVariants,
  },
];
const scaled = (d: number): Case[] => [
  {
    op: 'rmsnorm',
    name: `rmsnorm of ${d}`,
    inputs: { x: input(d, false), weight: { shape: [d] } },
    run: ({ x, weight }) => rmsnorm(x, weight),
  },
  {
    op: 'normalize',
    name: `normalize of ${d}`,
    inputs: { x: input(d, false) },
    run: ({ x }) => normalize(x),
  },
];
const cases = [
  ...layernorms(64, false),
  ...layernorms(64, true),
  ...layernorms(7, false),
  ...scaled(64),
  ...scaled(12),
];

const rowsWithNaN = (a: NumericArray): number[] =>
  Array.from({ length: ROWS }, (_, i) => i).filter((i) => {
    const row = [...a.subarray((i * a.length) / ROWS, ((i + 1) * a.length) / ROWS)];
    return row.every(Number.isNaN);
  });
/** NaN becomes a number that nothing else gives, so that positions are compared, too. */
const marked = (a: NumericArray): NumericArray => Float64Array.from(a, (x) => (Number.isNaN(x) ? 1e30 : x));

describe.each(cases)('$name', (c) => {
  const data = makeInputs(c);
  const run = async (device: typeof gpu): Promise<Result> => {
    const { outputs } = await runCase({ ...c, gradients: false }, double, data);
    return runCase(c, device, data, makeWeights(c, outputs));
  };

  async function check(device: typeof gpu): Promise<void> {
    const [actual, expected] = [await run(device), await run(double)];
    const results = { y: [actual.outputs[0], expected.outputs[0]], dx: [actual.grads.x, expected.grads.x] };
    for (const [name, [a, b]] of Object.entries(results)) {
      expect({ name, rows: rowsWithNaN(a) }).toEqual({ name, rows: OVERFLOW });
      expect(firstMismatch(name, marked(a), marked(b), { abs: 2e-5, rel: 2e-5 })).toBeNull();
    }
  }

  it.each(
    [cpu, double, wasm].map((device, i) => ({ what: ['the CPU', 'double precision', 'WebAssembly'][i], device })),
  )('on $what', ({ device }) => check(device));

  const wanted = wantedChoices(c).map((choice) => ({ what: choice.file, choice }));
  it.each([{ what: 'the chosen variants', choice: null }, ...wanted])('on WebGPU by $what', async ({ choice }) => {
    if (choice) gpu.gpu?.variants.forced.set(choice.kernel, choice.file);
    try {
      await check(gpu);
    } catch (error) {
      if (!/no variant runs/.test(String(error))) throw error;
    } finally {
      gpu.gpu?.variants.forced.clear();
    }
  });
});
