/**
 * The case table. `npm test` runs every case as a leaf and in one more form, the first cases of an op in every form, each
 * variant of a kernel once (most of the time goes into compiling them) and a sample of the products of flags, and in
 * Chromium a sample of all that; `npm run test:full` runs all of them in both.
 */
import { beforeEach, describe, expect, it } from 'vitest';
import { Device } from '../../engine/index.ts';
import { FULL } from '../full.ts';
import { cases } from './cases/index.ts';
import { canShare, FORMS, type Form, mismatch, runForm } from './forms.ts';
import { type Case, hasGradients, makeInputs, type Result, suite, wantedChoices } from './harness.ts';
import { type Expected, expectedOf, gradientError, runCase } from './run-case.ts';
import { openDevice } from '../device.ts';

const double = await openDevice({ backend: 'cpu', precision: 'f64', poison: true });
const wasm = await openDevice({ backend: 'wasm', poison: true });
let gpu = await openDevice({ backend: 'webgpu', poison: true });
// A device that failed must not fail the cases after it.
beforeEach(async () => {
  if (gpu.gpu?.failure) gpu = await Device.open({ backend: 'webgpu', poison: true });
});

let last: { c: Case; expected: Promise<Expected> } | null = null;
/** What the references give; kept for the tests of one case. */
function reference(c: Case): Promise<Expected> {
  if (last?.c !== c) last = { c, expected: expectedOf(c, double) };
  return last.expected;
}

/** Cases of an op so far. */
const counts = new Map<string, number>();

function formsOf(c: Case): Form[] {
  if (!hasGradients(c)) return ['leaf'];
  const count = counts.get(c.op) ?? 0;
  counts.set(c.op, count + 1);
  const [leaf, ...others] = FORMS;
  return FULL || count < 2 ? FORMS : [leaf, others[count % others.length]];
}

const compare = (c: Case, actual: Result, expected: Result, form?: Form): void =>
  expect(mismatch(c, actual, expected, form)).toBeNull();

const run = suite(cases);

describe.each([...new Set(run.map((c) => c.op))])('%s', (op) => {
  for (const c of run) {
    if (c.op !== op) continue;
    if (c.refused) {
      it(`refuses ${c.name}`, async () => {
        for (const device of [double, wasm, gpu]) {
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

      it('in WebAssembly', async () => {
        const { data, weights, result } = await reference(c);
        const wanted = c.gradients === false ? undefined : weights;
        const [first, second] = await runForm(c, wasm, data, wanted, 'leaf', 'program');
        compare(c, first, result);
        expect(second).toEqual(first);
      });

      it.each(formsOf(c))('as a %s, recorded and replayed', async (form) => {
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
      });

      it.runIf(hasGradients(c) && canShare(c))('with one tensor for all inputs of a size', async () => {
        const { data, weights } = await reference(c);
        let wanted: Result;
        try {
          [wanted] = await runForm(c, double, data, weights, 'shared', 'eager');
        } catch (error) {
          const { message } = error as Error;
          expect(message).toMatch(/the same tensor/);
          await expect(runForm(c, gpu, data, weights, 'shared', 'program')).rejects.toThrow(message);
          return gpu.check();
        }
        const [eager, replayed] = await runForm(c, gpu, data, weights, 'shared', 'program');
        compare(c, eager, wanted, 'shared');
        expect(replayed).toEqual(eager);
      });

      it.each(wantedChoices(c))('$kernel by $file', async ({ kernel, file }) => {
        const { data, weights, result } = await reference(c);
        gpu.gpu?.variants.forced.set(kernel, file);
        try {
          compare(c, await runCase(c, gpu, data, weights), result);
        } catch (error) {
          if (!/no variant runs/.test(String(error))) throw error;
        } finally {
          gpu.gpu?.variants.forced.clear();
        }
      });
    });
  }
});
