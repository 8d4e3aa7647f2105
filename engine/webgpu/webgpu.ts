/** The WebGPU side of a device: buffers, pipelines, dispatches, submits, reads, and its one sticky failure. */
import type { GPUAdapterInfo, GPUBindGroup, GPUBuffer, GPUCommandBuffer, GPUDevice } from './gpu-types.ts';
import {
  type Capabilities,
  choiceOf,
  encodeParams,
  foldGrid,
  type Grid,
  type Kernel,
  kernelText,
  MAX_GRID,
  type Params,
  software,
} from '../kernel.ts';
import { alignUp, type NumericArray, type Storage, type Tensor } from '../tensor.ts';
import { capabilitiesOf, isNode } from './adapter.ts';
import { BufferPool, mib, storageUsage } from './buffer-pool.ts';
import { type Pipeline, Pipelines } from './pipelines.ts';
import { VariantChoice } from './variant-choice.ts';

/** The sticky failure of a device: lost, out of memory, or a validation error. */
export class DeviceError extends Error {
  override name = 'DeviceError';
}

export interface Binding {
  index: number;
  name: string;
  /** Null for the uniform and for placeholders. */
  storage: Storage | null;
  buffer: GPUBuffer | null;
  offset: number;
  size: number;
}

/** A dispatch, ready to be encoded: everything but the bind group, which needs the buffers' slots. */
export interface Call {
  label: string;
  kernel: string;
  params: Params;
  pipeline: Pipeline;
  bindings: Binding[];
  grid: Grid;
}

export interface GpuStats {
  buffers: number;
  bytes: number;
  /** The most that `bytes` has been. */
  peakBytes: number;
  pipelines: number;
  bindGroups: number;
  dispatches: number;
  submits: number;
  /** How often the host waited for the device: reads, and `settle`. */
  waits: number;
}

const FLUSH_AFTER = 48; // eager dispatches in one submit
/** Bytes of a buffer that is kept for further reads, and how many sizes are kept. */
const LARGEST_STAGING = 2 ** 18;
const STAGING_SIZES = 64;
/** Milliseconds of work for which a wait does not sleep: timers are too coarse. */
const SHORTEST_REST = 2;
/** Turns of the event loop in which Dawn says that work is done which was done before. */
const DONE_AT_ONCE = 2;

export class WebGpu {
  readonly gpu: GPUDevice;
  readonly info: GPUAdapterInfo;
  readonly caps: Capabilities;
  readonly buffers: BufferPool = new BufferPool(this);
  readonly variants: VariantChoice;
  readonly counts: GpuStats = {
    buffers: 0,
    bytes: 0,
    peakBytes: 0,
    pipelines: 0,
    bindGroups: 0,
    dispatches: 0,
    submits: 0,
    waits: 0,
  };
  failure: Error | null = null;
  /** Hears of every dispatch that is prepared (the tuner collects shapes). */
  watch: ((kernel: Kernel, tensors: Record<string, Tensor | null>, params: Params) => void) | null = null;
  readonly pipelines: Pipelines;
  private readonly uniforms = new Map<string, GPUBuffer>();
  /** By size: buffers that reads are done with. */
  private readonly staging = new Map<number, GPUBuffer[]>();
  private readonly placeholders = new Map<string, GPUBuffer>();
  private encoder: GPUCommandEncoder | null = null;
  private pass: GPUComputePassEncoder | null = null;
  private pending = 0;
  private lastLabel = '';
  private closed = false;

  /** @param another opens one more device of the same adapter */
  constructor(gpu: GPUDevice, info: GPUAdapterInfo, another: () => Promise<GPUDevice | null>) {
    this.gpu = gpu;
    this.info = info;
    this.caps = capabilitiesOf(gpu, info);
    this.pipelines = new Pipelines(gpu, this.caps, another, this.counts);
    this.variants = new VariantChoice(this.caps, info.description || info.vendor);
    gpu.lost.then((e) => {
      if (!this.closed) this.fail(`the GPU device was lost (${e.reason}): ${e.message || 'no reason given'}`);
    });
    gpu.addEventListener('uncapturederror', (e) => this.fail((e as GPUUncapturedErrorEvent).error.message));
  }

  fail(message: string): void {
    this.failure ??= new DeviceError(
      `device: ${message.trim()}${this.lastLabel ? ` · last dispatch: ${this.lastLabel}` : ''}`,
    );
  }

  check(): void {
    if (this.failure) throw this.failure;
  }

