/**
 * What machines exchange in data-parallel training: the shared weights, and a partition's change of them, as safetensors.
 * Every parameter is a matrix [R, C] (a vector is one row), of which rows that are all 0 are left out, as those of items that a
 * round has not touched:
 *
 *   NAME        [r, C] in F32, F16, or I8 with a scale for each row
 *   NAME/rows   U32 [r], ascending; missing where all rows are there
 */
import { damaged } from '../../data/errors.ts';
import type { Exchange, ModelConfig } from '../../model/storage/config.ts';
import { PackedTensor } from '../../model/storage/packed-tensor.ts';
import { decodeModel, encodePieces, type SafeTensors, type StoredTensor } from '../../model/storage/safetensors.ts';
import { sha256 } from '../../model/storage/sha256.ts';
import { checkNames, metadataOf, readMetadata, tensorOf } from '../../model/storage/tensors.ts';

/** What a file of an exchange says about itself. */
export interface Stamp {
  /** Of the training, see {@link termsOf}. */
  terms: string;
  round: number;
  /** Whose change it is, from 0; null: the shared weights. */
  partition: number | null;
}

export type Shapes = ReadonlyMap<string, readonly number[]>;

/** Twelve hex digits that tell trainings apart: log, recipe, settings, protocol, seed, and how it is divided. */
export function termsOf({ recipe, hyperparameters, data, protocol, protocolParameters, seed, parallel }: ModelConfig) {
  const terms = [recipe, hyperparameters, data, protocol, protocolParameters ?? {}, seed, parallel ?? null];
  return sha256([new TextEncoder().encode(JSON.stringify(terms))]).slice(0, 12);
}

/** @param values by name @throws RangeError where one is not finite, or beyond what f16 holds */
export function encodeExchange(
  values: ReadonlyMap<string, Float32Array>,
  shapes: Shapes,
  format: Exchange,
  stamp: Stamp,
): Uint8Array[] {
  const tensors = new Map<string, StoredTensor>();
  for (const [name, all] of values) {
    const columns = columnsOf(shapes.get(name) ?? []);
    const rows = changedRows(all, columns);
    if (rows.length * columns < all.length) tensors.set(`${name}/rows`, { shape: [rows.length], data: rows });
    const data = new Float32Array(rows.length * columns);
    for (const [i, row] of rows.entries()) data.set(all.subarray(row * columns, (row + 1) * columns), i * columns);
    const shape = [rows.length, columns];
    tensors.set(name, format === 'f32' ? { shape, data } : PackedTensor.of(shape, data, format));
  }
  return encodePieces(tensors, metadataOf('exchange', JSON.stringify(stamp)));
}

/**
 * The values by name, 0 where a row is left out.
 * @param wanted what the stamp must say
 * @throws InputError, one line, for another training's file, another shape, or a value that is not finite
 */
export function decodeExchange(
  bytes: Uint8Array,
  path: string,
  shapes: Shapes,
  wanted: Stamp,
): Map<string, Float32Array> {
  const file = { ...decodeModel(bytes, path), path };
  requireStamp(file, path, wanted);
  const found = new Map<string, Float32Array>();
  for (const [name, shape] of shapes) {
    const size = shape.reduce((product, n) => product * n, 1);
    const columns = columnsOf(shape);
    const rows = file.tensors.has(`${name}/rows`)
      ? tensorOf(file, `${name}/rows`, 'U32', [null])
      : Uint32Array.from({ length: size / columns }, (_, i) => i);
    const wrong = rows.findIndex((row, i) => row >= size / columns || (i > 0 && row <= rows[i - 1]));
    if (wrong >= 0)
      damaged(path)(
        `tensor ${name}/rows: expected ascending integers below ${size / columns}, got ${rows[wrong]} at ${wrong}`,
      );
    const kept = tensorOf(file, name, 'F32', [rows.length, columns]);
    const all = new Float32Array(size);
    for (const [i, row] of rows.entries()) all.set(kept.subarray(i * columns, (i + 1) * columns), row * columns);
    found.set(name, all);
  }
  checkNames(
    file.tensors,
    [...shapes.keys()].flatMap((name) => [name, `${name}/rows`]),
    path,
  );
  return found;
}

function requireStamp({ metadata }: SafeTensors, path: string, wanted: Stamp): void {
  const stamp = readMetadata<Partial<Stamp>>(metadata, 'exchange');
  const fail = damaged(path);
  if (!stamp) return fail('not an exchange of weights');
  for (const key of ['terms', 'round', 'partition'] as const)
    if (stamp[key] !== wanted[key])
      fail(
        `of another ${key === 'terms' ? 'training (its terms are' : `${key} (it is`} ${stamp[key]}, expected ${wanted[key]})`,
      );
}

const columnsOf = (shape: readonly number[]): number => Math.max(1, shape.at(-1) ?? 1);

function changedRows(values: Float32Array, columns: number): Uint32Array {
  const rows: number[] = [];
  for (let row = 0; row * columns < values.length; row++)
    if (values.subarray(row * columns, (row + 1) * columns).some((x) => x !== 0)) rows.push(row);
  return Uint32Array.from(rows);
}
