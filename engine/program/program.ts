/**
 * Record and replay. The first run of a step is eager and is recorded; at its end the lifetimes of its temporaries
 * are known, they are given slots (whole buffers, shared by tensors that never live at the same time), and bind
 * groups are made. Every later run encodes the recorded list into one compute pass and one submit and creates
 * nothing. A run longer than 250 ms is cut into several submits, since desktop systems reset a GPU that is busy for
 * about two seconds.
 *
 * Whatever differs between runs must therefore live in buffers that the host writes before the run.
 * In WebAssembly the list is one of calls. On the CPU device there is nothing to record: every run calls the function, and its
 * outputs take the place of those of the run before.
 *
 * A program remembers every storage that it reads or writes and that outlives it, and refuses to run once one was freed.
 */
import type { GPUBuffer, GPUCommandBuffer } from '../webgpu/gpu-types.ts';
import type { Device } from '../device.ts';
import type { Wasm } from '../wasm/wasm.ts';
import { type NumericArray, type Storage, showShape, type Tensor } from '../tensor.ts';
import type { CompileProgress } from '../webgpu/pipelines.ts';
import type { Call, WebGpu } from '../webgpu/webgpu.ts';
import { type KernelTime, type ProfileOptions, profile, type Step } from './profile.ts';
import { assignSlots, isTemporary, signatureOf } from './slots.ts';

export interface ProgramOptions {
  /** Longest submit, in milliseconds. */
  maxSubmitMs?: number;
}

/** A step whose run touches less than this cannot take long; its first replay is one submit without a measurement. */
const SMALL_STEP_BYTES = 64 * 2 ** 20;

/** A run of the function: its outputs, and what it read or wrote. */
interface Traced<T> {
  out: T;
  touched: ReadonlyMap<Storage, Tensor>;
}

export class Program<T extends Record<string, Tensor>> {
  readonly label: string;
  private readonly device: Device;
  private readonly fn: () => T;
  private readonly maxSubmitMs: number;
  private steps: Step[] | null = null;
  /** The same in WebAssembly, and how to give up the memory that they use. */
  private dispatchesOfHost: (() => void)[] | null = null;
  private releaseHost: (() => void) | null = null;
  private signature: string[] = [];
  private slots: GPUBuffer[] = [];
  private outputs: T | null = null;
  /** The trace that made the outputs. */
  private outputTrace = 0;
  /** What a run reads or writes apart from its temporaries, a tensor for each storage. */
  private bound: readonly Tensor[] = [];
  private runs = 0;
  /** Calls of `values` that wait. */
  private reads = 0;
  private submitCount = 1;
  private inFlight = 0;
  private lastMs = 0;
  /** Whether the last run was the recorded one: it compiles, so that its time says nothing of those after it. */
  private compiles = false;

  constructor(device: Device, label: string, fn: () => T, options: ProgramOptions = {}) {
    this.device = device;
    this.label = label;
    this.fn = fn;
    this.maxSubmitMs = options.maxSubmitMs ?? 250;
  }

  /** Dispatches of one run; 0 before the first. */
  get dispatches(): number {
    return (this.steps ?? this.dispatchesOfHost)?.length ?? 0;
  }

  /** Submits that one run makes. */
  get submits(): number {
    return this.submitCount;
  }

  /** Milliseconds that a run took when last measured (see `pace`). */
  get milliseconds(): number {
    return this.lastMs;
  }

  /** Bytes of the slots that the temporaries share. */
  get slotBytes(): number {
    return this.slots.reduce((sum, b) => sum + b.size, 0);
  }

  /** Runs the step. The outputs are the same tensors every time, with new values; they live as long as the program. */
  run(): T {
    const { device } = this;
    device.check();
    if (device.touched) throw new Error(`${this.label}: a step cannot run inside of another one`);
    for (const t of this.bound) if (t.storage.released) this.refuseFreed(t);
    this.runs++;
    if (device.wasm) return this.runInWasm(device.wasm);
    if (!device.gpu) return this.runOnCpu();
    if (!this.steps) return this.record();
    if (device.debug) this.retrace();
    this.replay();
    return this.outputs as T;
  }

