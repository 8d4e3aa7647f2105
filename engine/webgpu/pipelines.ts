/**
 * Compute pipelines by kernel and constants: each is made at its first dispatch, or all that a program takes beforehand,
 * side by side.
 *
 * Most drivers compile where a pipeline is made, which Dawn does on threads of its own when asked for a promise. lavapipe
 * compiles in the thread of a device's queue, at the first dispatch, one shader after another, and keeps the results in a
 * cache on disk. There further devices of this process compile part of the list, each in its queue's thread, and the main
 * one finds in the cache what they have done.
 */
import type { GPUComputePipeline, GPUDevice } from './gpu-types.ts';
import { type Capabilities, type KernelText, lanes8 } from '../kernel.ts';
import { isNode } from './adapter.ts';

/** A kernel with its constants; `made` once it was dispatched or compiled. */
export interface Pipeline {
  readonly file: string;
  readonly text: KernelText;
  made: GPUComputePipeline | null;
}

/** Hears how many pipelines of a list are compiled. */
export type CompileProgress = (done: number, total: number) => void;

/** Further devices at most: on few cores they do no harm, and the longest kernel ends last on many. */
const HELPERS = 3;
/** Milliseconds between two looks at what is done: Dawn polls at every turn of the event loop, which would eat a core. */
const TURN = 5;

/** Whether shaders compile at their first dispatch: software drivers with subgroups of 8. */
const compilesLate = (caps: Capabilities): boolean => isNode() && lanes8(caps);

export class Pipelines {
  private readonly known = new Map<string, Pipeline>();
  private readonly gpu: GPUDevice;
  private readonly caps: Capabilities;
  /** Opens one more device of the same adapter. */
  private readonly another: () => Promise<GPUDevice | null>;
  private readonly counts: { pipelines: number };

  constructor(
    gpu: GPUDevice,
    caps: Capabilities,
    another: () => Promise<GPUDevice | null>,
    counts: { pipelines: number },
  ) {
    this.gpu = gpu;
    this.caps = caps;
    this.another = another;
    this.counts = counts;
  }

  /** The pipeline of this key, which is not made yet where it is new. */
  named(key: string, file: string, text: KernelText): Pipeline {
    let found = this.known.get(key);
    if (!found) {
      found = { file, text, made: null };
      this.known.set(key, found);
    }
    return found;
  }

  /** The pipeline itself; compiles now (or at its dispatch) where that was not done before. */
  make(pipeline: Pipeline): GPUComputePipeline {
    if (!pipeline.made) {
      pipeline.made = this.gpu.createComputePipeline(descriptor(this.gpu, pipeline));
      this.counts.pipelines++;
    }
    return pipeline.made;
  }

  /**
   * Compiles pipelines side by side. A kernel that does not compile fails the device, as with `make`.
   *
   * @param onProgress called after each one
   */
  async compile(pipelines: Iterable<Pipeline>, onProgress: CompileProgress = () => {}): Promise<void> {
    const list = [...new Set(pipelines)].filter((p) => !p.made);
    let done = 0;
    const tick = (): void => onProgress(++done, list.length);
    if (compilesLate(this.caps)) await resting(this.dispatchAll(list, tick));
    else await Promise.all(list.map((p) => this.makeAsync(p).then(tick)));
  }

  private async makeAsync(pipeline: Pipeline): Promise<void> {
    const made = await makeOn(this.gpu, pipeline);
    if (!made || pipeline.made) return;
    pipeline.made = made;
    this.counts.pipelines++;
  }

  /**
   * Goes through the list from its front on the main device, longest text first, and from its back on the others, until
   * they meet. The main one goes on to the end, where it waits for what another has in hand.
   */
  private async dispatchAll(list: Pipeline[], tick: () => void): Promise<void> {
    list.sort((a, b) => b.text.code.length - a.text.code.length);
    const inHand: Promise<void>[] = [];
    let front = 0;
    let back = list.length;
    const own = async (): Promise<void> => {
      for (; front < list.length; front++) {
        const helped = inHand[front];
        if (helped) await helped;
        await this.makeAsync(list[front]);
        const { text, made } = list[front];
        if (made) await dispatchNothing(this.gpu, text, made);
        if (!helped) tick();
      }
    };
    const help = async (): Promise<void> => {
      const gpu = await this.another().catch(() => null); // it only helps: without it the main device compiles all
      if (!gpu) return;
      try {
        while (back - 1 > front) {
          back -= 1;
          const at = back;
          const work = async (): Promise<void> => {
            const made = await makeOn(gpu, list[at]);
            if (made) await dispatchNothing(gpu, list[at].text, made);
          };
          inHand[at] = work().catch(() => {}); // lost: the main device compiles it
          await inHand[at];
          tick();
        }
      } finally {
        gpu.destroy();
      }
    };
    const helpers = Math.min(HELPERS, list.length - 1);
    await Promise.all([own(), ...Array.from({ length: Math.max(0, helpers) }, help)]);
  }
}

function descriptor(gpu: GPUDevice, { file, text }: Pipeline) {
  const module = gpu.createShaderModule({ code: text.code, label: file });
  return { layout: 'auto' as const, compute: { module, entryPoint: 'main' }, label: file };
}

/** The pipeline on this device, or null where it cannot be had. */
const makeOn = (gpu: GPUDevice, pipeline: Pipeline): Promise<GPUComputePipeline | null> =>
  gpu.createComputePipelineAsync(descriptor(gpu, pipeline)).catch(() => null);

/** Dispatches no workgroup at all, which has the driver compile and nothing run, and waits for it. */
async function dispatchNothing(gpu: GPUDevice, { bindings }: KernelText, pipeline: GPUComputePipeline): Promise<void> {
  const buffer = (usage: number): GPUBuffer => gpu.createBuffer({ size: 256, usage });
  const buffers = bindings.map((b) => buffer(b.kind === 'uniform' ? GPUBufferUsage.UNIFORM : GPUBufferUsage.STORAGE));
  const none = buffer(GPUBufferUsage.INDIRECT); // zeros
  const group = gpu.createBindGroup({
    layout: pipeline.getBindGroupLayout(0),
    entries: bindings.map((b, i) => ({ binding: b.index, resource: { buffer: buffers[i] } })),
  });
  const encoder = gpu.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, group);
  pass.dispatchWorkgroupsIndirect(none, 0);
  pass.end();
  gpu.queue.submit([encoder.finish()]);
  await gpu.queue.onSubmittedWorkDone();
  for (const b of [...buffers, none]) b.destroy();
}

/** Waits for work of the driver's threads, and leaves them the cores meanwhile. */
async function resting<T>(work: Promise<T>): Promise<T> {
  let pending = true;
  const over = work.finally(() => {
    pending = false;
  });
  const sleeper = new Int32Array(new SharedArrayBuffer(4));
  while (pending) {
    await new Promise((resolve) => setImmediate(resolve));
    if (pending) Atomics.wait(sleeper, 0, 0, TURN);
  }
  return over;
}
