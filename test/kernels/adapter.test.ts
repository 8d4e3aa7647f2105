import { afterAll, expect, test } from 'vitest';

// Dawn's instance must stay reachable as long as the process lives (see the engine's device).
const shared = globalThis as { smokeTestGpu?: GPU };
let device: GPUDevice | undefined;
afterAll(() => device?.destroy());

async function gpu(): Promise<GPU> {
  if (typeof navigator !== 'undefined' && navigator.gpu) return navigator.gpu;
  const { create, globals } = await import('webgpu');
  Object.assign(globalThis, globals);
  shared.smokeTestGpu ??= create([]);
  return shared.smokeTestGpu;
}

test('a WebGPU adapter runs a compute shader', async () => {
  const adapter = await (await gpu()).requestAdapter();
  expect(adapter, 'no WebGPU adapter: run npm test, which looks for a driver').not.toBeNull();
  device = await adapter!.requestDevice({ label: 'smoke test' });
  const output = device.createBuffer({ size: 256, usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC });
  const read = device.createBuffer({ size: 256, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
  const code = `@group(0) @binding(0) var<storage, read_write> y: array<u32>;
    @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) { y[id.x] = id.x * id.x + 1u; }`;
  const pipeline = device.createComputePipeline({
    layout: 'auto',
    compute: { module: device.createShaderModule({ code }) },
  });
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(
    0,
    device.createBindGroup({
      layout: pipeline.getBindGroupLayout(0),
      entries: [{ binding: 0, resource: { buffer: output } }],
    }),
  );
  pass.dispatchWorkgroups(1);
  pass.end();
  encoder.copyBufferToBuffer(output, 0, read, 0, 256);
  device.queue.submit([encoder.finish()]);
  await read.mapAsync(GPUMapMode.READ);
  const values = Array.from(new Uint32Array(read.getMappedRange()));
  expect(values).toEqual(Array.from({ length: 64 }, (_, i) => i * i + 1));
});
