/** Values of the host in a tensor's own type: converted by value, or refused by name, never reinterpreted. */
import { type DType, type NumericArray, showShape, type Tensor } from './tensor.ts';

/** What a tensor may be made and written from: numbers, or any typed array. */
export type HostValues = readonly number[] | NumericArray | SmallArray | BigInt64Array | BigUint64Array;

type SmallArray = Int8Array | Uint8Array | Uint8ClampedArray | Int16Array | Uint16Array | Int32Array;

const INTEGERS = [
  Uint32Array,
  Int32Array,
  Uint16Array,
  Int16Array,
  Uint8Array,
  Uint8ClampedArray,
  Int8Array,
  BigInt64Array,
  BigUint64Array,
];

const nameOf = (data: unknown): string =>
  (data as { constructor?: { name: string } } | null)?.constructor?.name ?? String(data);

const ofIntegers = (data: unknown): boolean => INTEGERS.some((kind) => data instanceof kind);

/** Throws unless `data` is an array of numbers or a typed array. */
function expectNumbers(who: string, data: unknown): void {
  const known = Array.isArray(data) || data instanceof Float32Array || data instanceof Float64Array || ofIntegers(data);
  if (!known) throw new Error(`${who}: expected numbers or a typed array of numbers, got ${nameOf(data)}`);
}

/** The type of a tensor made from these values: u32 from any typed array of integers, f32 from all else. */
export function typeFor(data: HostValues): DType {
  expectNumbers('tensor', data);
  return ofIntegers(data) ? 'u32' : 'f32';
}

/**
 * `data` as an array whose bits are the tensor's. f32 takes numbers rounded to the nearest, but no number beyond its range,
 * and integers of typed arrays only where it has them exactly (all up to 2²⁴); u32 takes integers from 0 to 4294967295.
 * @throws Error that names the first value that the tensor cannot hold, and its index
 */
export function valuesFor(t: Tensor, data: HostValues): NumericArray {
  const own = t.dtype === 'u32' ? Uint32Array : Float32Array;
  if (data instanceof own) return data;
  const { length } = data;
  const refuse = (takes: string, i: number, instead: string): never => {
    throw new Error(
      `write: ${t.label} ${t.dtype}${showShape(t.shape)} takes ${takes}, got ${data[i]} at ${i} of ${nameOf(data)}${instead}`,
    );
  };
  expectNumbers(`write: ${t.label} ${showShape(t.shape)}`, data);
  if (t.dtype === 'f32') {
    if (data instanceof Float64Array && t.device.f64) return data;
    const values = Float32Array.from(data as ArrayLike<number>, Number);
    const exact = ofIntegers(data);
    for (let i = 0; i < length; i++) {
      if (exact && (typeof data[i] === 'bigint' ? BigInt(values[i]) : values[i]) !== data[i])
        refuse('integers that an f32 has exactly', i, '; give numbers, to have them rounded');
      if (!exact && !Number.isFinite(values[i]) && Number.isFinite(data[i] as number))
        refuse('numbers up to 3.4e38', i, '');
    }
    return values;
  }
  for (let i = 0; i < length; i++) {
    const value = Number(data[i]);
    if (!(value >= 0 && value <= 0xffffffff && Number.isInteger(value)))
      refuse('integers from 0 to 4294967295', i, "; a tensor of numbers is made with { dtype: 'f32' }");
  }
  return Uint32Array.from(data as ArrayLike<number>, Number);
}
