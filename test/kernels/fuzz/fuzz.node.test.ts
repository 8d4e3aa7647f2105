/**
 * The differential fuzzer: random graphs over all ops, in every form of their inputs, on WebGPU and in WebAssembly (recorded
 * and replayed, in poisoned memory) against the references in double precision, and those against central differences. Some hundred
 * graphs in `npm test`, some thousand in `npm run test:full`; `npm run fuzz -- --runs N --seed S` for as long as one likes.
 */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Device, type NumericArray } from '../../../engine/index.ts';
import { FULL } from '../../full.ts';
import { FACTOR, FORMS, type Form, runForm } from '../forms.ts';
import { Graph } from './graph.ts';
import { OPS } from './ops.ts';
import { type Case, firstMismatch, makeInputs, makeWeights } from '../harness.ts';
import { type Expected, gradientError, runCase } from '../run-case.ts';
import { openDevice } from '../../device.ts';

const RUNS = Number(process.env.ATTUNE_FUZZ_RUNS ?? (FULL ? 3000 : 200));
const SEED = Number(process.env.ATTUNE_FUZZ_SEED ?? 20);

const double = await openDevice({ backend: 'cpu', precision: 'f64', poison: true });
const wasm = await openDevice({ backend: 'wasm', poison: true });
let gpu = await openDevice({ backend: 'webgpu', poison: true });

/** Room for rounding through up to ten ops, in units of the largest element. */
function close(what: string, actual: NumericArray, wanted: NumericArray): void {
  let largest = 1;
  for (const x of wanted) largest = Math.max(largest, Math.abs(x));
  expect(firstMismatch(what, actual, wanted, { abs: 1e-4 * largest, rel: 1e-3 })).toBeNull();
}

async function check(c: Case, form: Form): Promise<void> {
  const data = makeInputs(c);
  const { outputs } = await runCase({ ...c, gradients: false }, double, data);
  const weights = makeWeights(c, outputs);
  const expected = await runCase(c, double, data, weights);
  const { error, where } = await gradientError(c, double, data, weights, expected.grads, 3);
  expect(error, where).toBeLessThan(1e-5);
  for (const device of [wasm, gpu]) await compareOn(device, c, form, { data, weights, result: expected });
}

async function compareOn(device: Device, c: Case, form: Form, { data, weights, result: expected }: Expected) {
  const [eager, replayed] = await runForm(c, device, data, weights, form, 'program');
  expect(replayed.outputs).toEqual(eager.outputs);
  expect(replayed.grads).toEqual(eager.grads);
  const { times, plus } = FACTOR[form];
  for (const [i, output] of eager.outputs.entries())
    close(`output ${i}`, output, expected.outputs[i % expected.outputs.length]);
  for (const [name, grad] of Object.entries(eager.grads)) {
    const uses = c.leaves?.includes(name) ? 0 : plus;
    close(
      `d${name}`,
      grad,
      Float64Array.from(expected.grads[name], (g) => times * g + uses),
    );
  }
  if (eager.optimizer) expect(eager.optimizer.status).toBe(0);
}

it(`${RUNS} random graphs of seed ${SEED} agree on every device and in every form`, { timeout: 0 }, async () => {
  const seen = new Set<string>();
  const graphs = fc.record({
    numbers: fc.array(fc.nat(10_000), { minLength: 40, maxLength: 120, size: 'max' }),
    ops: fc.integer({ min: 1, max: 9 }),
    form: fc.constantFrom(...FORMS),
  });
  await fc.assert(
    fc.asyncProperty(graphs, async ({ numbers, ops, form }) => {
      const graph = new Graph(numbers, ops, OPS);
      for (const line of graph.lines) seen.add(line.split(' ')[0]);
      try {
        await check(graph.toCase(`${numbers.slice(0, 8)}`), form);
      } catch (error) {
        if (gpu.gpu?.failure) gpu = await Device.open({ backend: 'webgpu', poison: true });
        throw new Error(`as a ${form}: ${graph.lines.join('; ')}\n${(error as Error).message}`, { cause: error });
      }
    }),
    { numRuns: RUNS, seed: SEED },
  );
  if (RUNS >= 200) expect(Object.keys(OPS).filter((op) => !seen.has(op))).toEqual([]);
});
