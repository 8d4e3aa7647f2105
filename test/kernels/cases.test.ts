import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Device } from '../../engine/index.ts';
import { cases } from './cases.ts';
import {
  type Case,
  choices,
  firstMismatch,
  gradientError,
  makeInputs,
  makeWeights,
  type Result,
  runCase,
} from './harness.ts';

const DEFAULT = { abs: 1e-5, rel: 1e-5 };
let double: Device;
let gpu: Device;
beforeAll(async () => {
  double = await Device.open({ backend: 'cpu', precision: 'f64' });
  gpu = await Device.open({ backend: 'webgpu' });
});
afterAll(() => gpu?.close());

async function reference(
  c: Case,
): Promise<{ data: ReturnType<typeof makeInputs>; weights: ReturnType<typeof makeWeights>; result: Result }> {
  const data = makeInputs(c);
  const { outputs } = await runCase(c, double, data);
  const weights = makeWeights(c, outputs);
  return { data, weights, result: await runCase(c, double, data, weights) };
}

function compare(c: Case, actual: Result, expected: Result): void {
  const tolerance = c.tolerance ?? DEFAULT;
  expected.outputs.forEach((o, i) => expect(firstMismatch(`output ${i}`, actual.outputs[i], o, tolerance)).toBeNull());
  for (const [name, g] of Object.entries(expected.grads))
    expect(firstMismatch(`d${name}`, actual.grads[name], g, tolerance)).toBeNull();
}

for (const op of new Set(cases.map((c) => c.op))) {
  describe(op, () => {
    for (const c of cases.filter((x) => x.op === op)) {
      it(c.name, async () => {
        const { data, weights, result } = await reference(c);
        if (c.gradients !== false) {
          const { error, where } = await gradientError(c, double, data, weights, result.grads);
          expect(error, where).toBeLessThan(2e-6);
        }
        for (const choice of choices(c)) {
          gpu.gpu?.forced.clear();
          for (const [kernel, file] of Object.entries(choice)) gpu.gpu?.forced.set(kernel, file);
          let actual: Result;
          try {
            actual = await runCase(c, gpu, data, weights);
          } catch (error) {
            if (Object.keys(choice).length > 0 && /no variant runs/.test(String(error))) continue;
            throw error;
          } finally {
            gpu.gpu?.forced.clear();
          }
          compare(c, actual, result);
        }
      });
    }
  });
}
