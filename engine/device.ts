/** A device: where tensors live and ops run. WebGPU in Node and Chrome, WebAssembly, or the CPU through the references. */
import { Tape } from './autograd.ts';
import { type BindingInfo, contractOf, expectIntegers, type Capabilities, type Kernel, type Params } from './kernel.ts';
import { allocateOnHost, viewOnHost } from './wasm/host-memory.ts';
import { refusePromise } from './no-promise.ts';
import { firstNonFiniteTensor } from './non-finite.ts';
import type { DeviceOptions, DeviceStats, Precision } from './device-options.ts';
import { Program, type ProgramOptions } from './program/program.ts';
import { StepState } from './program/step-state.ts';
import { normal, uniform } from './random/random.ts';
import type { Arrays, Reference } from './reference.ts';
import {
  ALIGN,
  type DType,
  type NumericArray,
  type Shape,
  showShape,
  sizeOf,
  Storage,
  Tensor,
  type TensorOptions,
} from './tensor.ts';
import { adapterKey } from './tuning/tuner.ts';
import { requestDevice } from './webgpu/adapter.ts';
import type { Wasm } from './wasm/wasm.ts';
import { type Call, WebGpu } from './webgpu/webgpu.ts';
import { fill } from './ops/fill.ts';
import { readGuarded } from './read.ts';
import { noteUses, writesNothing } from './uses.ts';
import { type HostValues, typeFor, valuesFor } from './values.ts';

/** Milliseconds for which a device of the host computes before it lets others run. */
const LONGEST_RUN_MS = 20;

export class Device {
  readonly gpu: WebGpu | null;
  readonly wasm: Wasm | null;
  readonly tape: Tape = new Tape(this);
  readonly name: string;
  /** What varies between the runs of a step: seed, step, learning rate, and whether dropout acts. */
  readonly steps: StepState = new StepState(this);
  /** Tensors that every read looks at as well, and what throws where their values say that something failed. */
  readonly guards: Map<Tensor, (values: NumericArray) => void> = new Map();
  readonly f64: boolean;
  readonly poison: boolean;
  private readonly cpuLimit: number;
  private readonly scopes: Storage[][] = [];
  /** While recording: every call, in order. While tracing they are not run. */
  recording: Call[] | null = null;
  tracing = false;
  /** The same for WebAssembly. */
  hostRecording: (() => void)[] | null = null;
  /** While the function of a program runs: what it read or wrote so far, each storage with the tensor that named it first. */
  touched: Map<Storage, Tensor> | null = null;
  /** Counts the traces of programs, so that a storage knows which one made it. */
  traceId = 0;
  /** Numbers the random ops of a step; a program starts it at 0. */
  opCounter = 0;
  /** What products compute in; see `withPrecision`. */
  precision: Precision = 'f32';
  /** Power of two that gradients are multiplied by before f16 takes them. */
  gradientScale = 1;
  /** Programs re-trace before each replay and fill their slots with NaN bits. */
  debug = false;
  hostDispatches = 0;
  /** When a device of the host last let others run. */
  private pausedAt = 0;
  /** While looking for non-finite values: every tensor made. */
  made: Tensor[] | null = null;

  private constructor(
    gpu: WebGpu | null,
    wasm: Wasm | null,
    { precision, maxBindingBytes, poison = false }: DeviceOptions,
  ) {
    this.gpu = gpu;
    this.wasm = wasm;
    this.poison = poison;
    if (gpu) gpu.buffers.poison = poison;
    this.f64 = !gpu && !wasm && precision === 'f64';
    this.cpuLimit = maxBindingBytes ?? Number.POSITIVE_INFINITY;
    if (gpu) gpu.caps.maxBindingBytes = Math.min(gpu.caps.maxBindingBytes, this.cpuLimit);
    this.name = gpu
      ? `webgpu (${gpu.info.description || gpu.info.device || gpu.info.vendor || 'unnamed adapter'})`
      : this.backend;
  }

