/** Kernels that are compiled before a program runs: what that changes, and what it must not. */
import { expect, it } from 'vitest';
import { type Device, gelu, matmul, softmax, type Tensor } from '../../engine/index.ts';
import { kernel } from '../../engine/kernel.ts';
import { sources } from '../../kernels/index.ts';
import { openDevice } from '../device.ts';

/** A device of its own, whose pipelines are not made yet, and a step with a backward pass. */
async function open(): Promise<{ device: Device; step: () => { y: Tensor } }> {
  const device = await openDevice({ backend: 'webgpu' });
  const values = Float32Array.from({ length: 48 * 64 }, (_, i) => Math.sin(i));
  const x = device.tensor(values, [48, 64]).keep();
  const w = device.tensor(values.subarray(0, 64 * 40), [64, 40], { requiresGrad: true }).keep();
  const step = () => {
    const y = softmax(gelu(matmul(x, w)));
    device.tape.backwardFrom(y, () => device.full(y.shape, 1));
    return { y };
  };
  await device.settle();
  return { device, step };
}

it('compiles all that a run takes, runs nothing, and gives the same bits', async () => {
  const results = [];
  for (const beforehand of [true, false]) {
    const { device, step } = await open();
    const program = device.program('step', step);
    const before = device.stats();
    const progress: [done: number, total: number][] = [];
    if (beforehand) await program.compile((done, total) => progress.push([done, total]));
    const { pipelines, dispatches } = device.stats();
    const made = pipelines - before.pipelines;
    expect(made > 2).toBe(beforehand);
    expect(dispatches).toBe(before.dispatches);
    expect(progress).toEqual(Array.from({ length: made }, (_, i) => [i + 1, made]));
    results.push(await program.values());
    if (beforehand) expect(device.stats().pipelines).toBe(pipelines);
    await program.compile(() => expect.unreachable('there is nothing left to compile'));
    device.close();
  }
  expect(results[0]).toEqual(results[1]);
});

it('fails as the device does where a kernel does not compile', async () => {
  const { device, step } = await open();
  const out = device.zeros([4]).keep();
  sources.broken = '@group(0) @binding(0) var<storage, read_write> out: array<f32>;\nfn main( {';
  const broken = kernel('broken', () => 1);
  try {
    const program = device.program('failing step', () => {
      device.run(broken, () => {}, { out }, {});
      return step();
    });
    await expect(program.compile()).rejects.toThrow(/^device: .*broken/s);
    expect(() => program.run()).toThrow(/^device: .*broken/s);
  } finally {
    delete sources.broken;
    device.close();
  }
});
