/** Values of the host in a tensor's own type: converted by value, or refused by name, never reinterpreted. */
import { type DType, type NumericArray, showShape, type Tensor } from './tensor.ts';

/** What a tensor may be written from: numbers, or any typed array of numbers. */
export type HostValues = readonly number[] | NumericArray | SmallArray;

type SmallArray = Int8Array | Uint8Array | Uint8ClampedArray | Int16Array | Uint16Array | Int32Array;

const NUMBERS = [
  Float32Array,
  Float64Array,
  Uint32Array,
  Int32Array,
  Uint16Array,
  Int16Array,
  Uint8Array,
  Uint8ClampedArray,
  Int8Array,
];

const nameOf = (data: unknown): string =>
  (data as { constructor?: { name: string } } | null)?.constructor?.name ?? String(data);

/** Throws unless `data` is an array of numbers or a typed array of numbers. */
function expectNumbers(who: string, data: unknown): void {
  if (!Array.isArray(data) && !NUMBERS.some((kind) => data instanceof kind))
    throw new Error(`${who}: expected numbers or a typed array of numbers, got ${nameOf(data)}`);
}

/** The type of a tensor made from these values. Arrays that could mean either type are refused. */
export function typeFor(data: HostValues): DType {
  if (data instanceof Uint32Array) return 'u32';
  expectNumbers('tensor', data);
  if (Array.isArray(data) || data instanceof Float32Array || data instanceof Float64Array) return 'f32';
  throw new Error(
    `tensor: expected numbers, a Float32Array or a Uint32Array, got ${nameOf(data)}; say which type you mean with Float32Array.from() or Uint32Array.from()`,
  );
}

/**
 * `data` as an array whose bits are the tensor's. f32 takes any numbers, rounded to the nearest; u32 takes integers from
 * 0 to 4294967295 alone.
 */
export function valuesFor(t: Tensor, data: HostValues): NumericArray {
  const own = t.dtype === 'u32' ? Uint32Array : Float32Array;
  if (data instanceof own) return data;
  expectNumbers(`write: ${t.label} ${showShape(t.shape)}`, data);
  if (t.dtype === 'f32') return data instanceof Float64Array ? data : Float32Array.from(data);
  for (let i = 0; i < data.length; i++) {
    if (!(data[i] >= 0 && data[i] <= 0xffffffff && Number.isInteger(data[i])))
      throw new Error(
        `write: ${t.label} u32${showShape(t.shape)} takes integers from 0 to 4294967295, got ${data[i]} at ${i}`,
      );
  }
  return Uint32Array.from(data);
}