  private refuseFreed(t: Tensor): never {
    throw new Error(
      `${this.label}: ${t.label} ${showShape(t.shape)}, which the program reads or writes, was freed; make a new program with what takes its place`,
    );
  }

  /**
   * Runs the step and reads all of its outputs back, with one wait. The run is submitted before this returns: what the
   * host writes after the call belongs to the next one.
   */
  async values(): Promise<{ [K in keyof T]: NumericArray }> {
    const alone = this.inFlight === 0 && this.reads === 0;
    const out = this.run();
    const { runs, compiles } = this;
    const started = performance.now();
    const expected = alone ? this.lastMs : 0;
    this.reads++;
    let read: Awaited<ReturnType<Device['read']>>;
    try {
      read = await this.device.read(Object.values(out), expected);
    } finally {
      this.reads--;
    }
    if (!this.device.gpu) await this.device.settle();
    else if (this.runs === runs) {
      // Nothing was submitted meanwhile, so that all is done.
      if (alone && !compiles) this.measured(performance.now() - started, read.overslept);
      this.inFlight = 0;
    }
    const { values } = read;
    return Object.fromEntries(Object.keys(out).map((name, i) => [name, values[i]])) as { [K in keyof T]: NumericArray };
  }

  private freeOutputs(): void {
    if (this.outputs) freeMade(this.device, this.outputs, this.outputTrace);
    this.outputs = null;
    this.bound = [];
  }

  private runInWasm(wasm: Wasm): T {
    const { device } = this;
    if (this.dispatchesOfHost) {
      for (const dispatch of this.dispatchesOfHost) dispatch();
      device.hostDispatches += this.dispatchesOfHost.length;
      return this.outputs as T;
    }
    const dispatches: (() => void)[] = [];
    device.hostRecording = dispatches;
    let reserved: { result: Traced<T>; release: () => void };
    try {
      reserved = wasm.reserve(() => this.traced());
    } finally {
      device.hostRecording = null;
    }
    const { result, release } = reserved;
    try {
      this.adoptOrFree(result);
    } catch (error) {
      release();
      throw error;
    }
    this.releaseHost = release;
    this.dispatchesOfHost = dispatches;
    return result.out;
  }

  private runOnCpu(): T {
    const { outputs } = this;
    const traced = this.traced();
    if (!outputs) {
      this.adoptOrFree(traced);
      return traced.out;
    }
    this.takeOver(outputs, traced.out);
    return outputs;
  }

  private adoptOrFree({ out, touched }: Traced<T>): void {
    try {
      this.adopt(out, touched);
    } catch (error) {
      freeMade(this.device, out, this.device.traceId);
      throw error;
    }
  }

  /** Runs the function in a scope with the op counter at 0, keeps its outputs, and says what it read and wrote. */
  private traced(): Traced<T> {
    const { device } = this;
    device.opCounter = 0;
    device.traceId++;
    const touched = new Map<Storage, Tensor>();
    device.touched = touched;
    try {
      const out = device.scope(() => {
        const made = this.fn();
        for (const t of Object.values(made)) t.keep();
        return made;
      });
      return { out, touched };
    } finally {
      device.touched = null;
    }
  }

  /** Takes the outputs of the first run as its own, and notes what else outlives a run. */
  private adopt(out: T, touched: ReadonlyMap<Storage, Tensor>): void {
    const { traceId } = this.device;
    const bound = new Map([...touched].filter(([storage]) => storage.trace !== traceId || !isTemporary(storage)));
    for (const t of Object.values(out)) bound.set(t.storage, t);
    for (const [storage, t] of bound) {
      if (storage.trace === traceId) continue;
      if (storage.released) this.refuseFreed(t);
      // A replay outlives the scope that the step runs in: what it reads of that scope would be gone.
      if (storage.temporary) {
        throw new Error(
          `${this.label}: ${storage.label} belongs to a scope around the step; keep() it, or make it in the step`,
        );
      }
    }
    for (const { storage } of Object.values(out)) if (storage.trace === traceId) storage.owner = this.label;
    this.bound = [...bound.values()];
    this.outputs = out;
    this.outputTrace = traceId;
  }

