import { type ValueColumn, inMemory, isInMemory, type ColumnValues } from './column.ts';

/** Segment i of a list whose segments lie end to end: [from, to). `offsets` holds one entry more than there are segments. */
export const spanAt = (offsets: ArrayLike<number>, i: number): [from: number, to: number] => [
  offsets[i] as number,
  offsets[i + 1] as number,
];

/** The values at `positions`. */
export function take<A extends ColumnValues>(values: ValueColumn<A>, positions: ArrayLike<number>): A {
  const { length } = positions;
  const out = values.subarray(0, 0) instanceof Uint32Array ? new Uint32Array(length) : new Float64Array(length);
  if (isInMemory(values)) {
    const all = inMemory(values);
    for (let i = 0; i < length; i++) out[i] = all[positions[i] as number] as number;
  } else for (let i = 0; i < length; i++) out[i] = values.at(positions[i] as number) as number;
  return out as unknown as A;
}
