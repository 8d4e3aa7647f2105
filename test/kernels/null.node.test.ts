/** A lint with no driver: every kernel file, and every pipeline that the cases make in any variant, on Dawn's null backend. */
import { describe, expect, it } from 'vitest';
import { type Device, kernelText } from '../../engine/index.ts';
import { SUBGROUP_MATRIX } from '../../engine/webgpu/adapter.ts';
import { texts } from '../../kernels/bench/texts.ts';
import { sources } from '../../kernels/index.ts';
import { cases } from './cases/index.ts';
import { choices, makeInputs, makeWeights, suite } from './harness.ts';
import { runCase } from './run-case.ts';
import { openDevice } from '../device.ts';

/** What a kernel enables, and the device's feature for it. */
const FEATURES = [
  ['subgroups', 'subgroups'],
  ['f16', 'shader-f16'],
  ['chromium_experimental_subgroup_matrix', 'chromium-experimental-subgroup-matrix'],
];
const MATRICES = [
  { m: 16, n: 16, k: 16 },
  { m: 16, n: 8, k: 16 },
  { m: 8, n: 16, k: 16 },
];

// The engine's ops have added theirs.
Object.assign(sources, texts);

describe('the null backend of Dawn', async () => {
  const device = await openDevice({
    backend: 'webgpu',
    dawn: ['backend=null', 'enable-dawn-features=allow_unsafe_apis'],
  });

  for (const file of Object.keys(sources)) {
    const folded = /^const FOLDED/m.test(sources[file]);
    it.each(folded ? [false, true] : [false])(`compiles ${file}, folded: %s`, async (fold) => {
      const { code, bindings, params } = kernelText(file, fold ? { FOLDED: true } : {});
      const { gpu } = device.gpu as NonNullable<Device['gpu']>;
      for (const [extension, feature] of FEATURES) {
        if (code.includes(`enable ${extension};`) && !gpu.features.has(feature as GPUFeatureName)) return;
      }
      gpu.pushErrorScope('validation');
      const module = gpu.createShaderModule({ code, label: file });
      const info = await module.getCompilationInfo();
      expect(info.messages.filter((m) => m.type === 'error').map((m) => `${m.lineNum}: ${m.message}`)).toEqual([]);
      gpu.createComputePipeline({ layout: 'auto', compute: { module, entryPoint: 'main' } });
      expect((await gpu.popErrorScope())?.message).toBeUndefined();
      // The parser sees what the file binds.
      expect(bindings.length).toBe((code.match(/@binding\(/g) ?? []).length);
      if (/struct Params/.test(code)) expect(params.length).toBeGreaterThan(0);
    });
  }

  it('every variant and tuning that the cases ask for', async () => {
    const gpu = device.gpu as NonNullable<Device['gpu']>;
    // Pretend to be the adapter that each variant wants; nothing runs here.
    const can = gpu.gpu.features.has('subgroups' as GPUFeatureName);
    for (const [low, high] of can
      ? [
          [8, 8],
          [4, 4],
          [32, 32],
        ]
      : [[0, 0]]) {
      const matrices = gpu.gpu.features.has(SUBGROUP_MATRIX) ? MATRICES : [];
      Object.assign(gpu.caps, { subgroups: can, subgroupMin: low, subgroupMax: high, matrices });
      for (const c of suite(cases)) {
        if (c.refused) continue;
        const data = makeInputs(c);
        const outputs = (await runCase({ ...c, gradients: false }, device, data)).outputs;
        // Variants for 8 lanes are forced with 8 lanes, the others where a GPU has 32.
        for (const choice of low === 4 ? [{}] : choices(c)) {
          gpu.variants.forced.clear();
          for (const [kernel, name] of Object.entries(choice)) gpu.variants.forced.set(kernel, name);
          try {
            await runCase(c, device, data, makeWeights(c, outputs));
          } catch (error) {
            if (!/no variant runs/.test(String(error))) throw error;
          } finally {
            gpu.variants.forced.clear();
          }
        }
      }
    }
    device.check();
  });
});
