/**
 * The parts of a model in fewer bits, for a download: the item table in a format of its own, which stays as it is on the
 * device; all other weights, and those of the item transitions, in f16, which are widened when they are read.
 */
import { InputError } from '../../data/errors.ts';
import type { TableFormat } from '../../engine/index.ts';
import { CodedTensor } from './coded-tensor.ts';
import { join } from './files.ts';
import type { Part } from './manifest.ts';
import { PackedTensor } from './packed-tensor.ts';
import { decodeModel, encodePieces, type StoredTensor } from './safetensors.ts';

const ITEM_TABLE = 'items.weight';
/** What U16 holds. */
const MOST_SHORT = 2 ** 16;

/** Parts that weights are in. */
const WEIGHTS: ReadonlySet<Part> = new Set<Part>(['model.safetensors', 'ranker.safetensors', 'memory.safetensors']);

/**
 * A part's bytes, compressed where they hold weights.
 * @param path for messages
 * @throws InputError where they are packed already, damaged, or beyond what f16 holds
 */
export function lighten(part: Part, bytes: Uint8Array, format: TableFormat, path: string): Uint8Array {
  if (!WEIGHTS.has(part)) return bytes;
  const { tensors, metadata } = decodeModel(bytes, path);
  const short = new Set<string>();
  const light = new Map<string, StoredTensor>();
  for (const [name, tensor] of tensors) {
    light.set(name, lightTensor(name, tensor, format, path));
    // Rows of a catalog; where rows start counts their entries, and would seldom fit.
    if (name === 'columns' && tensor.data.every((x) => x < MOST_SHORT)) short.add(name);
  }
  return join(encodePieces(light, metadata, short));
}

function lightTensor(name: string, tensor: StoredTensor, format: TableFormat, path: string): StoredTensor {
  if (tensor instanceof PackedTensor) {
    throw new InputError('unsupported', `${path}: its weights are compressed already`, {
      hint: 'pack the model that it was made of',
    });
  }
  // Codes have few bits; a format of numbers is for their parts.
  if (tensor instanceof CodedTensor)
    return new CodedTensor(tensor.codes, lightTensor(`${name}.parts`, tensor.parts, format, path));
  const { shape, data } = tensor;
  if (!(data instanceof Float32Array) || data.length === 0) return tensor;
  const [, width] = shape;
  const table = name === ITEM_TABLE && shape.length === 2 && width % 4 === 0;
  try {
    return PackedTensor.of(shape, data, table ? format : 'f16');
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new InputError('unsupported', `${path}: tensor ${name}: ${error.message}`, { hint: 'pack it as it is' });
  }
}