  /** Whether the adapter computes on the CPU. */
  get software(): boolean {
    return software(this.caps) || this.info.isFallbackAdapter === true;
  }

  // ---- memory ----

  /** Sets a storage to zeros, before whatever is dispatched next. */
  clear(storage: Storage): void {
    const buffer = this.buffers.of(storage);
    this.takeEncoder().clearBuffer(buffer);
  }

  write(tensor: Tensor, data: NumericArray): void {
    this.check();
    if (data.length === 0) return; // wgpu panics on writes of nothing
    this.flush(); // a write lands between submits
    const bytes = data as Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>;
    this.gpu.queue.writeBuffer(
      this.buffers.of(tensor.storage),
      tensor.offset * 4,
      bytes.buffer,
      bytes.byteOffset,
      bytes.byteLength,
    );
  }

  /** The values of tensors, read back with one submit and one wait; `expectedMs` and `overslept` as `settle` has them. */
  async read(tensors: readonly Tensor[], expectedMs = 0): Promise<{ values: ArrayBuffer[]; overslept: boolean }> {
    this.check();
    if (tensors.every(({ size }) => size === 0))
      return { values: tensors.map(() => new ArrayBuffer(0)), overslept: false };
    // Throws where a tensor is too large, before anything of its size is made.
    const sources = tensors.map(({ storage }) => this.buffers.of(storage));
    const offsets: number[] = [];
    const size = tensors.reduce((at, tensor) => {
      offsets.push(at);
      return at + tensor.size * 4;
    }, 0);
    const staging =
      this.staging.get(size)?.pop() ??
      this.gpu.createBuffer({
        size,
        usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
        label: `read of ${size} bytes`,
      });
    try {
      const encoder = this.takeEncoder();
      tensors.forEach(({ offset, size: n }, i) => {
        if (n > 0) encoder.copyBufferToBuffer(sources[i], offset * 4, staging, offsets[i], n * 4);
      });
      this.flush();
      const overslept = await this.wait(expectedMs, () => staging.mapAsync(GPUMapMode.READ));
      this.check();
      const all = staging.getMappedRange();
      const values = tensors.map((t, i) => all.slice(offsets[i], offsets[i] + t.size * 4));
      staging.unmap();
      this.keepStaging(staging);
      return { values, overslept };
    } catch (error) {
      staging.destroy();
      await Promise.resolve();
      this.check();
      throw error;
    }
  }

  /** Keeps a small buffer for the next read of its size. */
  private keepStaging(buffer: GPUBuffer): void {
    const { size } = buffer;
    const kept = this.staging.get(size);
    if (size > LARGEST_STAGING || (!kept && this.staging.size >= STAGING_SIZES)) buffer.destroy();
    else if (kept) kept.push(buffer);
    else this.staging.set(size, [buffer]);
  }

  // ---- kernels ----

  /** Resolves a dispatch: variant, pipeline, uniform, bindings. Throws where a binding cannot be had. */
  prepare(kernel: Kernel, tensors: Record<string, Tensor | null>, params: Params): Call {
    this.check();
    this.watch?.(kernel, tensors, params);
    const variant = this.variants.select(kernel, params);
    const choice = choiceOf(variant);
    this.variants.note(kernel, params, choice);
    const own = variant.constants?.(params);
    const constants = variant.tuning || own ? { ...own, ...variant.tuning } : undefined;
    const text = kernelText(variant.file, constants);
    const key = constants ? `${variant.file} ${JSON.stringify(constants)}` : variant.file;
    const pipeline = this.pipelines.named(key, variant.file, text);
    const bindings = text.bindings.map((b): Binding => {
      if (b.kind === 'uniform') {
        const buffer = this.uniform(kernel.name, encodeParams(kernel.name, text.params, params));
        return { index: b.index, name: b.name, storage: null, buffer, offset: 0, size: buffer.size };
      }
      const tensor = tensors[b.name];
      if (tensor === undefined)
        throw new Error(`${kernel.name}: kernels/${variant.file}.wgsl binds ${b.name}, which the op does not pass`);
      if (tensor === null || tensor.size === 0) {
        const buffer = this.placeholder(b.kind === 'read' ? 'read' : b.name);
        return { index: b.index, name: b.name, storage: null, buffer, offset: 0, size: 256 };
      }
      const size = alignUp(tensor.size * 4, 16);
      if (size > this.caps.maxBindingBytes) {
        throw new Error(
          `${kernel.name}: the binding ${b.name} (${tensor.label}) needs ${mib(size)}, the adapter binds at most ${mib(this.caps.maxBindingBytes)}`,
        );
      }
      return { index: b.index, name: b.name, storage: tensor.storage, buffer: null, offset: tensor.offset * 4, size };
    });
    const grid = foldGrid(variant.grid(params));
    if (!grid.every((n) => Number.isInteger(n) && n >= 0 && n <= MAX_GRID)) {
      throw new Error(
        `${kernel.name}: a grid of ${grid.join(' × ')} workgroups is beyond what WebGPU runs, ${MAX_GRID} along each dimension; split the batch`,
      );
    }
    return { label: choice, kernel: kernel.name, params, pipeline, bindings, grid };
  }