  /**
   * Opens a device. `webgpu` throws where no adapter is found; `auto` falls back to WebAssembly and says so once.
   */
  static async open(options: DeviceOptions = {}): Promise<Device> {
    const backend = options.backend ?? 'auto';
    if (backend === 'cpu') return new Device(null, null, options);
    if (backend === 'wasm') return Device.openWasm(options);
    const limits = options.limits ?? 'adapter';
    const found = await requestDevice(options.dawn, limits);
    if (found) {
      const another = () => requestDevice(options.dawn, limits).then((more) => more?.device ?? null);
      const gpu = new WebGpu(found.device, found.info, another);
      const { store, runtime = '' } = options.tuning ?? {};
      const choices = await store?.load(adapterKey(gpu, runtime));
      if (choices) gpu.variants.setTuned(choices);
      return new Device(gpu, null, options);
    }
    if (backend === 'webgpu')
      throw new Error('device: no WebGPU adapter was found; `attune doctor` says what is missing');
    const say = options.onFallback ?? ((m: string) => console.error(m));
    say('device: no WebGPU adapter was found, the CPU is used (slow); `attune doctor` says what is missing');
    // A page's policy may forbid WebAssembly.
    return Device.openWasm(options).catch(() => new Device(null, null, { ...options, precision: 'f32' }));
  }

  private static async openWasm(options: DeviceOptions): Promise<Device> {
    const { Wasm } = await import('./wasm/wasm.ts'); // loaded only where it runs
    return new Device(null, await Wasm.open(), options);
  }

  get backend(): 'webgpu' | 'wasm' | 'cpu' {
    return this.gpu ? 'webgpu' : this.wasm ? 'wasm' : 'cpu';
  }

  get caps(): Capabilities | null {
    return this.gpu?.caps ?? null;
  }

  /** Largest binding, in bytes; no limit on devices of the host unless one was asked for. */
  get maxBindingBytes(): number {
    return this.gpu?.caps.maxBindingBytes ?? this.cpuLimit;
  }

  // ---- tensors ----

  /** A tensor that nothing wrote yet: it reads as zeros. Inside a scope or a step it is temporary. */
  empty(shape: Shape, dtype: DType = 'f32', label = 'tensor'): Tensor {
    if (dtype !== 'f32' && dtype !== 'u32') throw new Error(`${label}: expected the type f32 or u32, got ${dtype}`);
    if (!shape.every((n) => Number.isInteger(n) && n >= 0))
      throw new Error(`${label}: expected a shape of integers >= 0, got ${showShape(shape)}`);
    const storage = new Storage(Math.max(4, sizeOf(shape) * 4), label, this.scopes.length > 0);
    this.allocate(storage, dtype);
    if (this.scopes.length > 0) storage.trace = this.traceId;
    this.scopes.at(-1)?.push(storage);
    const t = new Tensor(this, storage, shape, dtype, label);
    this.made?.push(t);
    return t;
  }

  full(shape: Shape, value: number, label = 'full'): Tensor {
    const t = this.empty(shape, 'f32', label);
    fill(t, value);
    return t;
  }

  zeros(shape: Shape, label = 'zeros'): Tensor {
    return this.full(shape, 0, label);
  }

  /**
   * A tensor with these values: u32 from any typed array of integers, f32 from numbers, Float32Array and Float64Array (each
   * rounded to the nearest f32), unless `dtype` says which. What its type cannot hold is refused: a negative integer in u32.
   * With `requiresGrad` its gradient exists at once, zeroed, and accumulates.
   */
  tensor(data: HostValues, shape?: Shape, options: TensorOptions = {}): Tensor {
    const dtype = options.dtype ?? typeFor(data);
    const dims = shape ?? [data.length];
    if (sizeOf(dims) !== data.length) throw new Error(`tensor: ${data.length} values do not fill ${showShape(dims)}`);
    const t = this.empty(dims, dtype, options.label ?? 'tensor');
    this.write(t, data);
    if (options.requiresGrad) this.makeLeaf(t);
    return t;
  }

  /**
   * Turns a tensor into a leaf that accumulates a gradient; `grad` may be a view of an arena, already zeroed. Ops store
   * whole vec4s: up to three elements behind a `grad` of odd size are padding that holds anything.
   */
  makeLeaf(t: Tensor, grad?: Tensor): void {
    if (t.dtype !== 'f32') throw new Error(`tensor: only f32 can require a gradient, ${t.label} is ${t.dtype}`);
    if (t.state.node)
      throw new Error(`makeLeaf: ${t.label} ${showShape(t.shape)} was computed from leaves; make one of its detach()`);
    if (grad && grad.size !== t.size) {
      throw new Error(
        `makeLeaf: expected a gradient of ${t.label} ${showShape(t.shape)}, got ${grad.label} ${showShape(grad.shape)}`,
      );
    }
    t.state.requiresGrad = true;
    t.state.leaf = true;
    t.state.grad = grad ?? this.zeros(t.shape, `grad of ${t.label}`);
  }

