/** Buffers on the device: made, handed out from a pool of free ones by size, and counted. */
import type { Capabilities } from '../kernel.ts';
import { alignUp, type Storage } from '../tensor.ts';
import type { GPUBuffer, GPUDevice } from './gpu-types.ts';

/** Bits of a NaN: what memory is full of that a test poisons. */
export const POISON = 0x7fc00000;

/** How every buffer of tensors is used; read when called, since Node has `GPUBufferUsage` only once Dawn is loaded. */
export const storageUsage = (): number => GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC;

/** What the pool requires of the device it belongs to. */
interface PoolOwner {
  readonly gpu: GPUDevice;
  readonly caps: Capabilities;
  readonly counts: { buffers: number; bytes: number; peakBytes: number };
  check(): void;
  fail(message: string): void;
  flush(): void;
}

export class BufferPool {
  /** Whether buffers are handed out full of NaN bits (tests). */
  poison = false;
  private readonly owner: PoolOwner;
  private readonly pool = new Map<number, GPUBuffer[]>();

  constructor(owner: PoolOwner) {
    this.owner = owner;
  }

  /** A buffer of at least `bytes`, from the pool if one of that size class is free. */
  allocate(bytes: number, label: string): GPUBuffer {
    const exact = alignUp(bytes);
    const size = Math.max(exact, Math.min(sizeClass(bytes), this.owner.caps.maxBufferBytes));
    const free = this.pool.get(size)?.pop();
    if (free) {
      if (this.poison) this.fillWithNaN(free);
      return free;
    }
    if (size > this.owner.caps.maxBufferBytes) {
      throw new Error(
        `${label}: expected at most ${mib(this.owner.caps.maxBufferBytes)}, the adapter's largest buffer, got ${mib(size)}`,
      );
    }
    this.owner.check();
    this.owner.gpu.pushErrorScope('out-of-memory');
    const buffer = this.owner.gpu.createBuffer({ size, usage: storageUsage(), label });
    this.owner.gpu.popErrorScope().then(
      (error) =>
        error &&
        this.owner.fail(
          `out of memory for ${label} (${mib(size)}, ${mib(this.owner.counts.bytes)} in use): ${error.message}`,
        ),
      () => {},
    );
    this.owner.counts.buffers++;
    this.owner.counts.bytes += size;
    this.owner.counts.peakBytes = Math.max(this.owner.counts.peakBytes, this.owner.counts.bytes);
    if (this.poison) this.fillWithNaN(buffer);
    return buffer;
  }

  /** Overwrites a buffer with NaN bits, after all that was dispatched before. */
  fillWithNaN(buffer: GPUBuffer): void {
    this.owner.flush();
    this.owner.gpu.queue.writeBuffer(buffer, 0, new Uint32Array(buffer.size / 4).fill(POISON));
  }

  /** Gives a buffer back for reuse; later dispatches run after those that still use it. */
  recycle(buffer: GPUBuffer): void {
    const list = this.pool.get(buffer.size);
    if (list) list.push(buffer);
    else this.pool.set(buffer.size, [buffer]);
  }

  /** Destroys what lies unused in the pool. */
  trim(): void {
    this.owner.flush();
    for (const list of this.pool.values()) for (const buffer of list) this.destroy(buffer);
    this.pool.clear();
  }

  destroy(buffer: GPUBuffer): void {
    this.owner.counts.buffers--;
    this.owner.counts.bytes -= buffer.size;
    buffer.destroy();
  }

  of(storage: Storage): GPUBuffer {
    storage.buffer ??= this.allocate(storage.bytes, storage.label);
    return storage.buffer;
  }
}

/** Sizes of pooled buffers: multiples of 256 bytes up to 64 KiB, then eighths of powers of two. */
function sizeClass(bytes: number): number {
  const n = alignUp(Math.max(bytes, 16));
  if (n <= 65536) return n;
  return alignUp(n, 2 ** (Math.floor(Math.log2(n - 1)) - 2));
}

export const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(bytes < 2 ** 20 ? 3 : 1)} MiB`;
