/** The WebGPU side of a device: buffers, pipelines, dispatches, submits, reads, and its one sticky failure. */
import type {
  GPUAdapterInfo,
  GPUBindGroup,
  GPUBuffer,
  GPUCommandBuffer,
  GPUComputePipeline,
  GPUDevice,
} from './gpu-types.ts';
import { isNode } from './gpu.ts';
import {
  type Capabilities,
  choiceOf,
  classOf,
  encodeParams,
  foldGrid,
  type Grid,
  type Kernel,
  type KernelText,
  kernelText,
  MAX_GRID,
  type MatrixSize,
  type Params,
  type Variant,
} from './kernel.ts';
import { alignUp, type NumericArray, type Storage, type Tensor } from './tensor.ts';

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

/** A dispatch, ready to be encoded: everything but the bind group, which needs the buffers' places. */
export interface Call {
  label: string;
  kernel: string;
  params: Params;
  pipeline: GPUComputePipeline;
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

/** Kernel name → class of shapes (see `classOf`) → choice (see `choiceOf`). */
export type Choices = Record<string, Record<string, string>>;

/** Dawn's name of the feature; behind the toggle allow_unsafe_apis. */
export const SUBGROUP_MATRIX = 'chromium-experimental-subgroup-matrix';

/** What an adapter says of its subgroup matrices (Dawn's docs/dawn/features/subgroup_matrix.md). */
interface MatrixConfig {
  componentType: string;
  resultComponentType: string;
  M: number;
  N: number;
  K: number;
}

/** Bits of a NaN: what memory is full of that a test poisons. */
export const POISON = 0x7fc00000;

const FLUSH_AFTER = 48; // eager dispatches in one submit
const STORAGE = 0x80 | 0x08 | 0x04; // GPUBufferUsage.STORAGE | COPY_DST | COPY_SRC

export class WebGpu {
  readonly gpu: GPUDevice;
  readonly info: GPUAdapterInfo;
  readonly caps: Capabilities;
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
  /** Whether buffers are handed out full of NaN bits (tests). */
  poison = false;
  /** Kernel name → file or choice that must be used (tests and the tuner). */
  readonly forced = new Map<string, string>();
  /** Kernel name → choices that ran, by the shapes. */
  readonly used = new Map<string, Set<string>>();
  /** As `used`, but for what was measured: the part of a checkpoint's choices that followed from the shapes alone. */
  private readonly untuned = new Map<string, Set<string>>();
  /** Hears of every dispatch that is prepared (the tuner collects shapes). */
  watch: ((kernel: Kernel, tensors: Record<string, Tensor | null>, params: Params) => void) | null = null;
  /** Kernel name → choices that come first where adapter and shapes allow (a resumed run keeps its variants). */
  private readonly preferred = new Map<string, readonly string[]>();
  /** Kernel name → class of shapes → measured choice. Fixed when the device opens. */
  private tuned: Choices = {};
  private readonly pipelines = new Map<string, GPUComputePipeline>();
  private readonly uniforms = new Map<string, GPUBuffer>();
  private readonly placeholders = new Map<string, GPUBuffer>();
  private readonly pool = new Map<number, GPUBuffer[]>();
  private encoder: GPUCommandEncoder | null = null;
  private pass: GPUComputePassEncoder | null = null;
  private pending = 0;
  private lastLabel = '';
  private closed = false;

