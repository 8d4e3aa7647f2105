/** One op to time: how to make its tensors, run it, and what it costs. */
import type { Device, NumericArray, Shape, Tensor } from '../engine/index.ts';

export interface BenchCase {
  name: string;
  /** Rows (or elements) of the case, and of the CPU reference's smaller one: naive loops are slow. */
  sizes: readonly [full: number, reference: number];
  /** Makes the tensors for a size and gives what runs the op once. */
  make(stock: Stock, size: number): () => void;
  /** What the case must do at least, whatever a kernel does beside it. */
  flop(size: number): number;
  /** Bytes that must be read and written at least. */
  bytes(size: number): number;
}

interface Disposable {
  dispose(): void;
}

/** Makes a case's tensors and frees them together. */
export class Stock {
  readonly device: Device;
  private readonly owned: Disposable[] = [];

  constructor(device: Device) {
    this.device = device;
  }

  own<T extends Disposable>(what: T): T {
    this.owned.push(what);
    return what;
  }

  /** Repeatable values in [−0.5, 0.5]. */
  f32(...shape: number[]): Tensor {
    return this.own(this.device.tensor(pseudo(shape), shape));
  }

  /** The same, requiring a gradient. */
  leaf(...shape: number[]): Tensor {
    return this.own(this.device.tensor(pseudo(shape), shape, { requiresGrad: true }));
  }

  of(data: NumericArray, shape?: Shape): Tensor {
    return this.own(this.device.tensor(data, shape));
  }

  dispose(): void {
    for (const x of this.owned.splice(0)) x.dispose();
  }
}

export function pseudo(shape: Shape): Float32Array {
  const n = shape.reduce((a, b) => a * b, 1);
  return Float32Array.from({ length: n }, (_, i) => Math.sin((i + 1) * 12.9898) * 0.5);
}
