/** Segment i of a list whose segments lie end to end: [from, to). `offsets` holds one entry more than there are segments. */
export const spanAt = (offsets: ArrayLike<number>, i: number): [from: number, to: number] => [
  offsets[i] as number,
  offsets[i + 1] as number,
];

/** The values at `positions`. */
export function take<A extends Uint32Array | Float64Array>(values: A, positions: ArrayLike<number>): A {
  const { length } = positions;
  const out = values instanceof Uint32Array ? new Uint32Array(length) : new Float64Array(length);
  for (let i = 0; i < length; i++) out[i] = values[positions[i] as number] as number;
  return out as A;
}
