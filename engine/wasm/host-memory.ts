/** Memory of tensors on the host: typed arrays, or a part of WebAssembly's memory. */
import type { DType, NumericArray, Storage, Tensor } from '../tensor.ts';
import type { Wasm } from './wasm.ts';
import { POISON } from '../webgpu/buffer-pool.ts';

/** How a device of the host holds its tensors. */
interface Host {
  wasm: Wasm | null;
  /** Numbers in double precision. */
  f64: boolean;
  /** Memory starts full of NaN bits. */
  poison: boolean;
}

export function allocateOnHost(storage: Storage, dtype: DType, { wasm, f64, poison }: Host): void {
  const { bytes, label } = storage;
  if (wasm) {
    storage.address = wasm.allocate(bytes, label);
    if (poison) wasm.view(storage.address, bytes / 4, 'u32').fill(POISON);
  } else if (dtype === 'u32') storage.array = new Uint32Array(bytes / 4).fill(poison ? POISON : 0);
  else storage.array = (f64 ? new Float64Array(bytes / 4) : new Float32Array(bytes / 4)).fill(poison ? Number.NaN : 0);
}

/** The values of a tensor where they lie, in its own type (an input arena holds both); null once they are freed. */
export function viewOnHost({ storage, offset, size, dtype }: Tensor, wasm: Wasm | null): NumericArray | null {
  if (wasm) return storage.released ? null : wasm.view(storage.address + 4 * offset, size, dtype);
  const part = storage.array?.subarray(offset, offset + size) ?? null;
  if (dtype === 'f32' && part instanceof Uint32Array)
    return new Float32Array(part.buffer, part.byteOffset, part.length);
  return part;
}
