/**
 * Record and replay. The first run of a step is eager and is recorded; at its end the lifetimes of its temporaries
 * are known, they are given slots (whole buffers, shared by tensors that never live at the same time), and bind
 * groups are made. Every later run encodes the recorded list into one compute pass and one submit and creates
 * nothing. A run longer than 250 ms is cut into several submits, since desktop systems reset a GPU that is busy for
 * about two seconds.
 *
 * Whatever differs between runs must therefore live in buffers that the host writes before the run.
 * On the CPU device there is nothing to record: every run calls the function, and its outputs take the place of those of
 * the run before.
 *
 * A program remembers every storage that it reads or writes and that outlives it, and refuses to run once one was freed.
 */
import type { GPUBindGroup, GPUBuffer, GPUCommandBuffer, GPUComputePipeline } from './gpu-types.ts';
import type { Device } from './device.ts';
import type { Params } from './kernel.ts';
import { type NumericArray, type Storage, showShape, type Tensor } from './tensor.ts';
import type { Call } from './webgpu.ts';

export interface ProgramOptions {
  /** Longest submit, in milliseconds. */
  maxSubmitMs?: number;
}

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

interface Step {
  label: string;
  kernel: string;
  params: Params;
  /** Of its storage bindings. */
  bytes: number;
  pipeline: GPUComputePipeline;
  group: GPUBindGroup;
  grid: readonly [number, number, number];
}

/** A step whose run touches less than this cannot take long; its first replay is one submit without a measurement. */
const SMALL_STEP_BYTES = 64 * 2 ** 20;

