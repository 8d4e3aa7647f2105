/**
 * The tuner: for kernels with several variants or tile sizes, times the few candidates that the adapter and the shapes
 * allow, once for a class of shapes, and remembers the fastest for that adapter. It only runs when asked to. A device
 * loads what was measured when it opens and never measures by itself: one choice of kernels, one result, bit for bit.
 */
import type { Device } from '../device.ts';
import { choiceOf, classOf, type Kernel, type Params, software } from '../kernel.ts';
import type { DType, Shape, Tensor } from '../tensor.ts';
import type { Choices } from '../webgpu/variant-choice.ts';
import type { Call, WebGpu } from '../webgpu/webgpu.ts';

/** Where measured choices are kept, by adapter: a file in Node, OPFS in Chrome (`OpfsTuningStore`). */
export interface TuningStore {
  /** Null where nothing was measured on this adapter. */
  load(adapter: string): Promise<Choices | null>;
  save(adapter: string, choices: Choices): Promise<void>;
}

/** What a measurement holds for: the adapter, its driver as far as it tells, and what translates the shaders. */
export function adapterKey(gpu: WebGpu, runtime: string): string {
  const { vendor, architecture, device, description } = gpu.info;
  return [vendor, architecture, device, description, runtime].map((s) => s || '-').join(' | ');
}

/** Text in the store's format; unknown or damaged text counts as nothing measured. */
export function parseChoices(text: string): Choices | null {
  try {
    const { version, choices } = JSON.parse(text) as { version: number; choices: Choices };
    if (version !== 1 || typeof choices !== 'object' || choices === null) return null;
    const sound = Object.values(choices).every(
      (byClass) => typeof byClass === 'object' && Object.values(byClass).every((choice) => typeof choice === 'string'),
    );
    return sound ? choices : null;
  } catch {
    return null;
  }
}

export function formatChoices(adapter: string, choices: Choices): string {
  return `${JSON.stringify({ version: 1, adapter, choices }, null, 1)}\n`;
}

/** A short name for a file, from the adapter's. */
export function storeName(adapter: string): string {
  let h = 2166136261;
  for (let i = 0; i < adapter.length; i++) h = Math.imul(h ^ adapter.charCodeAt(i), 16777619);
  return `tuning-${(h >>> 0).toString(16).padStart(8, '0')}.json`;
}

interface Sample {
  kernel: Kernel;
  shape: string;
  params: Params;
  tensors: Record<string, { shape: Shape; dtype: DType } | null>;
}

export interface TuneRow {
  kernel: string;
  /** Class of the shapes, as `classOf` gives it. */
  shape: string;
  /** Milliseconds of a dispatch by candidate, fastest first. */
  times: { choice: string; ms: number }[];
  /** What runs without the measurement. */
  untuned: string;
}

/** Another candidate than the untuned one must be at least so much faster, or noise would decide. */
const MARGIN = 0.95;
const ROUNDS = 3;

/** Runs `fn` and collects, for every class of shapes that it touches, one dispatch of each tuned kernel. */
export function collectShapes(device: Device, fn: () => void): Sample[] {
  const gpu = device.gpu as WebGpu;
  const found = new Map<string, Sample>();
  gpu.watch = (kernel, tensors, params) => {
    const shape = classOf(kernel, params);
    if (shape === null || found.has(`${kernel.name} ${shape}`)) return;
    if (gpu.variants.candidates(kernel, params).length < 2) return;
    const sizes = Object.entries(tensors).map(([name, t]) => [name, t && { shape: t.shape, dtype: t.dtype }]);
    found.set(`${kernel.name} ${shape}`, { kernel, shape, params, tensors: Object.fromEntries(sizes) });
  };
  try {
    fn();
  } finally {
    gpu.watch = null;
  }
  return [...found.values()];
}

/**
 * Times the candidates of the samples; `onRow` hears of each class as it is done, and of all choices so far. On a
 * software adapter only those are timed that suit it, beside what runs without the measurement: what is made for a GPU was
 * never near there, and takes seconds each to compile.
 */
