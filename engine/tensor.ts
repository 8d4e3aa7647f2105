/** Tensors: contiguous, row-major, f32 or u32, on one device. */
import type { GPUBuffer } from './webgpu/gpu-types.ts';
import type { Device } from './device.ts';

export type DType = 'f32' | 'u32';
export type Shape = readonly number[];
export type NumericArray = Float32Array | Float64Array | Uint32Array;

/** Offsets of bindings are multiples of this many bytes on every adapter. */
export const ALIGN = 256;

export const sizeOf = (shape: Shape): number => shape.reduce((a, b) => a * b, 1);
export const showShape = (shape: Shape): string => `[${shape.join(',')}]`;
export const alignUp = (n: number, to = ALIGN): number => Math.ceil(n / to) * to;

/** The memory behind tensors: a whole GPU buffer, made when it is first touched; an address; or a typed array. */
export class Storage {
  buffer: GPUBuffer | null = null;
  /** In WebAssembly's memory, in bytes; 0 for none. */
  address = 0;
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
  /**
   * In the shape of whichever handle it was made for: read it through `Tensor.grad`, `into` or `gradOf`, which give it in
   * the shape of theirs. A leaf's exists from the start, zeroed, and accumulates until it is zeroed; others have one
   * while `backward` runs.
   */
  grad: Tensor | null;
  leaf: boolean;
  /** What made the value; null for leaves and constants. */
  node: GraphNode | null;
  /**
   * Where the value is act(z): products send their gradient, with the slope at z as a factor, straight to that of z, a
   * handle with a gradient of its own.
   */
  inner?: { z: Tensor; act: number };
}

/** What one differentiable call left behind. */
export class GraphNode {
  /** Of those that require a gradient. */
  inputs: GradState[];
  readonly outputs: GradState[];
  readonly order: number;
  /** Null once the node has ended. */
  backward: (() => void) | null;
  /** How it ended, for messages. */
  end = '';

  constructor(order: number, inputs: GradState[], outputs: GradState[], backward: () => void) {
    this.order = order;
    this.inputs = inputs;
    this.outputs = outputs;
    this.backward = backward;
  }

  finish(how: string): void {
    if (!this.backward) return;
    this.backward = null;
    this.inputs = [];
    this.end = how;
  }
}

export interface TensorOptions {
  label?: string;
  requiresGrad?: boolean;
  /** By default u32 from typed arrays of integers, f32 from all other values. */
  dtype?: DType;
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
    state: GradState = { requiresGrad: false, grad: null, leaf: false, node: null },
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

  /** A leaf's gradient, in this tensor's shape; null for tensors that are no leaf (theirs are temporaries of `backward`). */
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

  /** The same values as a constant: no gradient passes through it. Free. */
  detach(): Tensor {
    return new Tensor(this.device, this.storage, this.shape, this.dtype, this.label, this.offset);
  }

  /**
   * Rows [from, to) of the first axis as a view; its start must be aligned to 256 bytes. A view has no gradient, so that a
   * tensor that requires one throws outside of `noGrad`.
   */
  rows(from: number, to: number): Tensor {
    if (this.requiresGrad && this.device.tape.enabled) {
      throw new Error(
        `rows: ${this.label} ${showShape(this.shape)} requires a gradient, which a view would not pass on; use slice(x, 0, ${from}, ${to}), or detach().rows() for the values alone`,
      );
    }
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
    if (this.size !== 1) throw new Error(`item: expected a single value, got ${showShape(this.shape)}`);
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

  /**
   * Adds the gradient of this scalar to that of every leaf that it depends on. The forward pass is spent then: a further
   * loss that shares a part of it wants `{ retainGraph: true }` here, or to be added to this one.
   * @throws Error unless it is a scalar that ops computed from leaves, and where its forward pass was spent
   */
  backward(options: { retainGraph?: boolean } = {}): void {
    this.device.tape.backward(this, options);
  }

  /** Shape, type and, where they are at hand, the first values. */
  toString(): string {
    const head = `${this.label} ${this.dtype}${showShape(this.shape)}`;
    if (this.storage.released) return `${head} (freed)`;
    const values = this.device.hostView(this);
    return values ? `${head} ${preview(values)}` : `${head} on ${this.device.name}`;
  }

  /** What `JSON.stringify` makes of it. */
  toJSON(): string {
    return this.toString();
  }

  /** How the consoles of browsers head it. */
  get [Symbol.toStringTag](): string {
    return `Tensor ${this.dtype}${showShape(this.shape)}`;
  }

  /** What `console.log` prints in Node. */
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString();
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