export class Program<T extends Record<string, Tensor>> {
  readonly label: string;
  private readonly device: Device;
  private readonly fn: () => T;
  private readonly maxSubmitMs: number;
  private steps: Step[] | null = null;
  private signature: string[] = [];
  private slots: GPUBuffer[] = [];
  private outputs: T | null = null;
  /** The trace that made the outputs. */
  private outputTrace = 0;
  /** What a run reads or writes beside its temporaries, a tensor for each storage. */
  private bound: readonly Tensor[] = [];
  private runs = 0;
  /** Calls of `values` that wait. */
  private reads = 0;
  private parts = 1;
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
    return this.steps?.length ?? 0;
  }

  /** Submits that one run makes. */
  get submits(): number {
    return this.parts;
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
    const begun = performance.now();
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
      if (alone && !compiles) this.measured(performance.now() - begun, expected, read.polled);
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

  private runOnCpu(): T {
    const { outputs } = this;
    const { out, touched } = this.traced();
    if (!outputs) {
      try {
        this.adopt(out, touched);
      } catch (error) {
        freeMade(this.device, out, this.device.traceId);
        throw error;
      }
      return out;
    }
    this.takeOver(outputs, out);
    return outputs;
  }

  /** Runs the function in a scope with the op counter at 0, keeps its outputs, and says what it read and wrote. */
  private traced(): { out: T; touched: ReadonlyMap<Storage, Tensor> } {
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
    const gpu = device.gpu as NonNullable<Device['gpu']>;
    const started = performance.now();
    const calls: Call[] = [];
    device.recording = calls;
    this.compiles = true;
    let traced: ReturnType<typeof this.traced>;
    try {
      traced = this.traced();
    } finally {
      device.recording = null;
    }
    gpu.flush();
    const { out, touched } = traced;
    try {
      this.adopt(out, touched);
    } catch (error) {
      freeMade(device, out, device.traceId);
      throw error;
    }
    this.signature = sign(calls, device.traceId);
    const bytes = calls.reduce((sum, c) => sum + c.bindings.reduce((s, b) => s + b.size, 0), 0);
    if (bytes > SMALL_STEP_BYTES) {
      // Not measured yet: assume the eager run's share of host time is small and cut generously.
      this.parts = Math.max(
        1,
        Math.min(Math.ceil(calls.length / 8), Math.ceil((performance.now() - started) / this.maxSubmitMs) + 7),
      );
    }
    this.plan(calls);
    return out;
  }

  /** Gives every temporary a slot by its first and last use, and makes the bind groups. */
  private plan(calls: Call[]): void {
    const gpu = this.device.gpu as NonNullable<Device['gpu']>;
    const lives = new Map<Storage, { first: number; last: number }>();
    calls.forEach((call, i) => {
      for (const { storage } of call.bindings) {
        if (!storage || !isTemporary(storage)) continue;
        const life = lives.get(storage);
        if (life) life.last = i;
        else lives.set(storage, { first: i, last: i });
      }
    });
    const expiring: { last: number; buffer: GPUBuffer }[] = [];
    const free: GPUBuffer[] = [];
    for (const [storage, life] of lives) {
      for (let i = expiring.length - 1; i >= 0; i--) {
        if (expiring[i].last < life.first) for (const { buffer } of expiring.splice(i, 1)) free.push(buffer);
      }
      const fit = free.filter((b) => b.size >= storage.bytes).sort((a, b) => a.size - b.size)[0];
      let buffer = fit && fit.size <= storage.bytes * 4 + 65536 ? fit : null;
      if (buffer) free.splice(free.indexOf(buffer), 1);
      else {
        buffer = gpu.allocate(storage.bytes, `slot ${this.slots.length} of ${this.label}`);
        this.slots.push(buffer);
      }
      storage.buffer = buffer;
      expiring.push({ last: life.last, buffer });
    }
    this.steps = calls.map((call) => ({
      label: call.label,
      kernel: call.kernel,
      params: call.params,
      bytes: call.bindings.reduce((sum, b) => sum + (b.storage ? b.size : 0), 0),
      pipeline: call.pipeline,
      group: gpu.bindGroup(call),
      grid: call.grid,
    }));
    for (const storage of lives.keys()) storage.buffer = null;
    gpu.trim();
  }

  private replay(): void {
    const gpu = this.device.gpu as NonNullable<Device['gpu']>;
    gpu.flush();
    gpu.noteLabel(this.label);
    this.compiles = false;
    for (const commands of this.encode()) gpu.submit(commands);
    gpu.counts.dispatches += this.dispatches;
  }

  /** Encodes a run, one command buffer a submit, each as it is asked for. Public for the bench, which times it alone. */
  *encode(): Generator<GPUCommandBuffer, void> {
    const gpu = (this.device.gpu as NonNullable<Device['gpu']>).gpu;
    const steps = this.steps as Step[];
    const size = Math.ceil(steps.length / this.parts);
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
    const polled = await this.device.settle(expected);
    const ms = (performance.now() - this.windowStart) / count;
    this.inFlight = 0;
    if (!this.windowCompiles) this.measured(ms, expected, polled);
  }

  /** Takes note of how long a run took, of which the last `polled` milliseconds passed asking for it. */
  private measured(ms: number, expected: number, polled: number): void {
    // Done before it was asked for: the wait overslept, and its length says nothing but that the work was shorter.
    const overslept = expected > 4 && polled < 1;
    if (this.lastMs === 0) this.lastMs = ms;
    else this.lastMs = overslept ? 0.75 * this.lastMs : Math.min(ms, 1.25 * this.lastMs);
    this.parts = Math.max(1, Math.ceil(this.lastMs / this.maxSubmitMs));
  }

  /** Traces the function again without running it and asserts that it would dispatch the very same list. */
  retrace(): void {
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
    const now = sign(calls, device.traceId);
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
    const gpu = this.device.gpu as NonNullable<Device['gpu']>;
    for (const slot of this.slots) gpu.fillWithNaN(slot);
  }

  /** GPU time by kernel of one run, longest first; it is run with a pass for each dispatch. */
  async profile(options: ProfileOptions = {}): Promise<KernelTime[]> {
    const { runs = 1, flopOf } = options;
    if (!this.device.caps?.timestamps) throw new Error('profile: the adapter has no timestamp-query');
    if (!this.steps) this.run();
    const steps = this.steps as Step[];
    const totals = new Map<string, KernelTime>();
    for (let run = 0; run < runs; run++) {
      const times = await this.timeSteps(steps);
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

  /** Runs the steps and gives each one's GPU time, in milliseconds. */
  private async timeSteps(steps: readonly Step[]): Promise<number[]> {
    const gpu = this.device.gpu as NonNullable<Device['gpu']>;
    const milliseconds: number[] = [];
    const chunk = 1024;
    gpu.flush();
    for (let from = 0; from < steps.length; from += chunk) {
      const part = steps.slice(from, from + chunk);
      const querySet = gpu.gpu.createQuerySet({ type: 'timestamp', count: part.length * 2 });
      const resolve = gpu.gpu.createBuffer({ size: part.length * 16, usage: 0x200 | 0x04, label: 'timestamps' });
      const read = gpu.gpu.createBuffer({ size: part.length * 16, usage: 0x01 | 0x08, label: 'read timestamps' });
      const encoder = gpu.gpu.createCommandEncoder();
      part.forEach((step, i) => {
        const pass = encoder.beginComputePass({
          timestampWrites: { querySet, beginningOfPassWriteIndex: 2 * i, endOfPassWriteIndex: 2 * i + 1 },
        });
        pass.setPipeline(step.pipeline);
        pass.setBindGroup(0, step.group);
        pass.dispatchWorkgroups(step.grid[0], step.grid[1], step.grid[2]);
        pass.end();
      });
      encoder.resolveQuerySet(querySet, 0, part.length * 2, resolve, 0);
      encoder.copyBufferToBuffer(resolve, 0, read, 0, part.length * 16);
      gpu.submit(encoder.finish());
      await read.mapAsync(0x01);
      const times = new BigUint64Array(read.getMappedRange().slice(0));
      for (let i = 0; i < part.length; i++) milliseconds.push(Number(times[2 * i + 1] - times[2 * i]) / 1e6);
      querySet.destroy();
      resolve.destroy();
      read.destroy();
    }
    return milliseconds;
  }

  /** Frees slots and outputs; a later run records again. */
  dispose(): void {
    this.freeOutputs();
    this.steps = null;
    const gpu = this.device.gpu;
    if (gpu) for (const slot of this.slots) gpu.destroy(slot);
    this.slots = [];
  }
}

/** Frees the outputs that a trace made itself; one that it merely handed on (a parameter, its gradient) lives on. */
function freeMade(device: Device, outputs: Record<string, Tensor>, trace: number): void {
  for (const { storage } of Object.values(outputs)) if (storage.trace === trace) device.release(storage);
}

/** Whether nothing after the trace that made it can use it: it was never kept, or was freed before the trace ended. */
const isTemporary = (storage: Storage): boolean => storage.temporary || storage.released;

const ids = new WeakMap<object, number>();
let nextId = 0;

/**
 * One line a call: kernel, grid, bindings. What the trace itself made is named by order of appearance, so that two
 * traces compare equal; everything else, uniforms (shared by content) included, by the identity of its buffer.
 */
function sign(calls: readonly Call[], traceId: number): string[] {
  const order = new Map<object, string>();
  const nameOf = (storage: Storage | null, buffer: GPUBuffer | null): string => {
    if (storage && storage.trace === traceId) {
      if (!order.has(storage)) order.set(storage, `t${order.size}`);
      return order.get(storage) as string;
    }
    const key = (storage?.buffer ?? buffer ?? storage) as object;
    if (!ids.has(key)) ids.set(key, nextId++);
    return `#${ids.get(key)}`;
  };
  return calls.map((c) => {
    const bound = c.bindings.map((b) => `${b.name}=${nameOf(b.storage, b.buffer)}+${b.offset}:${b.size}`).join(' ');
    return `${c.label} (${c.grid.join('×')}) ${bound}`;
  });
}
