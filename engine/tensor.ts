/** Tensors: contiguous, row-major, f32 or u32, on one device. */
import type { Device } from './device.ts';

export type DType = 'f32' | 'u32';
export type Shape = readonly number[];
export type NumericArray = Float32Array | Float64Array | Uint32Array;

/** Offsets of bindings are multiples of this many bytes on every adapter. */
export const ALIGN = 256;

export const sizeOf = (shape: Shape): number => shape.reduce((a, b) => a * b, 1);
export const showShape = (shape: Shape): string => `[${shape.join(',')}]`;
export const alignUp = (n: number, to = ALIGN): number => Math.ceil(n / to) * to;

/** The memory behind tensors: a whole GPU buffer or a typed array. A buffer is made when it is first touched. */
export class Storage {
  buffer: GPUBuffer | null = null;
  array: NumericArray | null = null;
  released = false;
  temporary: boolean;
  /** Whether a dispatch or the host wrote to it; before that it reads as zeros, whatever the memory held. */
  written = false;
  /** The program that it is an output of, which alone may free it. */
  owner: string | null = null;
  /** The trace that made it (0 outside of programs). */
  trace = 0;
  readonly bytes: number;
  readonly label: string;

  constructor(bytes: number, label: string, temporary: boolean) {
    this.bytes = bytes;
    this.label = label;
    this.temporary = temporary;
  }
}

/** What the handles of one value share (reshape makes a second handle): whether it is differentiated, its gradient. */
export interface GradState {
  requiresGrad: boolean;
  grad: Tensor | null;
  /** A leaf's gradient exists from the start, zeroed, and accumulates until it is zeroed. */
  leaf: boolean;
  /** Where the value is an activation's: what tells its slope, and the gradient that already has it as a factor. */
  inner?: { z: Tensor; act: number; grad: Tensor | null };
}

export interface TensorOptions {
  label?: string;
  requiresGrad?: boolean;
}

export class Tensor {
  readonly device: Device;
  readonly storage: Storage;
  readonly shape: Shape;
  readonly dtype: DType;
  /** First element, counted in elements from the start of the storage. */
  readonly offset: number;
  readonly label: string;
  readonly state: GradState;

  constructor(
    device: Device,
    storage: Storage,
    shape: Shape,
    dtype: DType,
    label: string,
    offset = 0,
    state: GradState = { requiresGrad: false, grad: null, leaf: false },
  ) {
    this.device = device;
    this.storage = storage;
    this.shape = shape;
    this.dtype = dtype;
    this.label = label;
    this.offset = offset;
    this.state = state;
  }

  get size(): number {
    return sizeOf(this.shape);
  }

  get rank(): number {
    return this.shape.length;
  }

  get requiresGrad(): boolean {
    return this.state.requiresGrad;
  }

  /** The gradient of the last `backward`, in this tensor's shape, or null. */
  get grad(): Tensor | null {
    const g = this.state.grad;
    return g && (g.shape === this.shape ? g : g.reshape(this.shape));
  }

  /** The same values under another shape of equal size; free, and gradients pass through it. */
  reshape(shape: Shape): Tensor {
    if (sizeOf(shape) !== this.size) {
      throw new Error(`reshape: sizes differ, ${showShape(this.shape)} → ${showShape(shape)}`);
    }
    return new Tensor(this.device, this.storage, shape, this.dtype, this.label, this.offset, this.state);
  }

  /** Rows [from, to) of the first axis as a view without a gradient; its start must be aligned to 256 bytes. */
  rows(from: number, to: number): Tensor {
    const width = this.size / Math.max(1, this.shape[0]);
    if (from < 0 || to > this.shape[0] || from > to) {
      throw new Error(`rows: ${from} to ${to} is outside of ${showShape(this.shape)}`);
    }
    const offset = this.offset + from * width;
    if ((offset * 4) % ALIGN !== 0) {
      throw new Error(`rows: row ${from} of ${showShape(this.shape)} does not start at a multiple of ${ALIGN} bytes`);
    }
    return new Tensor(this.device, this.storage, [to - from, ...this.shape.slice(1)], this.dtype, this.label, offset);
  }

  /** The values, read back from the device. Waits for the work before it. */
  async data(): Promise<NumericArray> {
    return (await this.device.read([this])).values[0];
  }

  /** The one value of a tensor of size one. */
  async item(): Promise<number> {
    if (this.size !== 1) throw new Error(`item: a single value was expected, came ${showShape(this.shape)}`);
    return (await this.data())[0];
  }

  /** Takes the tensor out of the scope or step that made it: it lives until `dispose()`. */
  keep(): this {
    this.device.keep(this);
    return this;
  }

  /** Frees the memory. A disposed tensor throws when used; an output of a program lives and dies with the program. */
  dispose(): void {
    const { owner, released } = this.storage;
    if (owner !== null && !released) {
      throw new Error(
        `dispose: ${this.label} ${showShape(this.shape)} is an output of the program "${owner}", which writes to it again; dispose the program`,
      );
    }
    this.device.release(this.storage);
    const grad = this.state.grad;
    if (grad && grad.storage !== this.storage) this.device.release(grad.storage);
  }

  /** Runs the tape backwards from this scalar; see `backward` in autograd.ts. */
  backward(): void {
    this.device.tape.backward(this);
  }

  /** Shape, type and, where they are at hand on the CPU device, the first values. */
  toString(): string {
    const head = `${this.label} ${this.dtype}${showShape(this.shape)}`;
    if (this.storage.released) return `${head} (freed)`;
    const array = this.storage.array;
    if (!array) return `${head} on ${this.device.name}`;
    return `${head} ${preview(array.subarray(this.offset, this.offset + this.size))}`;
  }

  /** Like `toString`, with values from any device. */
  async show(): Promise<string> {
    return `${this.label} ${this.dtype}${showShape(this.shape)} ${preview(await this.data())}`;
  }
}

function preview(values: NumericArray): string {
  const some = Array.from(values.subarray(0, 6), (v) => (Number.isInteger(v) ? v : Number(v.toPrecision(5))));
  return `(${some.join(', ')}${values.length > 6 ? ', …' : ''})`;
}
