/**
 * What `npm run test:wgpu` runs in Deno: naga compiles every kernel file that asks for no more than the adapter has, and
 * wgpu runs the case table by the portable variants, held to the references in double precision.
 */
import { Device, kernelText } from '../../engine/index.ts';
import { sources } from '../../kernels/index.ts';
import { FULL } from '../full.ts';
import { cases } from '../kernels/cases/index.ts';
import { mismatch, runForm } from '../kernels/forms.ts';
import { suite, wantedChoices } from '../kernels/harness.ts';
import { expectedOf, runCase } from '../kernels/run-case.ts';

const FEATURES: [extension: string, feature: string][] = [
  ['subgroups', 'subgroups'],
  ['f16', 'shader-f16'],
  ['chromium_experimental_subgroup_matrix', 'chromium-experimental-subgroup-matrix'],
];

const failures: string[] = [];
const failed = (what: string, why: string): void => {
  failures.push(what);
  console.log(`FAIL ${what}: ${why}`);
};

const double = await Device.open({ backend: 'cpu', precision: 'f64' });
let gpu = await Device.open({ backend: 'webgpu', poison: true });
console.log(`wgpu on ${gpu.name}: ${JSON.stringify(gpu.caps)}`);

/** What keeps the adapter from a kernel, or undefined. */
function lacks(code: string, features: GPUSupportedFeatures): string | undefined {
  return FEATURES.find(([extension, feature]) => code.includes(`enable ${extension};`) && !features.has(feature))?.[1];
}

let compiled = 0;
const left = new Map<string, number>();
for (const file of Object.keys(sources)) {
  const { gpu: device } = gpu.gpu as NonNullable<Device['gpu']>;
  const { code } = kernelText(file);
  const without = lacks(code, device.features);
  if (without) {
    left.set(without, (left.get(without) ?? 0) + 1);
    continue;
  }
  device.pushErrorScope('validation');
  const module = device.createShaderModule({ code, label: file });
  device.createComputePipeline({ layout: 'auto', compute: { module, entryPoint: 'main' } });
  const error = await device.popErrorScope();
  if (error) failed(`compiles ${file}`, error.message);
  else compiled++;
}
const missing = [...left].map(([feature, count]) => `, ${count} need ${feature}`).join('');
console.log(`naga compiled ${compiled} kernels${missing}`);

const chosen = new Set(suite(cases));
let ran = 0;
let op = '';
for (const [i, c] of cases.entries()) {
  if (c.refused || !chosen.has(c)) continue;
  // One case of an op in three; wgpu keeps no compiled shaders, so that all of them take long.
  if (!FULL && i % 3 !== 0 && c.op === op) continue;
  if (c.op !== op) console.log(`${i + 1} of ${cases.length}: ${c.op}`);
  op = c.op;
  const { data, weights, result } = await expectedOf(c, double);
  const run = async (what: string, actual: () => Promise<Parameters<typeof mismatch>[1]>): Promise<void> => {
    try {
      const wrong = mismatch(c, await actual(), result);
      ran++;
      if (wrong) failed(what, wrong);
    } catch (error) {
      if (/no variant runs/.test(String(error))) return;
      failed(what, (error as Error).message);
      if (gpu.gpu?.failure) gpu = await Device.open({ backend: 'webgpu', poison: true });
    }
  };
  await run(`${c.op} ${c.name}`, async () => {
    const [eager, replayed] = await runForm(
      c,
      gpu,
      data,
      c.gradients === false ? undefined : weights,
      'leaf',
      'program',
    );
    const wrong = mismatch(c, replayed, result);
    if (wrong) throw new Error(`replayed: ${wrong}`);
    return eager;
  });
  for (const { kernel, file } of wantedChoices(c)) {
    await run(`${c.op} ${c.name}, ${kernel} by ${file}`, () => {
      gpu.gpu?.variants.forced.set(kernel, file);
      return runCase(c, gpu, data, weights).finally(() => gpu.gpu?.variants.forced.clear());
    });
  }
}
console.log(`${ran} runs of ${cases.length} cases, ${failures.length} failed`);
process.exit(failures.length > 0 ? 1 : 0);
