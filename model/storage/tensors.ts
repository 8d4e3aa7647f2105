/** Reads the tensors of a part, and reports what is wrong with them: file, tensor, what was expected and what it got. */
import { damaged } from '../../data/errors.ts';
import { CodedTensor } from './coded-tensor.ts';
import { PackedTensor } from './packed-tensor.ts';
import { decodeModel, type SafeTensors, type StoredTensor } from './safetensors.ts';
import { type Part, type Source, withSnapshot } from './manifest.ts';

export interface PartTensors extends SafeTensors {
  /** For messages. */
  path: string;
}

/**
 * The tensors of a part, or null where the model has none. Every float of them is finite.
 * @throws InputError, one line, where it is damaged
 */
export function readTensors(source: Source, part: Part): Promise<PartTensors | null> {
  return withSnapshot(source, async (snapshot) => {
    const bytes = await snapshot.read(part);
    if (!bytes) return null;
    const path = snapshot.pathOf(part);
    return { ...decodeModel(bytes, path), path };
  });
}

/** The metadata of a file that says one thing about itself, as JSON. */
export const metadataOf = (key: string, json: string): Map<string, string> =>
  new Map([
    ['format', 'attune'],
    [key, json],
  ]);

/** What the metadata of a file says under a key; null where it says nothing that can be read. */
export function readMetadata<T>(metadata: ReadonlyMap<string, string>, key: string): T | null {
  try {
    return JSON.parse(metadata.get(key) ?? 'null') as T;
  } catch {
    return null;
  }
}

/** A vector as a file stores it. */
export const vector = (data: Float32Array | Uint32Array): StoredTensor => ({ shape: [data.length], data });

type Dtype = 'F32' | 'U32';
const dtypeOf = (tensor: StoredTensor): Dtype =>
  tensor instanceof PackedTensor || tensor instanceof CodedTensor || tensor.data instanceof Float32Array
    ? 'F32'
    : 'U32';
const show = (shape: readonly (number | null)[]): string => `[${shape.map((n) => n ?? '?').join(', ')}]`;

/**
 * One tensor of the type and shape that it must have, widened; null means any size.
 * @throws InputError that names the tensor
 */
export function tensorOf<D extends Dtype>(
  { tensors, path }: { tensors: ReadonlyMap<string, StoredTensor>; path: string },
  name: string,
  dtype: D,
  shape: readonly (number | null)[],
): D extends 'F32' ? Float32Array : Uint32Array {
  const tensor = tensors.get(name);
  const fail = damaged(path);
  if (!tensor) return fail(`expected a tensor ${name} ${show(shape)}, there is none`);
  const fits = tensor.shape.length === shape.length && shape.every((n, i) => n === null || n === tensor.shape[i]);
  if (dtypeOf(tensor) !== dtype || !fits)
    fail(`tensor ${name}: expected ${dtype} ${show(shape)}, got ${dtypeOf(tensor)} ${show(tensor.shape)}`);
  return tensor.data as D extends 'F32' ? Float32Array : Uint32Array;
}

/**
 * Refuses any other set of parameters than these, before anything of their size is allocated.
 * @throws InputError that names the tensor
 */
export function checkParameters(
  tensors: ReadonlyMap<string, StoredTensor>,
  expected: Iterable<{ name: string; shape: readonly number[] }>,
  path: string,
): void {
  const names = new Set<string>();
  for (const { name, shape } of expected) {
    tensorOf({ tensors, path }, name, 'F32', shape);
    names.add(name);
  }
  checkNames(tensors, names, path);
}

/** @throws InputError where there is a tensor of another name */
export function checkNames(tensors: ReadonlyMap<string, StoredTensor>, names: Iterable<string>, path: string): void {
  const known = new Set(names);
  for (const name of tensors.keys()) if (!known.has(name)) damaged(path)(`tensor ${name}: not one of this model's`);
}

/**
 * Checks the rows of a sparse matrix: row i holds the entries from starts[i] to starts[i + 1].
 * @throws InputError
 */
export function checkRows(starts: Uint32Array, columns: Uint32Array, width: number, path: string): void {
  const fail = damaged(`${path}: damaged`);
  if (starts[0] !== 0) fail(`rows: expected the first to start at entry 0, got ${starts[0]}`);
  for (let row = 1; row < starts.length; row++)
    if (starts[row] < starts[row - 1])
      fail(`rows: expected row ${row} to start at entry ${starts[row - 1]} or later, got ${starts[row]}`);
  const last = starts[starts.length - 1];
  if (last !== columns.length) fail(`rows: expected the last to end at entry ${columns.length}, got ${last}`);
  const at = columns.findIndex((column) => column >= width);
  if (at >= 0) fail(`columns: expected integers below ${width}, got ${columns[at]} at ${at}`);
}