  constructor(gpu: GPUDevice, info: GPUAdapterInfo) {
    this.gpu = gpu;
    this.info = info;
    const l = gpu.limits;
    const sub = info as GPUAdapterInfo & { subgroupMinSize?: number; subgroupMaxSize?: number };
    this.caps = {
      subgroups: gpu.features.has('subgroups' as GPUFeatureName),
      subgroupMin: sub.subgroupMinSize ?? 0,
      subgroupMax: sub.subgroupMaxSize ?? 0,
      f16: gpu.features.has('shader-f16'),
      matrices: gpu.features.has(SUBGROUP_MATRIX) ? mixedMatrices(info) : [],
      timestamps: gpu.features.has('timestamp-query'),
      maxInvocations: l.maxComputeInvocationsPerWorkgroup,
      maxWorkgroupBytes: l.maxComputeWorkgroupStorageSize,
      maxBindingBytes: l.maxStorageBufferBindingSize,
      maxBufferBytes: l.maxBufferSize,
    };
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

  // ---- memory ----

  /** A buffer of at least `bytes`, from the pool if one of that size class is free. */
  allocate(bytes: number, label: string): GPUBuffer {
    const exact = alignUp(bytes);
    const size = Math.max(exact, Math.min(sizeClass(bytes), this.caps.maxBufferBytes));
    const free = this.pool.get(size)?.pop();
    if (free) {
      if (this.poison) this.fillWithNaN(free);
      return free;
    }
    if (size > this.caps.maxBufferBytes) {
      throw new Error(
        `${label}: ${mib(size)} were asked for, the adapter's largest buffer has ${mib(this.caps.maxBufferBytes)}`,
      );
    }
    this.check();
    this.gpu.pushErrorScope('out-of-memory');
    const buffer = this.gpu.createBuffer({ size, usage: STORAGE, label });
    this.gpu.popErrorScope().then(
      (error) =>
        error &&
        this.fail(`out of memory for ${label} (${mib(size)}, ${mib(this.counts.bytes)} in use): ${error.message}`),
      () => {},
    );
    this.counts.buffers++;
    this.counts.bytes += size;
    this.counts.peakBytes = Math.max(this.counts.peakBytes, this.counts.bytes);
    if (this.poison) this.fillWithNaN(buffer);
    return buffer;
  }

  /** Overwrites a buffer with NaN bits, after all that was dispatched before. */
  fillWithNaN(buffer: GPUBuffer): void {
    this.flush();
    this.gpu.queue.writeBuffer(buffer, 0, new Uint32Array(buffer.size / 4).fill(POISON));
  }

  /** Gives a buffer back for reuse; later dispatches run after those that still use it. */
  recycle(buffer: GPUBuffer): void {
    const list = this.pool.get(buffer.size);
    if (list) list.push(buffer);
    else this.pool.set(buffer.size, [buffer]);
  }

  /** Destroys what lies unused in the pool. */
  trim(): void {
    this.flush();
    for (const list of this.pool.values()) for (const buffer of list) this.destroy(buffer);
    this.pool.clear();
  }

  destroy(buffer: GPUBuffer): void {
    this.counts.buffers--;
    this.counts.bytes -= buffer.size;
    buffer.destroy();
  }

  bufferOf(storage: Storage): GPUBuffer {
    storage.buffer ??= this.allocate(storage.bytes, storage.label);
    return storage.buffer;
  }

  /** Sets a storage to zeros, before whatever is dispatched next. */
  clear(storage: Storage): void {
    const buffer = this.bufferOf(storage);
    this.takeEncoder().clearBuffer(buffer);
  }

  write(tensor: Tensor, data: NumericArray): void {
    this.check();
    if (data.length === 0) return; // wgpu panics on writes of nothing
    this.flush(); // a write lands between submits
    const bytes = data as Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>;
    this.gpu.queue.writeBuffer(
      this.bufferOf(tensor.storage),
      tensor.offset * 4,
      bytes.buffer,
      bytes.byteOffset,
      bytes.byteLength,
    );
  }

  /** The values of tensors, read back with one submit and one wait; `expectedMs` and `polled` as `settle` has them. */
  async read(tensors: readonly Tensor[], expectedMs = 0): Promise<{ values: ArrayBuffer[]; polled: number }> {
    this.check();
    if (tensors.every(({ size }) => size === 0)) return { values: tensors.map(() => new ArrayBuffer(0)), polled: 0 };
    // Throws where a tensor is too large, before anything of its size is made.
    const sources = tensors.map(({ storage }) => this.bufferOf(storage));
    const places: number[] = [];
    const size = tensors.reduce((at, tensor) => {
      places.push(at);
      return at + tensor.size * 4;
    }, 0);
    const names = tensors.map(({ label }) => label).join(', ');
    const staging = this.gpu.createBuffer({ size, usage: 0x01 | 0x08, label: `read ${names}` });
    try {
      const encoder = this.takeEncoder();
      tensors.forEach(({ offset, size: n }, i) => {
        if (n > 0) encoder.copyBufferToBuffer(sources[i], offset * 4, staging, places[i], n * 4);
      });
      this.flush();
      this.counts.waits++;
      await this.rest(expectedMs);
      const asked = performance.now();
      await staging.mapAsync(0x01);
      const polled = performance.now() - asked;
      this.check();
      const all = staging.getMappedRange();
      return { values: tensors.map((t, i) => all.slice(places[i], places[i] + t.size * 4)), polled };
    } catch (error) {
      await Promise.resolve();
      this.check();
      throw error;
    } finally {
      staging.destroy();
    }
  }

  // ---- kernels ----

  /**
   * The variant that runs: the forced one; else the measured one, one that the resumed run used, the first that suits,
   * each where this adapter and these shapes allow it.
   */
  variant(kernel: Kernel, params: Params): Variant {
    const fits = this.candidates(kernel, params);
    const forced = this.forced.get(kernel.name);
    let found: Variant | undefined;
    if (forced !== undefined) found = fits.find((v) => v.file === forced || choiceOf(v) === forced);
    else {
      const preferred = this.preferred.get(kernel.name);
      found =
        this.tunedVariant(kernel, params, fits) ??
        (preferred && fits.find((v) => preferred.includes(choiceOf(v)) && (v.suits?.(this.caps, params) ?? true))) ??
        fits.find((v) => v.suits?.(this.caps, params) ?? true) ??
        fits.at(-1);
    }
    if (found) return found;
    const why = forced ? ` (${forced} was asked for)` : '';
    throw new Error(`${kernel.name}: no variant runs on ${this.info.description || this.info.vendor}${why}`);
  }

  /** All variants that this adapter and these shapes allow. */
  candidates(kernel: Kernel, params: Params): Variant[] {
    return kernel.variants.filter((v) => (v.requires?.(this.caps) ?? true) && (v.accepts?.(params) ?? true));
  }

  private tunedVariant(kernel: Kernel, params: Params, fits: readonly Variant[]): Variant | undefined {
    const byClass = this.tuned[kernel.name];
    const choice = byClass?.[classOf(kernel, params) ?? ''];
    return choice === undefined ? undefined : fits.find((v) => choiceOf(v) === choice);
  }

  /** Sets the measured choices; before anything runs, since they decide the bits of a result. */
  setTuned(choices: Choices): void {
    this.tuned = choices;
  }

  /** What a checkpoint keeps: kernel name → the choices that ran, and the measured ones as `choice @ class`. */
  choices(): Record<string, string[]> {
    const all = new Map([...this.untuned].map(([name, ran]) => [name, [...ran].sort()]));
    for (const [name, byClass] of Object.entries(this.tuned)) {
      const lines = Object.entries(byClass).map(([shape, choice]) => `${choice} @ ${shape}`);
      all.set(name, [...(all.get(name) ?? []), ...lines.sort()]);
    }
    return Object.fromEntries([...all].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  /** Goes on with the choices of a checkpoint, in place of those measured on this machine since. */
  keepChoices(saved: Record<string, readonly string[]>): void {
    this.tuned = {};
    this.preferred.clear();
    for (const [name, lines] of Object.entries(saved)) {
      const plain: string[] = [];
      for (const line of lines) {
        const [choice, shape] = line.split(' @ ');
        if (shape === undefined) plain.push(choice);
        else {
          this.tuned[name] ??= {};
          this.tuned[name][shape] = choice;
        }
      }
      this.preferred.set(name, plain);
    }
  }

  pipeline(file: string, text: KernelText, key: string): GPUComputePipeline {
    const known = this.pipelines.get(key);
    if (known) return known;
    const module = this.gpu.createShaderModule({ code: text.code, label: file });
    const pipeline = this.gpu.createComputePipeline({
      layout: 'auto',
      compute: { module, entryPoint: 'main' },
      label: file,
    });
    this.pipelines.set(key, pipeline);
    this.counts.pipelines++;
    return pipeline;
  }

  /** Resolves a dispatch: variant, pipeline, uniform, bindings. Throws where a binding cannot be had. */
  prepare(kernel: Kernel, tensors: Record<string, Tensor | null>, params: Params): Call {
    this.check();
    this.watch?.(kernel, tensors, params);
    const variant = this.variant(kernel, params);
    const choice = choiceOf(variant);
    note(this.used, kernel.name, choice);
    if (this.tuned[kernel.name]?.[classOf(kernel, params) ?? ''] !== choice) note(this.untuned, kernel.name, choice);
    const own = variant.constants?.(params);
    const constants = variant.tuning || own ? { ...own, ...variant.tuning } : undefined;
    const text = kernelText(variant.file, constants);
    const pipeline = this.pipeline(
      variant.file,
      text,
      constants ? `${variant.file} ${JSON.stringify(constants)}` : variant.file,
    );
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
    const buffer = this.gpu.createBuffer({ size: words.byteLength, usage: 0x40 | 0x08, label: `params of ${name}` });
    this.gpu.queue.writeBuffer(buffer, 0, words);
    this.uniforms.set(key, buffer);
    return buffer;
  }

  private placeholder(name: string): GPUBuffer {
    let buffer = this.placeholders.get(name);
    if (!buffer) {
      buffer = this.gpu.createBuffer({ size: 256, usage: STORAGE, label: `placeholder ${name}` });
      this.placeholders.set(name, buffer);
    }
    return buffer;
  }

  bindGroup(call: Call): GPUBindGroup {
    this.counts.bindGroups++;
    return this.gpu.createBindGroup({
      label: call.label,
      layout: call.pipeline.getBindGroupLayout(0),
      entries: call.bindings.map((b) => ({
        binding: b.index,
        resource: { buffer: b.buffer ?? this.bufferOf(b.storage as Storage), offset: b.offset, size: b.size },
      })),
    });
  }

  // ---- encoding ----

  /** Runs a call now (eager). */
  encode(call: Call): void {
    if (call.grid[0] * call.grid[1] * call.grid[2] === 0) return;
    const group = this.bindGroup(call);
    if (!this.pass) this.pass = this.takeEncoder().beginComputePass();
    this.pass.setPipeline(call.pipeline);
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
   * on a timer for most of `expectedMs` first and asks only then. Gives the milliseconds between asking and the answer.
   */
  async settle(expectedMs = 0): Promise<number> {
    this.flush();
    this.counts.waits++;
    await this.rest(expectedMs);
    this.check();
    const asked = performance.now();
    await this.gpu.queue.onSubmittedWorkDone();
    this.check();
    return performance.now() - asked;
  }

  private async rest(expectedMs: number): Promise<void> {
    if (isNode() && expectedMs > 4) await new Promise((resolve) => setTimeout(resolve, expectedMs * 0.92));
  }

  close(): void {
    this.closed = true;
    this.gpu.destroy();
  }
}

/** All configurations, in words: `f16 → f32 16 × 16 × 16`. */
export function matrixConfigs(info: GPUAdapterInfo): string[] {
  return configsOf(info).map((c) => `${c.componentType} → ${c.resultComponentType} ${c.M} × ${c.N} × ${c.K}`);
}

const configsOf = (info: GPUAdapterInfo): readonly MatrixConfig[] =>
  (info as GPUAdapterInfo & { subgroupMatrixConfigs?: readonly MatrixConfig[] }).subgroupMatrixConfigs ?? [];

const mixedMatrices = (info: GPUAdapterInfo): MatrixSize[] =>
  configsOf(info)
    .filter((c) => c.componentType === 'f16' && c.resultComponentType === 'f32')
    .map(({ M, N, K }) => ({ m: M, n: N, k: K }));

function note(all: Map<string, Set<string>>, name: string, choice: string): void {
  const known = all.get(name);
  if (known) known.add(choice);
  else all.set(name, new Set([choice]));
}

/** Sizes of pooled buffers: multiples of 256 bytes up to 64 KiB, then eighths of powers of two. */
function sizeClass(bytes: number): number {
  const n = alignUp(Math.max(bytes, 16));
  if (n <= 65536) return n;
  return alignUp(n, 2 ** (Math.floor(Math.log2(n - 1)) - 2));
}

const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(bytes < 2 ** 20 ? 3 : 1)} MiB`;