  /** A view of part of a tensor, for arenas; `offset` in elements, aligned to 256 bytes. u32 may be seen as f32. */
  view(base: Tensor, offset: number, shape: Shape, dtype: DType, label: string): Tensor {
    if (!(Number.isInteger(offset) && offset >= 0 && offset + sizeOf(shape) <= base.size)) {
      throw new Error(
        `view: ${label} ${showShape(shape)} from ${offset} lies outside of ${base.label} ${showShape(base.shape)}`,
      );
    }
    if (base.dtype === 'f32' && dtype !== 'f32')
      throw new Error(`view: ${label} ${dtype} ${showShape(shape)} cannot be a view of ${base.label}, which is f32`);
    if ((offset * 4) % ALIGN !== 0) throw new Error(`view: ${label} must start at a multiple of ${ALIGN} bytes`);
    return new Tensor(this, base.storage, shape, dtype, label, base.offset + offset);
  }

  /**
   * Overwrites a tensor's values from the host. Values of another type than the tensor's are converted, or refused where
   * the tensor cannot hold them.
   */
  write(t: Tensor, data: HostValues): void {
    this.alive(t, 'write');
    if (this.touched) {
      throw new Error(
        `write: ${t.label} ${showShape(t.shape)} is written by the host inside of a step, which a replay would miss; write it before`,
      );
    }
    const values = valuesFor(t, data);
    if (values.length !== t.size)
      throw new Error(`write: ${values.length} values do not fill ${t.label} ${showShape(t.shape)}`);
    if (t.size * 4 < t.storage.bytes) this.define(t.storage);
    t.storage.written = true;
    const view = this.hostView(t);
    if (view) return view.set(values);
    let typed = values instanceof Float64Array ? Float32Array.from(values) : values;
    if (typeof SharedArrayBuffer !== 'undefined' && typed.buffer instanceof SharedArrayBuffer) typed = typed.slice();
    this.gpu?.write(t, typed);
  }

  /** Makes a storage that nothing wrote read as zeros, whatever the memory from the pool holds (poisoned memory aside). */
  define(storage: Storage): void {
    if (storage.written) return;
    storage.written = true;
    if (storage.array || this.poison) return;
    const all = new Tensor(this, storage, [storage.bytes / 4], 'f32', storage.label);
    // What a program makes lies in a slot, which every replay must clear; the rest is cleared once.
    if ((this.recording ?? this.hostRecording) && storage.trace === this.traceId) fill(all, 0);
    else if (this.gpu) this.gpu.clear(storage);
    else this.hostView(all)?.fill(0);
  }

  /** The values of tensors, with one wait for all of them; `expectedMs` and `overslept` as `settle` has them. */
  read(tensors: readonly Tensor[], expectedMs = 0): Promise<{ values: NumericArray[]; overslept: boolean }> {
    return readGuarded(this, tensors, expectedMs);
  }

  /** Gives a storage its memory on the host; on a GPU that comes with its first use. */
  allocate(storage: Storage, dtype: DType): void {
    if (!this.gpu) allocateOnHost(storage, dtype, this);
  }

  /** A tensor's values where they lie, in its own type; null on a GPU. Valid until the next op. */
  hostView(t: Tensor): NumericArray | null {
    return this.gpu ? null : viewOnHost(t, this.wasm);
  }

  // ---- running ----

  /**
   * Runs one kernel, or its reference on the CPU device and where WebAssembly has no kernel; a step that records notes it.
   * `tensors` are named as the kernel's bindings; null stands for one that the flags in `params` switch off.
   * Ops that change a tensor of their caller's in place call `inPlace` first.
   */
  run(what: Kernel, reference: Reference, tensors: Record<string, Tensor | null>, params: Params): void {
    const { bindings } = contractOf(what);
    noteUses(this, what.name, tensors, bindings);
    expectIntegers(what, params);
    if (writesNothing(tensors, bindings)) return;
    if (this.wasm) return this.runOnHost(this.wasm.prepare(what.name, reference, tensors, params));
    if (!this.gpu) return this.refer(reference, tensors, params);
    const call = this.gpu.prepare(what, tensors, params);
    this.recording?.push(call);
    if (!this.tracing) this.gpu.encode(call);
  }