export async function tune(
  device: Device,
  samples: readonly Sample[],
  onRow?: (row: TuneRow, choices: Choices) => void | Promise<void>,
) {
  const gpu = device.gpu as WebGpu;
  const choices: Choices = {};
  const rows: TuneRow[] = [];
  gpu.variants.setTuned({});
  for (const sample of samples) {
    const { kernel, shape, params } = sample;
    const untuned = choiceOf(gpu.variants.select(kernel, params));
    const tensors = fillIn(device, sample);
    const best = new Map<string, number>();
    const names = gpu.variants
      .candidates(kernel, params)
      .filter((v) => !software(gpu.caps) || choiceOf(v) === untuned || (v.suits?.(gpu.caps, params) ?? true))
      .map(choiceOf);
    for (let round = 0; round < ROUNDS; round++) {
      // Interleaved, so that what disturbs the machine disturbs them alike.
      for (const name of names) {
        const fastest = best.get(name) ?? Number.POSITIVE_INFINITY;
        if (round > 0 && fastest > 4 * [...best.values()].reduce((a, b) => Math.min(a, b))) continue; // hopeless
        best.set(name, Math.min(fastest, await time(gpu, force(gpu, kernel, name, tensors, params))));
      }
    }
    for (const t of Object.values(tensors)) t?.dispose();
    const times = [...best].map(([choice, ms]) => ({ choice, ms })).sort((a, b) => a.ms - b.ms);
    const now = best.get(untuned) ?? Number.POSITIVE_INFINITY;
    choices[kernel.name] ??= {};
    choices[kernel.name][shape] = times[0].ms < MARGIN * now ? times[0].choice : untuned;
    const row = { kernel: kernel.name, shape, times, untuned };
    rows.push(row);
    await onRow?.(row, choices);
  }
  return { choices, rows };
}

function force(
  gpu: WebGpu,
  kernel: Kernel,
  choice: string,
  tensors: Record<string, Tensor | null>,
  params: Params,
): Call {
  gpu.variants.forced.set(kernel.name, choice);
  try {
    return gpu.prepare(kernel, tensors, params);
  } finally {
    gpu.variants.forced.delete(kernel.name);
  }
}

/** Tensors of the sample's sizes with ordinary values. */
function fillIn(device: Device, { tensors }: Sample): Record<string, Tensor | null> {
  const made: Record<string, Tensor | null> = {};
  for (const [name, like] of Object.entries(tensors)) {
    const n = like?.shape.reduce((a, b) => a * b, 1) ?? 0;
    const data =
      like?.dtype === 'u32'
        ? new Uint32Array(n)
        : Float32Array.from({ length: n }, (_, i) => ((i * 37) % 101) / 100 - 0.5);
    made[name] = like && device.tensor(data, like.shape, { label: `tuning ${name}` });
  }
  return made;
}

/** Milliseconds of one dispatch: enough of them in one pass that submitting and waiting does not count. */
async function time(gpu: WebGpu, call: Call): Promise<number> {
  const group = gpu.bindGroup(call);
  const run = async (repeat: number): Promise<number> => {
    gpu.flush();
    await gpu.settle();
    const started = performance.now();
    const encoder = gpu.gpu.createCommandEncoder({ label: 'tuning' });
    const pass = encoder.beginComputePass();
    pass.setPipeline(gpu.pipelines.make(call.pipeline));
    pass.setBindGroup(0, group);
    const [x, y, z] = call.grid;
    for (let i = 0; i < repeat; i++) pass.dispatchWorkgroups(x, y, z);
    pass.end();
    gpu.submit(encoder.finish());
    await gpu.settle();
    return (performance.now() - started) / repeat;
  };
  await run(1); // compiles
  const once = await run(1);
  return run(Math.max(1, Math.min(200, Math.round(20 / once))));
}
