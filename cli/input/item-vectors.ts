/**
 * Ready-made vectors of items (from models of text, images or sound) from files of their own, as columns of the items:
 *
 *   .safetensors   each F32 tensor [n, width] is a column of its name; its rows are the items of the metadata `ids` (a JSON
 *                  list), or those of the items file in their order
 *   .npy           little-endian f4 or f8 [n, width], rows in the order of the items file; the column is called as the file
 *   .parquet       a column of item IDs, and every column that holds lists of numbers
 */
import { readFile } from 'node:fs/promises';
import { basename, extname } from 'node:path';
import type { ItemInfo } from '../../data/formats/catalog.ts';
import { findColumn } from '../../data/formats/columns.ts';
import { InputError } from '../../data/errors.ts';
import { parquetPartsInWorker } from '../../data/formats/parquet-worker.ts';
import { ownValue } from '../../data/own-value.ts';
import { decode } from '../../model/storage/safetensors.ts';
import { fileSize } from './data.ts';
import { openParquetWorker } from './parquet-worker.ts';

/** A column of vectors: row i belongs to ids[i]; null where the item has none. */
interface VectorColumn {
  name: string;
  ids: readonly string[];
  vectorOf(i: number): ArrayLike<number> | null;
}

/**
 * Adds the vectors of files to items, as text that the schema takes for vectors.
 * @param infos by ID, in file order; items that only vectors know are added
 * @throws InputError, one line
 */
export async function addVectors(infos: Map<string, ItemInfo>, files: readonly string[]): Promise<void> {
  const order = [...infos.keys()];
  for (const file of files) {
    for (const { name, ids, vectorOf } of await readVectors(file, order)) {
      ids.forEach((id, i) => {
        const vector = vectorOf(i);
        if (!vector) return;
        const info = infos.get(id) ?? { title: id, attributes: {} };
        if (ownValue(info.attributes, name) !== undefined) {
          throw new InputError(
            'conflicting-settings',
            `${file}: the items have a column ${JSON.stringify(name)} already`,
            {
              hint: 'rename one of them',
            },
          );
        }
        const text = Array.from(vector, (x) => String(Number(x.toPrecision(6)))).join(' ');
        infos.set(id, { ...info, attributes: { ...info.attributes, [name]: text } });
      });
    }
  }
}

async function readVectors(file: string, order: readonly string[]): Promise<VectorColumn[]> {
  await fileSize(file);
  const bytes = new Uint8Array(await readFile(file));
  switch (extname(file).toLowerCase()) {
    case '.safetensors':
      return fromSafetensors(bytes, file, order);
    case '.npy':
      return [fromNpy(bytes, file, order)];
    case '.parquet':
      return fromParquet(bytes, file);
    default:
      throw new InputError('unreadable-file', `${file}: vectors come as .safetensors, .npy or .parquet`);
  }
}

function requireRows(file: string, rows: number, order: readonly string[]): readonly string[] {
  if (rows === order.length) return order;
  throw new InputError(
    'mismatched-data',
    `${file}: ${rows} rows for the ${order.length} items of --items: expected one for each, in their order`,
  );
}

function fromSafetensors(bytes: Uint8Array, file: string, order: readonly string[]): VectorColumn[] {
  const { tensors, metadata } = decode(bytes, file);
  const ids = idsOf(metadata.get('ids'), file);
  const columns = [...tensors].flatMap(([name, { shape, data }]): VectorColumn[] => {
    if (shape.length !== 2 || !(data instanceof Float32Array)) return [];
    const [rows, width] = shape;
    if (ids && ids.length !== rows) {
      throw new InputError('unreadable-file', `${file}: ${name} has ${rows} rows, the metadata ids ${ids.length}`);
    }
    const of = ids ?? requireRows(file, rows, order);
    return [{ name, ids: of, vectorOf: (i) => data.subarray(i * width, (i + 1) * width) }];
  });
  if (columns.length === 0) throw new InputError('unreadable-file', `${file}: no F32 tensor [items, width] in it`);
  return columns;
}

function idsOf(text: string | undefined, file: string): string[] | null {
  if (text === undefined) return null;
  try {
    const ids: unknown = JSON.parse(text);
    if (Array.isArray(ids)) return ids.map(String);
  } catch {
    // Said below.
  }
  throw new InputError('unreadable-file', `${file}: its metadata ids is no JSON list of item IDs`);
}

function fromNpy(bytes: Uint8Array, file: string, order: readonly string[]): VectorColumn {
  const fail = (what: string): never => {
    throw new InputError('unreadable-file', `${file}: ${what}`);
  };
  const magic = new TextDecoder('latin1').decode(bytes.subarray(0, 6));
  if (magic !== '\x93NUMPY') fail('not a .npy file');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [start, length] = bytes[6] === 1 ? [10, view.getUint16(8, true)] : [12, view.getUint32(8, true)];
  const head = new TextDecoder().decode(bytes.subarray(start, start + length));
  const wide = /'descr': *'<f8'/.test(head);
  const shape = /'shape': *\((\d+), *(\d+),?\)/.exec(head);
  if ((!wide && !/'descr': *'<f4'/.test(head)) || !shape || !/'fortran_order': *False/.test(head)) {
    return fail(`expected <f4 or <f8 [items, width] in C order, got ${head.trim()}`);
  }
  const [rows, width] = [Number(shape[1]), Number(shape[2])];
  const size = wide ? 8 : 4;
  const data = start + length;
  if (bytes.length < data + rows * width * size) fail('cut short');
  const at = (i: number): number => (wide ? view.getFloat64(data + i * 8, true) : view.getFloat32(data + i * 4, true));
  return {
    name: basename(file, extname(file)),
    ids: requireRows(file, rows, order),
    vectorOf: (i) => Array.from({ length: width }, (_, c) => at(i * width + c)),
  };
}

async function fromParquet(bytes: Uint8Array<ArrayBuffer>, file: string): Promise<VectorColumn[]> {
  let names: string[] = [];
  let lists: string[] = [];
  let id = -1;
  const ids: string[] = [];
  const vectors = new Map<string, (Float64Array | null)[]>();
  for await (const part of parquetPartsInWorker(openParquetWorker, bytes, file)) {
    if (part.kind === 'columns') {
      names = part.names;
      lists = names.filter((_, at) => part.nested[at]);
      for (const name of lists) vectors.set(name, []);
      id = Math.max(findColumn(names, 'item'), findColumn(names, 'id'));
      if (id < 0)
        throw new InputError('missing-column', `${file}: no column of item IDs among ${names.join(', ') || 'none'}`);
    } else if (part.kind === 'rows') {
      let at = 0;
      for (const [i, length] of part.lengths.entries()) {
        const value = part.text.slice(at, at + length);
        at += length;
        const column = i % names.length;
        if (column === id) ids.push(value);
        else vectors.get(names[column])?.push(vectorIn(value));
      }
    }
  }
  lists = lists.filter((name) => vectors.get(name)?.some((vector) => vector !== null));
  if (lists.length === 0)
    throw new InputError('missing-column', `${file}: no column of lists of numbers among ${names.join(', ')}`);
  return lists.map((name) => ({ name, ids, vectorOf: (i) => vectors.get(name)?.[i] ?? null }));
}

/** The numbers of a list; null where it holds anything else, or nothing. */
function vectorIn(text: string): Float64Array | null {
  const values = text === '' ? [] : text.split('|').map((value) => (value === '' ? Number.NaN : Number(value)));
  return values.length > 0 && values.every(Number.isFinite) ? Float64Array.from(values) : null;
}
