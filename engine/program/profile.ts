/** GPU time of the dispatches of a recorded program, by timestamps around each of them. */
import type { GPUBindGroup, GPUComputePipeline } from '../webgpu/gpu-types.ts';
import type { Params } from '../kernel.ts';
import type { WebGpu } from '../webgpu/webgpu.ts';

export interface KernelTime {
  /** The variant's file. */
  label: string;
  calls: number;
  ms: number;
  /** Bytes of the storage bindings: what a kernel that touches each of them once moves. */
  bytes: number;
  /** By the caller's count; 0 without one. */
  flop: number;
}

export interface ProfileOptions {
  /** Runs to average over; 1 by default. */
  runs?: number;
  /** What a dispatch computes, from the kernel's name and its parameters. */
  flopOf?(kernel: string, params: Params): number;
}

/** A recorded dispatch. */
export interface Step {
  label: string;
  kernel: string;
  params: Params;
  /** Of its storage bindings. */
  bytes: number;
  pipeline: GPUComputePipeline;
  group: GPUBindGroup;
  grid: readonly [number, number, number];
}

/** Time by kernel, longest first. */
export async function profile(
  gpu: WebGpu,
  steps: readonly Step[],
  { runs = 1, flopOf }: ProfileOptions,
): Promise<KernelTime[]> {
  const totals = new Map<string, KernelTime>();
  for (let run = 0; run < runs; run++) {
    const times = await timeSteps(gpu, steps);
    steps.forEach(({ label, kernel, params, bytes }, i) => {
      const total = totals.get(label) ?? { label, calls: 0, ms: 0, bytes: 0, flop: 0 };
      totals.set(label, total);
      total.ms += times[i] / runs;
      if (run > 0) return;
      total.calls++;
      total.bytes += bytes;
      total.flop += flopOf?.(kernel, params) ?? 0;
    });
  }
  return [...totals.values()].sort((a, b) => b.ms - a.ms);
}

/** Queries of one query set. */
const CHUNK = 1024;

/** Runs the steps and gives each one's GPU time, in milliseconds. */
async function timeSteps(gpu: WebGpu, steps: readonly Step[]): Promise<number[]> {
  const device = gpu.gpu;
  const milliseconds: number[] = [];
  gpu.flush();
  for (let from = 0; from < steps.length; from += CHUNK) {
    const chunk = steps.slice(from, from + CHUNK);
    const size = chunk.length * 16;
    const querySet = device.createQuerySet({ type: 'timestamp', count: chunk.length * 2 });
    const resolve = device.createBuffer({ size, usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC });
    const read = device.createBuffer({ size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
    const encoder = device.createCommandEncoder();
    chunk.forEach((step, i) => {
      const pass = encoder.beginComputePass({
        timestampWrites: { querySet, beginningOfPassWriteIndex: 2 * i, endOfPassWriteIndex: 2 * i + 1 },
      });
      pass.setPipeline(step.pipeline);
      pass.setBindGroup(0, step.group);
      pass.dispatchWorkgroups(step.grid[0], step.grid[1], step.grid[2]);
      pass.end();
    });
    encoder.resolveQuerySet(querySet, 0, chunk.length * 2, resolve, 0);
    encoder.copyBufferToBuffer(resolve, 0, read, 0, size);
    gpu.submit(encoder.finish());
    await read.mapAsync(GPUMapMode.READ);
    const times = new BigUint64Array(read.getMappedRange().slice(0));
    for (let i = 0; i < chunk.length; i++) milliseconds.push(Number(times[2 * i + 1] - times[2 * i]) / 1e6);
    for (const object of [querySet, resolve, read]) object.destroy();
  }
  return milliseconds;
}
