/**
 * The case table. `npm test` runs every case in every form, each variant of a kernel on a few of its cases (most of the
 * time goes into compiling them) and a sample of the products of flags; `npm run test:full` runs all of them.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Device } from '../../engine/index.ts';
import { cases } from './cases.ts';
import { FACTOR, FORMS, type Form, runForm } from './forms.ts';
import {
  type Case,
  choices,
  differentiable,
  firstMismatch,
  FULL,
  gradientError,
  inSample,
  makeInputs,
  makeWeights,
  type Result,
  runCase,
} from './harness.ts';

const DEFAULT = { abs: 1e-5, rel: 1e-5 };
/** Cases of an op that `npm test` runs a forced variant on. */
const FORCED_CASES = 1;

let double: Device;
let gpu: Device;
beforeAll(async () => {
  double = await Device.open({ backend: 'cpu', precision: 'f64', poison: true });
  gpu = await Device.open({ backend: 'webgpu', poison: true });
});
// A device that failed must not fail the cases after it.
beforeEach(async () => {
  if (gpu.gpu?.failure) gpu = await Device.open({ backend: 'webgpu', poison: true });
  for (const device of [double, gpu]) device.tape.truncate(0);
});
afterAll(() => gpu?.close());

interface Expected {
  data: ReturnType<typeof makeInputs>;
  weights: ReturnType<typeof makeWeights>;
  result: Result;
}

let last: { c: Case; expected: Promise<Expected> } | null = null;
/** What the references give; kept for the tests of one case. */
function reference(c: Case): Promise<Expected> {
  const compute = async (): Promise<Expected> => {
    const data = makeInputs(c);
    const { outputs } = await runCase({ ...c, gradients: false }, double, data);
    const weights = makeWeights(c, outputs);
    return { data, weights, result: await runCase(c, double, data, weights) };
  };
  if (last?.c !== c) last = { c, expected: compute() };
  return last.expected;
}

function compare(c: Case, actual: Result, expected: Result, form: Form = 'leaf'): void {
  const { abs, rel } = c.tolerance ?? DEFAULT;
  const { times, plus } = FACTOR[form];
  for (const [i, output] of actual.outputs.entries()) {
    const wanted = expected.outputs[i % expected.outputs.length];
    expect(firstMismatch(`output ${i}`, output, wanted, { abs, rel })).toBeNull();
  }
  expect(Object.keys(actual.grads)).toEqual(Object.keys(expected.grads));
  for (const [name, g] of Object.entries(expected.grads)) {
    const uses = c.leaves?.includes(name) ? 0 : plus;
    const wanted = uses === 0 && times === 1 ? g : Float64Array.from(g, (v) => times * v + uses);
    // A sum of several uses rounds, be each of them exact.
    const bound = times > 1 ? { abs: times * abs + 1e-6, rel: Math.max(rel, 1e-6) } : { abs, rel };
    expect(firstMismatch(`d${name}`, actual.grads[name], wanted, bound)).toBeNull();
  }
  if (!actual.optimizer) return;
  expect(actual.optimizer.status).toBe(0);
  const squares = Object.values(expected.grads).flatMap((g) => Array.from(g, (v) => v * v));
  const norm = Math.sqrt(squares.reduce((a, b) => a + b, 0));
  expect(Math.abs(actual.optimizer.norm - norm)).toBeLessThanOrEqual(abs * Math.sqrt(squares.length) + 1e-4 * norm);
}

const hasGradients = (c: Case): boolean => c.gradients !== false && Object.values(c.inputs).some(differentiable);
/** How often a forced choice ran so far. */
const forced = new Map<string, number>();
const wanted = (c: Case, choice: Record<string, string>): boolean => {
  const key = `${c.op} ${JSON.stringify(choice)}`;
  const ran = forced.get(key) ?? 0;
  if (!FULL && (ran >= FORCED_CASES || /WG=(128|256)/.test(key))) return false;
  forced.set(key, ran + 1);
  return true;
};

describe.each([...new Set(cases.map((c) => c.op))])('%s', (op) => {
  for (const c of cases) {
    if (c.op !== op || (c.sampled && !inSample(`${op} ${c.name}`, 32))) continue;
    if (c.refused) {
      it(`refuses ${c.name}`, async () => {
        for (const device of [double, gpu]) {
          await expect(runCase({ ...c, gradients: false }, device, makeInputs(c))).rejects.toThrow(c.refused);
          device.check();
        }
      });
      continue;
    }
    describe(c.name, () => {
      it.runIf(hasGradients(c))('has the gradients that central differences say', async () => {
        const { data, weights, result } = await reference(c);
        const { error, where } = await gradientError(c, double, data, weights, result.grads);
        expect(error, where).toBeLessThan(2e-6);
      });

      it.each(FORMS.filter((form) => form === 'leaf' || hasGradients(c)))(
        'as a %s, recorded and replayed',
        async (form) => {
          const { data, weights, result } = await reference(c);
          const [eager, replayed] = await runForm(
            c,
            gpu,
            data,
            c.gradients === false ? undefined : weights,
            form,
            'program',
          );
          compare(c, eager, result, form);
          expect(replayed.outputs).toEqual(eager.outputs);
          expect(replayed.grads).toEqual(eager.grads);
        },
      );

      const forcedChoices = choices(c).filter((choice) => Object.keys(choice).length > 0 && wanted(c, choice));
      it.each(forcedChoices.flatMap((choice) => Object.entries(choice)))('%s by %s', async (kernel, file) => {
        const { data, weights, result } = await reference(c);
        gpu.gpu?.forced.set(kernel, file);
        try {
          compare(c, await runCase(c, gpu, data, weights), result);
        } catch (error) {
          if (!/no variant runs/.test(String(error))) throw error;
        } finally {
          gpu.gpu?.forced.clear();
        }
      });

      it.each(hasGradients(c) ? (c.leaves ?? []) : [])('refuses a %s that is no leaf', async (name) => {
        const { data, weights } = await reference(c);
        const leaves = c.leaves?.filter((other) => other !== name);
        for (const device of [double, gpu]) {
          const run = runForm({ ...c, leaves }, device, data, weights, 'value', 'eager');
          await expect(run).rejects.toThrow(new RegExp(`${name}.*must be a leaf`));
          device.check();
        }
      });
    });
  }
});
