/**
 * The WebAssembly side of a device: one thread of SIMD on the host. Tensors lie in the module's memory; what a kernel of
 * kernels/wasm/ takes runs there, everything else as its reference, on views of the same memory.
 */
import type { Params } from '../kernel.ts';
import { alignUp, type DType, type NumericArray, type Tensor } from '../tensor.ts';
import type { Arrays, Reference } from '../reference.ts';
import { type Addresses, KERNELS } from './kernels.ts';

const PAGE = 65536;
/** Bytes that every address is a multiple of. */
const LINE = 64;
/** Memory ends here: addresses are 32 bits. */
const MOST_PAGES = 65536;

/** Bytes that are handed out for so many: large sizes in steps of a quarter, so that free memory fits again. */
function sizeClass(bytes: number): number {
  const n = alignUp(bytes, LINE);
  return n <= PAGE ? n : alignUp(n, 2 ** (Math.floor(Math.log2(n - 1)) - 2));
}

/** Addresses by the bytes that lie there. */
type Free = Map<number, number[]>;

let compiled: Promise<WebAssembly.Module> | null = null;
/** The module, compiled once. */
async function compile(): Promise<WebAssembly.Module> {
  const { module } = await import('../../kernels/wasm.ts'); // loaded only where it runs
  return WebAssembly.compile(Uint8Array.from(atob(module), (c) => c.charCodeAt(0)));
}

export class Wasm {
  private readonly memory: WebAssembly.Memory;
  private readonly exports: Record<string, (...args: number[]) => void>;
  /** What lies beyond was never handed out. */
  private end: number;
  private readonly free: Free = new Map();
  /** While `reserve` runs: what is free for it alone, and what it was given so far. */
  private reserved: Free | null = null;
  private owned: Set<number> | null = null;
  private scratchAt = 0;
  private scratchBytes = 0;
  /** Bytes handed out now, and the most that were. */
  readonly counts: { bytes: number; peakBytes: number } = { bytes: 0, peakBytes: 0 };
  /** Names of kernels → what ran: `wasm`, `reference`. */
  readonly used: Map<string, Set<string>> = new Map();

  private constructor(memory: WebAssembly.Memory, exports: Wasm['exports']) {
    this.memory = memory;
    this.exports = exports;
    this.end = memory.buffer.byteLength;
  }

  /** @throws Error where the host compiles no WebAssembly (a page whose policy lacks `wasm-unsafe-eval`) */
  static async open(): Promise<Wasm> {
    compiled ??= compile();
    const memory = new WebAssembly.Memory({ initial: 1, maximum: MOST_PAGES });
    const { exports } = await WebAssembly.instantiate(await compiled, { env: { memory } });
    return new Wasm(memory, exports as unknown as Wasm['exports']);
  }

  /** The address of memory that may hold anything. @throws Error where 4 GiB are not enough */
  allocate(bytes: number, label: string): number {
    const size = sizeClass(bytes);
    const at = this.reserved?.get(size)?.pop() ?? this.free.get(size)?.pop() ?? this.extend(size, label);
    this.owned?.add(at);
    this.counts.bytes += size;
    this.counts.peakBytes = Math.max(this.counts.peakBytes, this.counts.bytes);
    return at;
  }

  private extend(size: number, label: string): number {
    const at = this.end;
    const missing = Math.ceil((at + size - this.memory.buffer.byteLength) / PAGE);
    if (missing > 0) {
      const pages = this.memory.buffer.byteLength / PAGE;
      try {
        this.memory.grow(Math.max(missing, Math.min(pages >> 2, MOST_PAGES - pages)));
      } catch {
        throw new Error(
          `out of memory for ${label}: WebAssembly holds at most 4 GiB, ${(at / 2 ** 30).toFixed(1)} GiB are taken`,
        );
      }
    }
    this.end = at + size;
    return at;
  }

  /** Takes back what `allocate` gave for so many bytes. */
  recycle(address: number, bytes: number): void {
    const size = sizeClass(bytes);
    this.counts.bytes -= size;
    const to = this.owned?.has(address) && this.reserved ? this.reserved : this.free;
    const free = to.get(size);
    if (free) free.push(address);
    else to.set(size, [address]);
  }

  /**
   * Runs `fn`, and keeps the memory that it takes and gives back for itself: whoever records what it does can repeat it
   * at the same addresses. What it does not give back belongs to its tensors, as ever.
   * @returns how to give up the memory that is kept
   */
  reserve<T>(fn: () => T): { result: T; release: () => void } {
    const reserved: Free = new Map();
    this.reserved = reserved;
    this.owned = new Set();
    const release = (): void => {
      for (const [size, addresses] of reserved) for (const address of addresses) this.recycle(address, size);
      reserved.clear();
    };
    let ended = false;
    try {
      const result = fn();
      ended = true;
      return { result, release };
    } finally {
      this.reserved = null;
      this.owned = null;
      for (const [size, { length }] of reserved) this.counts.bytes += size * length;
      if (!ended) release();
    }
  }

  /** The numbers at an address, until memory grows. */
  view(address: number, size: number, dtype: DType): NumericArray {
    const { buffer } = this.memory;
    return dtype === 'u32' ? new Uint32Array(buffer, address, size) : new Float32Array(buffer, address, size);
  }

  /** A dispatch, to be run as often as one likes: by a kernel, or where none takes it by its reference. */
  prepare(name: string, reference: Reference, tensors: Record<string, Tensor | null>, p: Params): () => void {
    const kernel = KERNELS[name];
    const taken = kernel !== undefined && kernel.takes?.(p) !== false;
    if (!this.used.has(name)) this.used.set(name, new Set());
    this.used.get(name)?.add(taken ? 'wasm' : 'reference');
    if (!taken) return this.prepareReference(reference, tensors, p);
    const at: Addresses = kernel.scratch ? { scratch: this.scratch(kernel.scratch(p)) } : {};
    for (const [name, t] of Object.entries(tensors)) at[name] = addressOf(t);
    const run = this.exports[kernel.name];
    const args = kernel.args(at, p);
    // biome-ignore lint/plugin: a fixed number of arguments, 19 at most
    return () => run.apply(null, args);
  }

  prepareReference(reference: Reference, tensors: Record<string, Tensor | null>, p: Params): () => void {
    // Addresses of now: a temporary has none any more when a program repeats what it recorded.
    const operands = Object.entries(tensors).map(([name, t]) => ({
      name,
      at: addressOf(t),
      size: t?.size ?? 0,
      dtype: t?.dtype ?? 'f32',
    }));
    return () => {
      const arrays: Arrays = {};
      for (const { name, at, size, dtype } of operands) arrays[name] = this.view(at, size, dtype);
      reference(arrays, p);
    };
  }

  /** Memory that kernels share, each while it runs. Recorded dispatches know its address: it is left where it is. */
  private scratch(bytes: number): number {
    if (bytes > this.scratchBytes) {
      this.scratchBytes = Math.max(bytes, 2 * this.scratchBytes);
      this.scratchAt = this.allocate(this.scratchBytes, 'scratch');
    }
    return this.scratchAt;
  }
}

/** Where a tensor lies, in bytes; 0 stands for none. */
const addressOf = (t: Tensor | null): number => (t ? t.storage.address + 4 * t.offset : 0);
