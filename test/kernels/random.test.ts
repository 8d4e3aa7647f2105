import { describe, expect, it } from 'vitest';
import {
  type Device,
  dropout,
  normal,
  permutation,
  type Tensor,
  threefry2x32,
  toUniform,
  uniform,
} from '../../engine/index.ts';
import { lib } from '../../kernels/index.ts';
import { cpu, gpu } from './devices.ts';

// Random123 1.14, tests/kat_vectors, lines "threefry2x32 20": counter, key, result.
const KNOWN = [
  { ctr: [0, 0], key: [0, 0], out: [0x6b200159, 0x99ba4efe] },
  { ctr: [0xffffffff, 0xffffffff], key: [0xffffffff, 0xffffffff], out: [0x1cb996fc, 0xbb002be7] },
  { ctr: [0x243f6a88, 0x85a308d3], key: [0x13198a2e, 0x03707344], out: [0xc4923a9c, 0x483df7a0] },
];

const state = (seed: number, step: number, on = 1): Uint32Array =>
  Uint32Array.from([seed, step, 0, 0, 0, on, ...Array(10).fill(0)]);

describe('threefry2x32', () => {
  it("gives Random123's published vectors", () => {
    for (const { ctr, key, out } of KNOWN) expect(threefry2x32(key[0], key[1], ctr[0], ctr[1])).toEqual(out);
  });

  it('is the same on the device, bit for bit', async () => {
    const words: number[] = KNOWN.flatMap(({ ctr, key }) => [...key, ...ctr]);
    for (let i = 0; i < 61; i++) words.push(i, i * 7, (i ** 5) >>> 0, 0xffffffff - i);
    const n = words.length / 4;
    const out = await runThreefry(Uint32Array.from(words), n);
    for (let i = 0; i < n; i++) {
      const [k0, k1, c0, c1] = words.slice(4 * i, 4 * i + 4);
      expect([out[2 * i], out[2 * i + 1]]).toEqual(threefry2x32(k0, k1, c0, c1));
    }
  });
});

/** Runs the shader helper alone over [n, 4] words (key, counter); gives [n, 2] words. */
async function runThreefry(words: Uint32Array<ArrayBuffer>, n: number): Promise<Uint32Array> {
  const device = (gpu.gpu as NonNullable<typeof gpu.gpu>).gpu;
  const code = `@group(0) @binding(0) var<storage, read> x: array<vec4u>;
    @group(0) @binding(1) var<storage, read_write> y: array<vec2u>;
    @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
      if (id.x < ${n}u) { y[id.x] = threefry2x32(x[id.x].xy, x[id.x].zw); }
    }\n${lib.threefry}`;
  const x = device.createBuffer({ size: words.byteLength, usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST });
  const y = device.createBuffer({ size: n * 8, usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC });
  const read = device.createBuffer({ size: n * 8, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
  device.queue.writeBuffer(x, 0, words);
  const pipeline = device.createComputePipeline({
    layout: 'auto',
    compute: { module: device.createShaderModule({ code }) },
  });
  const entries = [x, y].map((buffer, binding) => ({ binding, resource: { buffer } }));
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }));
  pass.dispatchWorkgroups(Math.ceil(n / 64));
  pass.end();
  encoder.copyBufferToBuffer(y, 0, read, 0, n * 8);
  device.queue.submit([encoder.finish()]);
  await read.mapAsync(GPUMapMode.READ);
  const out = new Uint32Array(read.getMappedRange().slice(0));
  for (const b of [x, y, read]) b.destroy();
  return out;
}

describe('initializers', () => {
  it('normal and uniform have their moments, and streams differ', () => {
    const n = 20001;
    const z = normal(n, 5, 1, 2, 3);
    const mean = z.reduce((s, v) => s + v, 0) / n;
    const variance = z.reduce((s, v) => s + (v - mean) ** 2, 0) / n;
    expect(Math.abs(mean - 3)).toBeLessThan(0.05);
    expect(Math.abs(variance - 4)).toBeLessThan(0.15);
    const u = uniform(n, 5, 1, -1, 1);
    expect(Math.abs(u.reduce((s, v) => s + v, 0) / n)).toBeLessThan(0.02);
    expect(u.every((v) => v >= -1 && v < 1)).toBe(true);
    expect(normal(8, 5, 1)).toEqual(normal(8, 5, 1));
    expect(normal(8, 5, 1)).not.toEqual(normal(8, 5, 2));
    expect(normal(8, 6, 1)).not.toEqual(normal(8, 5, 1));
    expect(toUniform(0xffffffff)).toBeLessThan(1);
  });

  it('permutation holds each number once', () => {
    const p = permutation(1000, 3, 4);
    expect([...p].sort((a, b) => a - b)).toEqual(Array.from({ length: 1000 }, (_, i) => i));
    expect(p).not.toEqual(permutation(1000, 3, 5));
  });
});

describe('dropout', () => {
  const mask = async (device: Device, words: Uint32Array, op = 0, rate = 0.3, n = 4099): Promise<Float32Array> => {
    device.setState(words);
    device.opCounter = op;
    const y = dropout(device.tensor(new Float32Array(n).fill(1)), rate);
    return (await y.data()) as Float32Array;
  };

  it('keeps the same elements on the GPU and on the CPU, about 1 − rate of them', async () => {
    const y = await mask(gpu, state(7, 3));
    const z = await mask(cpu, state(7, 3));
    expect(Array.from(y, (v) => v !== 0)).toEqual(Array.from(z, (v) => v !== 0));
    const kept = y.filter((v) => v !== 0);
    expect(Math.abs(kept.length / y.length - 0.7)).toBeLessThan(0.03);
    expect(Math.abs(kept[0] - 1 / 0.7)).toBeLessThan(1e-6);
  });

  it('depends on seed, step and op, and on nothing else', async () => {
    const y = await mask(gpu, state(7, 3));
    expect(await mask(gpu, state(7, 3))).toEqual(y);
    for (const other of [await mask(gpu, state(8, 3)), await mask(gpu, state(7, 4)), await mask(gpu, state(7, 3), 1)]) {
      expect(other).not.toEqual(y);
    }
  });

  it('is the identity where the state says so, and at rate 0', async () => {
    expect(await mask(gpu, state(7, 3, 0))).toEqual(new Float32Array(4099).fill(1));
    expect(await mask(cpu, state(7, 3, 0))).toEqual(new Float32Array(4099).fill(1));
    const x: Tensor = gpu.tensor([1, 2]);
    expect(dropout(x, 0)).toBe(x);
  });

  it('refuses a rate outside of [0, 1)', () => {
    const x = gpu.tensor([1, 2]);
    expect(() => dropout(x, 1)).toThrow('dropout: expected a rate in [0, 1), got 1');
    expect(() => dropout(x, -0.1)).toThrow('got -0.1');
  });
});
