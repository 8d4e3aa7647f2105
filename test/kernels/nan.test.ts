/**
 * NaN in, NaN out: every case of the table with a NaN in one input at a time. Both devices must give NaN at the same
 * positions, forward and backward, and the same numbers elsewhere (nan-spread.test.ts has the kernels that spread it
 * further). WGSL promises nothing of exp and log of NaN: SwiftShader, Chromium's software adapter, gives numbers. `npm test`
 * forces each variant of a kernel once per op and runs a sample of the products of flags, in Chromium of all of this;
 * `npm run test:full` runs all.
 */
import { describe, expect, it } from 'vitest';
import type { NumericArray } from '../../engine/index.ts';
import { lanes4, lanes8 } from '../../engine/kernel.ts';
import { FULL } from '../full.ts';
import { cases } from './cases/index.ts';
import { double, gpu, wasm } from './devices.ts';
import {
  BROWSER,
  type Case,
  firstMismatch,
  makeInputs,
  makeWeights,
  type Result,
  suite,
  wantedChoices,
} from './harness.ts';
import { runCase } from './run-case.ts';

const DEFAULT = { abs: 1e-5, rel: 1e-5 };

/** Ops that rank (NaN is never taken, and a rank of 0 says so), overwrite, or do not read all of their inputs. */
const HIDES = new Set(
  'topk rank-tiles adamw fill sparse-scores sparse-matmul slice gather scatterAdd embedding where argmax argmin equal notEqual less lessEqual greater greaterEqual'.split(
    ' ',
  ),
);

/** Ops with a kernel that multiplies NaN by 0, so that it reaches its neighbors: attention_*_sg*.wgsl, ce_grad.wgsl. */
const spreads = (op: string): boolean =>
  op === 'cross-entropy' ||
  (/^(cross-)?attention$/.test(op) && gpu.caps !== null && (lanes8(gpu.caps) || lanes4(gpu.caps)));

const hasNaN = (arrays: readonly NumericArray[]): boolean => arrays.some((a) => a.some(Number.isNaN));

/** NaN becomes a number that nothing else gives, so that positions are compared, too. */
const marked = (a: NumericArray): NumericArray =>
  a instanceof Uint32Array ? a : Float64Array.from(a, (x) => (Number.isNaN(x) ? 1e30 : x));

function compare(what: string, c: Case, actual: Result, expected: Result): void {
  const tolerance = c.tolerance ?? DEFAULT;
  const check = (name: string, a: NumericArray, b: NumericArray): void => {
    const spread = spreads(c.op);
    const seen = spread ? a.map((x, i) => (Number.isNaN(x) && !Number.isNaN(b[i]) ? b[i] : x)) : a;
    expect(firstMismatch(`${what}: ${name}`, marked(seen), marked(b), tolerance)).toBeNull();
  };
  expected.outputs.forEach((o, i) => check(`output ${i}`, actual.outputs[i], o));
  for (const [name, g] of Object.entries(expected.grads)) check(`d${name}`, actual.grads[name], g);
}

interface Probe {
  what: string;
  data: Record<string, NumericArray>;
  expected: Result;
}

/** A NaN in each input of numbers: in its middle, or at an end where the middle is not used (padding). */
async function probesOf(c: Case): Promise<{ probes: Probe[]; weights: NumericArray[]; visible: boolean }> {
  const clean = makeInputs(c);
  const { outputs } = await runCase(c, double, clean);
  const weights = makeWeights(c, outputs);
  const probes: Probe[] = [];
  for (const [name, { dtype }] of Object.entries(c.inputs)) {
    const { length } = clean[name];
    if (dtype === 'u32' || length === 0) continue;
    let probe: Probe | null = null;
    for (const at of [Math.floor(length / 2), 0, length - 1]) {
      if (probe && hasNaN(probe.expected.outputs)) break;
      const data = { ...clean, [name]: Float32Array.from(clean[name], (x, i) => (i === at ? Number.NaN : x)) };
      probe = { what: `NaN in ${name}[${at}]`, data, expected: await runCase(c, double, data, weights) };
    }
    if (probe) probes.push(probe);
  }
  // Where everything is switched off or unused, so is a NaN in it.
  const unused = outputs.every((o) => o.every((x) => x === 0));
  const visible = unused || probes.some(({ expected }) => hasNaN(expected.outputs));
  return { probes, weights, visible };
}

let last: { c: Case; found: ReturnType<typeof probesOf> } | null = null;
/** Kept for the tests of one case. */
function probes(c: Case): ReturnType<typeof probesOf> {
  if (last?.c !== c) last = { c, found: probesOf(c) };
  return last.found;
}

/** Products add and multiply, which keeps NaN on any adapter, and compile longest: in Chromium for `test:full` alone. */
const left = (c: Case): boolean => BROWSER && !FULL && c.op === 'matmul';
const probed = suite(cases.filter((c) => c.precision === undefined && c.refused === undefined && !left(c)));

describe.each([...new Set(probed.map((c) => c.op))])('%s', (op) => {
  for (const c of probed) {
    if (c.op !== op) continue;
    describe(c.name, () => {
      const choices = wantedChoices(c).map((choice) => ({ what: `${choice.kernel} by ${choice.file}`, choice }));
      it('in WebAssembly', async () => {
        const found = await probes(c);
        for (const { what, data, expected } of found.probes)
          compare(what, c, await runCase(c, wasm, data, found.weights), expected);
      });

      it.for([{ what: 'by the chosen variants', choice: null }, ...choices])('$what', async ({ choice }) => {
        const found = await probes(c);
        if (found.probes.length > 0 && !HIDES.has(op)) expect(found.visible, 'a NaN came out').toBe(true);
        if (choice) gpu.gpu?.variants.forced.set(choice.kernel, choice.file);
        try {
          for (const { what, data, expected } of found.probes)
            compare(what, c, await runCase(c, gpu, data, found.weights), expected);
        } catch (error) {
          if (!/no variant runs/.test(String(error))) throw error;
        } finally {
          gpu.gpu?.variants.forced.clear();
        }
      });
    });
  }
});