  /** On the CPU device: the outputs of the first run take the values of this one. */
  private takeOver(outputs: T, now: T): void {
    const { device } = this;
    const arrays = new Map<Storage, Storage>();
    for (const [name, old] of Object.entries(outputs)) {
      const t = now[name];
      const made = old.storage.trace === this.outputTrace;
      const same = made ? t?.storage.trace === device.traceId : t?.storage === old.storage;
      if (!same || showShape(t.shape) !== showShape(old.shape) || t.dtype !== old.dtype) {
        freeMade(device, now, device.traceId);
        throw new Error(
          `${this.label}: the output ${name} was ${old.dtype} ${showShape(old.shape)} at first, is ${t ? `${t.dtype} ${showShape(t.shape)}` : 'missing'}; the outputs of a program are the same tensors every time`,
        );
      }
      if (made) arrays.set(old.storage, t.storage);
    }
    for (const [old, made] of arrays) old.array = made.array;
    for (const made of arrays.values()) device.release(made);
  }

  private record(): T {
    const { device } = this;
    const gpu = device.gpu as WebGpu;
    const started = performance.now();
    const calls: Call[] = [];
    device.recording = calls;
    this.compiles = true;
    let traced: Traced<T>;
    try {
      traced = this.traced();
    } finally {
      device.recording = null;
    }
    gpu.flush();
    const { out } = traced;
    this.adoptOrFree(traced);
    this.signature = signatureOf(calls, device.traceId);
    const bytes = calls.reduce((sum, c) => sum + c.bindings.reduce((s, b) => s + b.size, 0), 0);
    if (bytes > SMALL_STEP_BYTES) {
      // Not measured yet: assume the eager run's share of host time is small and cut generously.
      this.submitCount = Math.max(
        1,
        Math.min(Math.ceil(calls.length / 8), Math.ceil((performance.now() - started) / this.maxSubmitMs) + 7),
      );
    }
    this.plan(calls);
    return out;
  }

  /** Gives the temporaries their slots and makes the bind groups. */
  private plan(calls: Call[]): void {
    const gpu = this.device.gpu as WebGpu;
    const { storages, slots } = assignSlots(calls, (bytes, i) =>
      gpu.buffers.allocate(bytes, `slot ${i} of ${this.label}`),
    );
    this.slots = slots;
    this.steps = calls.map((call) => ({
      label: call.label,
      kernel: call.kernel,
      params: call.params,
      bytes: call.bindings.reduce((sum, b) => sum + (b.storage ? b.size : 0), 0),
      pipeline: gpu.pipelines.make(call.pipeline),
      group: gpu.bindGroup(call),
      grid: call.grid,
    }));
    for (const storage of storages) storage.buffer = null;
    gpu.buffers.trim();
  }

  private replay(): void {
    const gpu = this.device.gpu as WebGpu;
    gpu.flush();
    gpu.noteLabel(this.label);
    this.compiles = false;
    for (const commands of this.encode()) gpu.submit(commands);
    gpu.counts.dispatches += this.dispatches;
  }

  /** Encodes a run, one command buffer a submit, each as it is asked for. Public for the bench, which times it alone. */
  *encode(): Generator<GPUCommandBuffer, void> {
    const gpu = (this.device.gpu as WebGpu).gpu;
    const steps = this.steps as Step[];
    const size = Math.ceil(steps.length / this.submitCount);
    for (let from = 0; from < steps.length; from += size) {
      const encoder = gpu.createCommandEncoder({ label: this.label });
      const pass = encoder.beginComputePass();
      let current: GPUComputePipeline | null = null;
      const to = Math.min(steps.length, from + size);
      for (let i = from; i < to; i++) {
        const { pipeline, group, grid } = steps[i];
        if (grid[0] * grid[1] * grid[2] === 0) continue;
        if (pipeline !== current) {
          pass.setPipeline(pipeline);
          current = pipeline;
        }
        pass.setBindGroup(0, group);
        pass.dispatchWorkgroups(grid[0], grid[1], grid[2]);
      }
      pass.end();
      yield encoder.finish();
    }
  }

