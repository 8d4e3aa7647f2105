/** What the host gives a step anew each time, in one buffer that is written with one call. */
import type { Device } from './device.ts';
import { ALIGN, alignUp, type DType, type Shape, sizeOf, Storage, Tensor } from './tensor.ts';

export type InputSpec = Record<string, { shape: Shape; dtype: DType }>;

/**
 * Named views of one u32 buffer, each at an aligned offset, and their mirrors on the host. Fill the mirrors, then
 * `upload()`; a recorded step reads what was uploaded before its run.
 */
export class Inputs<S extends InputSpec> {
  /** On the device. */
  readonly tensors: { readonly [K in keyof S]: Tensor };
  /** On the host: Uint32Array or Float32Array by dtype. */
  readonly host: {
    readonly [K in keyof S]: NonNullable<S[K]>['dtype'] extends 'f32'
      ? Float32Array<ArrayBuffer>
      : Uint32Array<ArrayBuffer>;
  };
  private readonly words: Uint32Array<ArrayBuffer>;
  private readonly base: Tensor;

  constructor(device: Device, spec: S, label = 'inputs') {
    const layout: [string, number, S[string]][] = [];
    let at = 0;
    for (const [name, s] of Object.entries(spec)) {
      layout.push([name, at, s as S[string]]);
      at += alignUp(Math.max(4, sizeOf(s.shape) * 4), ALIGN) / 4;
    }
    this.words = new Uint32Array(at);
    const storage = new Storage(at * 4, label, false);
    device.allocate(storage, 'u32');
    this.base = new Tensor(device, storage, [at], 'u32', label);
    const tensors: Record<string, Tensor> = {};
    const host: Record<string, Float32Array | Uint32Array> = {};
    for (const [name, offset, { shape, dtype }] of layout) {
      tensors[name] = device.view(this.base, offset, shape, dtype, name);
      const View = dtype === 'f32' ? Float32Array : Uint32Array;
      host[name] = new View(this.words.buffer, offset * 4, sizeOf(shape));
    }
    this.tensors = tensors as this['tensors'];
    this.host = host as this['host'];
  }

  upload(): void {
    this.base.device.write(this.base, this.words);
  }

  dispose(): void {
    this.base.dispose();
  }
}