  /** A uniform buffer with these words; equal contents share one buffer. */
  private uniform(name: string, words: Uint32Array<ArrayBuffer>): GPUBuffer {
    const key = words.join(' ');
    const known = this.uniforms.get(key);
    if (known) return known;
    if (this.uniforms.size >= 8192) this.uniforms.clear(); // bind groups hold on to those in use
    const buffer = this.gpu.createBuffer({
      size: words.byteLength,
      usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
      label: `params of ${name}`,
    });
    this.gpu.queue.writeBuffer(buffer, 0, words);
    this.uniforms.set(key, buffer);
    return buffer;
  }

  private placeholder(name: string): GPUBuffer {
    let buffer = this.placeholders.get(name);
    if (!buffer) {
      buffer = this.gpu.createBuffer({ size: 256, usage: storageUsage(), label: `placeholder ${name}` });
      this.placeholders.set(name, buffer);
    }
    return buffer;
  }

  bindGroup(call: Call): GPUBindGroup {
    this.counts.bindGroups++;
    return this.gpu.createBindGroup({
      label: call.label,
      layout: this.pipelines.make(call.pipeline).getBindGroupLayout(0),
      entries: call.bindings.map((b) => ({
        binding: b.index,
        resource: { buffer: b.buffer ?? this.buffers.of(b.storage as Storage), offset: b.offset, size: b.size },
      })),
    });
  }

  // ---- encoding ----

  /** Runs a call now (eager). */
  encode(call: Call): void {
    if (call.grid[0] * call.grid[1] * call.grid[2] === 0) return;
    const group = this.bindGroup(call);
    if (!this.pass) this.pass = this.takeEncoder().beginComputePass();
    this.pass.setPipeline(this.pipelines.make(call.pipeline));
    this.pass.setBindGroup(0, group);
    this.pass.dispatchWorkgroups(call.grid[0], call.grid[1], call.grid[2]);
    this.lastLabel = call.label;
    this.counts.dispatches++;
    if (++this.pending >= FLUSH_AFTER) this.flush();
  }

  private takeEncoder(): GPUCommandEncoder {
    this.pass?.end();
    this.pass = null;
    this.encoder ??= this.gpu.createCommandEncoder();
    return this.encoder;
  }

  flush(): void {
    if (!this.encoder) return;
    const encoder = this.takeEncoder();
    this.encoder = null;
    this.pending = 0;
    this.submit(encoder.finish());
  }

  submit(commands: GPUCommandBuffer): void {
    this.gpu.queue.submit([commands]);
    this.counts.submits++;
  }

  noteLabel(label: string): void {
    this.lastLabel = label;
  }

  /**
   * Waits until all submitted work is done. In Node, Dawn polls while a promise is pending and eats a core, so this sleeps
   * on a timer for most of `expectedMs` first and asks only then. Gives whether the work was done before it was asked for.
   */
  async settle(expectedMs = 0): Promise<boolean> {
    this.flush();
    const overslept = await this.wait(expectedMs, () => this.gpu.queue.onSubmittedWorkDone());
    this.check();
    return overslept;
  }

  private async wait(expectedMs: number, ask: () => Promise<unknown>): Promise<boolean> {
    this.counts.waits++;
    if (!isNode() || expectedMs <= SHORTEST_REST) {
      await ask();
      return false;
    }
    await new Promise((resolve) => setTimeout(resolve, expectedMs * 0.92));
    this.check();
    // Turns of the event loop, not milliseconds: others' work makes turns long.
    let turns = 0;
    let asking = true;
    const count = (): void => {
      turns++;
      if (asking) setImmediate(count);
    };
    setImmediate(count);
    try {
      await ask();
    } finally {
      asking = false;
    }
    return turns <= DONE_AT_ONCE;
  }

  close(): void {
    this.closed = true;
    this.gpu.destroy();
  }
}
