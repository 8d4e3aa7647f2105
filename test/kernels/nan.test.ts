/**
 * NaN in, NaN out: every case of the table with a NaN in one input at a time, in every variant. Both devices must give NaN
 * in the same places, forward and backward, and the same numbers elsewhere.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Device, type NumericArray } from '../../engine/index.ts';
import { cases } from './cases.ts';
import { type Case, choices, firstMismatch, makeInputs, makeWeights, type Result } from './harness.ts';
import { runCase } from './run-case.ts';

const DEFAULT = { abs: 1e-5, rel: 1e-5 };
let double: Device;
let gpu: Device;
beforeAll(async () => {
  double = await Device.open({ backend: 'cpu', precision: 'f64' });
  gpu = await Device.open({ backend: 'webgpu' });
});
afterAll(() => gpu?.close());

/** Ops that rank (NaN is never taken, and a rank of 0 says so), overwrite, or do not read all of their inputs. */
const HIDES = new Set('topk rank-tiles adamw fill sparse-scores sparse-matmul slice gather embedding'.split(' '));

const hasNaN = (arrays: readonly NumericArray[]): boolean => arrays.some((a) => a.some(Number.isNaN));

/** NaN becomes a number that nothing else gives, so that places are compared, too. */
const marked = (a: NumericArray): NumericArray =>
  a instanceof Uint32Array ? a : Float64Array.from(a, (x) => (Number.isNaN(x) ? 1e30 : x));

/** Ops with a kernel that multiplies NaN by 0, so that it reaches its neighbors: attention_*_sg8.wgsl, ce_grad.wgsl. */
const SPREADS = new Set(['attention', 'cross-attention', 'cross-entropy']);

function compare(what: string, c: Case, actual: Result, expected: Result): void {
  const tolerance = c.tolerance ?? DEFAULT;
  const check = (name: string, a: NumericArray, b: NumericArray): void => {
    const spread = SPREADS.has(c.op);
    const seen = spread ? a.map((x, i) => (Number.isNaN(x) && !Number.isNaN(b[i]) ? b[i] : x)) : a;
    expect(firstMismatch(`${what}: ${name}`, marked(seen), marked(b), tolerance)).toBeNull();
  };
  expected.outputs.forEach((o, i) => check(`output ${i}`, actual.outputs[i], o));
  for (const [name, g] of Object.entries(expected.grads)) check(`d${name}`, actual.grads[name], g);
}

describe.each([...new Set(cases.map((c) => c.op))])('%s', (op) => {
  it.each(cases.filter((c) => c.op === op && c.precision === undefined && c.refused === undefined))(
    '$name',
    async (c) => {
      const clean = makeInputs(c);
      if (Object.values(clean).some((a) => !a.every(Number.isFinite))) return; // holds such numbers by itself
      const { outputs } = await runCase(c, double, clean);
      const weights = makeWeights(c, outputs);
      // Where all is switched off or unused, a NaN in it is, too.
      let found = outputs.every((o) => o.every((x) => x === 0));
      let probes = 0;
      for (const [name, spec] of Object.entries(c.inputs)) {
        const { length } = clean[name];
        if (spec.dtype === 'u32' || length === 0) continue;
        probes++;
        const at = Math.floor(length / 2);
        const data = { ...clean, [name]: Float32Array.from(clean[name], (x, i) => (i === at ? Number.NaN : x)) };
        const expected = await runCase(c, double, data, weights);
        found ||= hasNaN(expected.outputs);
        for (const choice of choices(c)) {
          gpu.gpu?.variants.forced.clear();
          for (const [kernel, file] of Object.entries(choice)) gpu.gpu?.variants.forced.set(kernel, file);
          try {
            const actual = await runCase(c, gpu, data, weights);
            compare(`NaN in ${name}[${at}], ${JSON.stringify(choice)}`, c, actual, expected);
          } catch (error) {
            if (!/no variant runs/.test(String(error))) throw error;
          } finally {
            gpu.gpu?.variants.forced.clear();
          }
        }
      }
      if (probes > 0 && !HIDES.has(op)) expect(found, 'no NaN came out').toBe(true);
    },
  );
});
