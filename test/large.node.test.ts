/** What is long: memory grows with the tokens, not with their square. A million items: bench/large.ts. */
import { describe, expect, it } from 'vitest';
import { attention, Device } from '../engine/index.ts';
import { FULL } from './full.ts';
import { type Case, firstMismatch, makeInputs, makeWeights } from './kernels/harness.ts';
import { runCase } from './kernels/run-case.ts';

/** The reference takes a time that grows with its square. */
const T = FULL ? 8192 : 4096;

describe(`attention over ${T} tokens`, () => {
  it('agrees with the reference, forward and backward, where a binding holds 1 MiB', async () => {
    const width = 8;
    const long: Case = {
      op: 'attention',
      name: `T ${T}`,
      inputs: {
        qkv: { shape: [T, 3 * width] },
        start: { shape: [T], dtype: 'u32', value: () => 0 },
        end: { shape: [T], dtype: 'u32', value: () => T },
      },
      run: ({ qkv, start, end }) => attention(qkv, { start, end }, { heads: 1, causal: true }),
    };
    const cpu = await Device.open({ backend: 'cpu' });
    const gpu = await Device.open({ backend: 'webgpu', maxBindingBytes: 2 ** 20 });
    const data = makeInputs(long);
    const weights = makeWeights(long, [new Float32Array(T * width)]);
    const expected = await runCase(long, cpu, data, weights);
    const actual = await runCase(long, gpu, data, weights);
    const near = { abs: 2e-4, rel: 2e-4 };
    expect(firstMismatch('output', actual.outputs[0], expected.outputs[0], near)).toBeNull();
    expect(firstMismatch('dqkv', actual.grads.qkv, expected.grads.qkv, near)).toBeNull();
    // The weights alone would take 4 T² bytes, 256 MiB for 8,192 tokens.
    expect(gpu.stats().peakBytes).toBeLessThan(1024 * T);
    gpu.close();
  });
});