  /** Runs a reference on the host's memory, in place of kernels; `writes` names the tensors that it writes to. */
  runReference(
    who: string,
    reference: Reference,
    tensors: Record<string, Tensor | null>,
    writes: readonly string[],
    params: Params,
  ): void {
    const uses = Object.keys(tensors).map((name, index): [string, BindingInfo] => [
      name,
      { name, index, kind: writes.includes(name) ? 'write' : 'read', type: '' },
    ]);
    noteUses(this, who, tensors, new Map(uses));
    if (this.wasm) this.runOnHost(this.wasm.prepareReference(reference, tensors, params));
    else this.refer(reference, tensors, params);
  }

  private runOnHost(dispatch: () => void): void {
    this.hostDispatches++;
    this.hostRecording?.push(dispatch);
    dispatch();
  }

  private refer(reference: Reference, tensors: Record<string, Tensor | null>, params: Params): void {
    const arrays: Arrays = {};
    for (const [name, t] of Object.entries(tensors)) arrays[name] = (t && this.hostView(t)) ?? new Float32Array(0);
    this.hostDispatches++;
    reference(arrays, params);
  }

  /** To be called for a tensor that an op changes in place or in part: what it does not overwrite must be defined. */
  inPlace(who: string, t: Tensor): void {
    this.alive(t, who);
    this.define(t.storage);
  }

  /** Throws where a tensor was freed or is another device's, and where the device failed. */
  alive(t: Tensor, who: string): void {
    if (t.device !== this) throw new Error(`${who}: ${t.label} lives on another device`);
    if (t.storage.released) {
      throw new Error(
        `${who}: ${t.label} ${showShape(t.shape)} was freed by its scope, step or dispose(); keep() it to use it later`,
      );
    }
    this.gpu?.check();
  }

  /**
   * Runs `fn`, which must not be async; every tensor that it makes is freed at its end, but for those that were
   * `keep()`-ed. These are values alone from then on: their gradient ends with the scope.
   */
  scope<T>(fn: () => T): T {
    const made: Storage[] = [];
    this.scopes.push(made);
    this.tape.openScope();
    try {
      return refusePromise('scope', fn());
    } finally {
      this.scopes.pop();
      this.tape.closeScope();
      for (const storage of made) if (storage.temporary) this.release(storage);
    }
  }

  /** Why products cannot run in this precision here, in words, or null. */
  lacksPrecision(precision: Precision): string | null {
    if (precision === 'f32' || this.caps?.f16) return null;
    return this.gpu
      ? `${this.name} has no shader-f16`
      : `the ${this.wasm ? 'WebAssembly' : 'CPU'} device computes in f32 alone`;
  }

  /**
   * Runs `fn` with products in this precision, those of the backward pass included. f16 ends at 6e-8 and 65,504 (beyond it
   * values are clamped): `gradientScale`, a power of two, lifts gradients into it, and is taken out of the result again. A
   * mean over n rows wants about n. Products whose rows are no whole multiples of 4 elements stay in f32.
   * @throws Error for `mixed` where the adapter has no shader-f16
   */
  withPrecision<T>(precision: Precision, fn: () => T, gradientScale = 1): T {
    const lacks = this.lacksPrecision(precision);
    if (lacks) throw new Error(`precision ${precision}: ${lacks}`);
    if (!(gradientScale > 0 && Number.isInteger(Math.log2(gradientScale))))
      throw new Error(`precision ${precision}: expected a power of two as gradientScale, got ${gradientScale}`);
    const before = { precision: this.precision, gradientScale: this.gradientScale };
    Object.assign(this, { precision, gradientScale });
    try {
      return refusePromise('withPrecision', fn());
    } finally {
      Object.assign(this, before);
    }
  }

  /** Runs `fn` without recording gradients. */
  noGrad<T>(fn: () => T): T {
    const enabled = this.tape.enabled;
    this.tape.enabled = false;
    try {
      return refusePromise('noGrad', fn());
    } finally {
      this.tape.enabled = enabled;
    }
  }

  keep(t: Tensor): void {
    t.storage.temporary = false;
    if (t.state.leaf && t.state.grad) t.state.grad.storage.temporary = false;
  }