  /**
   * Call after each run in a loop: keeps at most two runs in flight, measures how long one takes, and sets how many
   * submits a run is cut into.
   */
  async pace(): Promise<void> {
    if (!this.device.gpu) {
      await this.device.settle();
      return;
    }
    if (this.inFlight === 0) {
      this.windowStart = performance.now();
      this.windowCompiles = this.compiles;
    }
    if (++this.inFlight < 2) return;
    await this.settle();
  }

  private windowStart = 0;
  private windowCompiles = false;

  /** Waits for the runs in flight. */
  async settle(): Promise<void> {
    if (!this.device.gpu || this.inFlight === 0) return;
    const elapsed = performance.now() - this.windowStart;
    const count = this.inFlight;
    const expected = Math.max(0, this.lastMs * count - elapsed);
    const overslept = await this.device.settle(expected);
    const ms = (performance.now() - this.windowStart) / count;
    this.inFlight = 0;
    if (!this.windowCompiles) this.measured(ms, overslept);
  }

  /** Takes note of how long a run took. @param overslept its length says nothing but that the work was shorter */
  private measured(ms: number, overslept: boolean): void {
    if (this.lastMs === 0) this.lastMs = ms;
    else this.lastMs = overslept ? 0.75 * this.lastMs : Math.min(ms, 1.25 * this.lastMs);
    this.submitCount = Math.max(1, Math.ceil(this.lastMs / this.maxSubmitMs));
  }

  /**
   * Compiles what the first run would compile, side by side where the driver allows it, and runs nothing. That run takes
   * as long as any other then. Without it, it compiles one kernel after another.
   *
   * @param onProgress hears how many kernels are compiled, out of how many that were not
   */
  async compile(onProgress?: CompileProgress): Promise<void> {
    const { device } = this;
    if (!device.gpu || this.steps) return;
    device.check();
    await device.gpu.pipelines.compile(
      this.trace().map((call) => call.pipeline),
      onProgress,
    );
    device.check();
  }

  /** What the function would dispatch, without running it. */
  private trace(): Call[] {
    const { device } = this;
    const calls: Call[] = [];
    device.recording = calls;
    device.tracing = true;
    try {
      const { out } = this.traced();
      freeMade(device, out, device.traceId);
    } finally {
      device.recording = null;
      device.tracing = false;
    }
    return calls;
  }

  /** Traces the function again and asserts that it would dispatch the very same list. */
  retrace(): void {
    const { device } = this;
    const now = signatureOf(this.trace(), device.traceId);
    const at = now.findIndex((s, i) => s !== this.signature[i]);
    if (at >= 0 || now.length !== this.signature.length) {
      const i = at >= 0 ? at : Math.min(now.length, this.signature.length);
      throw new Error(
        `${this.label}: the step is not the same as when it was recorded; dispatch ${i} was ${this.signature[i] ?? 'absent'}, is ${now[i] ?? 'absent'}. What varies between steps must live in buffers`,
      );
    }
    this.poison();
  }

  /** Fills the slots with NaN bits, so that a kernel that relies on what it did not write is found out. */
  private poison(): void {
    const gpu = this.device.gpu as WebGpu;
    for (const slot of this.slots) gpu.buffers.fillWithNaN(slot);
  }

  /** GPU time by kernel of one run, longest first; it is run with a pass for each dispatch. */
  async profile(options: ProfileOptions = {}): Promise<KernelTime[]> {
    if (!this.device.caps?.timestamps) throw new Error('profile: the adapter has no timestamp-query');
    if (!this.steps) this.run();
    return profile(this.device.gpu as WebGpu, this.steps as Step[], options);
  }

  /** Frees slots and outputs; a later run records again. */
  dispose(): void {
    this.freeOutputs();
    this.steps = null;
    this.dispatchesOfHost = null;
    this.releaseHost?.();
    this.releaseHost = null;
    const gpu = this.device.gpu;
    if (gpu) for (const slot of this.slots) gpu.buffers.destroy(slot);
    this.slots = [];
  }
}

/** Frees the outputs that a trace made itself; one that it merely handed on (a parameter, its gradient) lives on. */
function freeMade(device: Device, outputs: Record<string, Tensor>, trace: number): void {
  for (const { storage } of Object.values(outputs)) if (storage.trace === trace) device.release(storage);
}