  release(storage: Storage): void {
    if (storage.released) return;
    storage.released = true;
    if (storage.buffer && this.gpu) this.gpu.buffers.recycle(storage.buffer);
    if (storage.address) this.wasm?.recycle(storage.address, storage.bytes);
    storage.buffer = null;
    storage.address = 0;
    storage.array = null;
  }

  /** Runs `fn` and describes the first of its tensors that is not finite; see `firstNonFiniteTensor`. */
  firstNonFinite(fn: () => void): Promise<string | null> {
    return firstNonFiniteTensor(this, fn);
  }

  /** A step that is recorded when it first runs and replayed afterwards; see `Program`. */
  program<T extends Record<string, Tensor>>(label: string, fn: () => T, options?: ProgramOptions): Program<T> {
    return new Program(this, label, fn, options);
  }

  /** The words that vary between steps, in a buffer of 16 (u32); `STATE` names them. Random masks follow from seed and step. */
  get state(): Tensor {
    return this.steps.tensor;
  }

  /** Whether the learning rate was ever set: before, `state` has 0. */
  get hasState(): boolean {
    return this.steps.isSet;
  }

  setState(words: Uint32Array): void {
    this.steps.set(words);
  }

  /**
   * Seeds all that is random on this device, from here on: `normal` and `uniform` count their tensors anew, and the masks of
   * dropout follow from the seed, the step (at 0 now) and the op's number within the step. 0 at first.
   * @throws Error unless it is an integer from 0 to 4294967295
   */
  seed(seed: number): void {
    if (!(Number.isInteger(seed) && seed >= 0 && seed <= 0xffffffff))
      throw new Error(`seed: expected an integer from 0 to 4294967295, got ${seed}`);
    this.steps.change({ seed, step: 0 });
    this.steps.streams = 0;
    this.opCounter = 0;
  }

  /**
   * Whether dropout acts; false at first, when it passes values on as they are. It lies in a buffer: a recorded step follows
   * it from its next run on.
   */
  get training(): boolean {
    return this.steps.training;
  }

  set training(on: boolean) {
    this.steps.change({ training: on });
  }

  /** Normal numbers (mean 0, standard deviation 1), other ones for each tensor made since `seed()`; drawn on the host. */
  normal(
    shape: Shape,
    { mean = 0, std = 1, ...options }: TensorOptions & { mean?: number; std?: number } = {},
  ): Tensor {
    return this.tensor(normal(sizeOf(shape), this.steps.seed, this.steps.streams++, std, mean), shape, options);
  }

  /** Uniform numbers in [low, high), [0, 1) by default; otherwise like `normal`. */
  uniform(
    shape: Shape,
    { low = 0, high = 1, ...options }: TensorOptions & { low?: number; high?: number } = {},
  ): Tensor {
    return this.tensor(uniform(sizeOf(shape), this.steps.seed, this.steps.streams++, low, high), shape, options);
  }

  /** Waits for all submitted work; `expectedMs` lets the wait sleep instead of polling. Gives whether it slept for too long. */
  async settle(expectedMs = 0): Promise<boolean> {
    if (this.gpu) return this.gpu.settle(expectedMs);
    // Lets signals and timers in; a timer takes a millisecond, so not each time.
    if (performance.now() - this.pausedAt > LONGEST_RUN_MS) {
      await new Promise((resolve) => setTimeout(resolve, 0));
      this.pausedAt = performance.now();
    }
    return false;
  }

  stats(): DeviceStats {
    if (this.gpu) return { backend: 'webgpu', ...this.gpu.counts };
    const { bytes, peakBytes } = this.wasm?.counts ?? { bytes: 0, peakBytes: 0 };
    const none = { buffers: 0, pipelines: 0, bindGroups: 0, submits: 0, waits: 0 };
    return { backend: this.backend, ...none, bytes, peakBytes, dispatches: this.hostDispatches };
  }

  /** Kernel name → choices that ran: file and tuning, or `wasm` and `reference`. */
  variants(): Record<string, string[]> {
    const used = [...(this.gpu?.variants.used ?? this.wasm?.used ?? [])].sort(([a], [b]) => (a < b ? -1 : 1));
    return Object.fromEntries(used.map(([name, files]) => [name, [...files].sort()]));
  }

  /** Throws the device's sticky failure, if there is one. */
  check(): void {
    this.gpu?.check();
  }

  close(): void {
    this.gpu?.close();
  }
}
