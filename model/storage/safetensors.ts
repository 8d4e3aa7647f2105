/**
 * The safetensors format (https://github.com/huggingface/safetensors):
 * 8 bytes little-endian header length N, N bytes of JSON padded with spaces to a multiple of 8, then the tensors'
 * bytes end to end, little-endian, row-major. The header maps a name to `{dtype, shape, data_offsets: [begin, end]}`,
 * offsets counted from the end of the header; `__metadata__` maps strings to strings.
 *
 * F32 and U32 are read as they are; F16 stays packed until it is asked for, and so do I8 [V, D], and U8 [V, D / 2] for two
 * numbers of 4 bits (engine/packed.ts), where F32 [V] under the name `NAME.scales` scales their rows. U8 [V, M] beside F32 or
 * F16 [256 M, D / M] under the name `NAME.parts` is a table of codes. U16 is read as U32.
 */
import { damaged, InputError } from '../../data/errors.ts';
import { CODES } from '../../engine/index.ts';
import { CodedTensor } from './coded-tensor.ts';
import { join } from './files.ts';
import { PackedTensor } from './packed-tensor.ts';
import { firstNonFinite } from '../inference/ranks.ts';

/** A tensor at rest: contiguous, row-major; the dtype is that of the array (F32 or U32). A `PackedTensor` is one of F32. */
export interface StoredTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array | Uint32Array;
}

/** Maps, not objects, so that a tensor may be called `__proto__` or `constructor`. */
export interface SafeTensors {
  tensors: Map<string, StoredTensor>;
  metadata: Map<string, string>;
}

const METADATA = '__metadata__';
/** The reference implementation's limit; a larger number means that the file is no safetensors file. */
const MAX_HEADER = 100_000_000;
/** Bytes of a number. */
const DTYPES = { F32: 4, U32: 4, F16: 2, U16: 2, I8: 1, U8: 1 } as const;
type Dtype = keyof typeof DTYPES;

/** How a packed table is written. */
const PACKED = { f16: 'F16', int8: 'I8', int4: 'U8' } as const;
const SCALES = '.scales';
const PARTS = '.parts';

const sizeOf = (shape: readonly number[]) => shape.reduce((product, n) => product * n, 1);
/** What a tensor is written as. */
function writtenAs(name: string, tensor: StoredTensor, short: boolean): Written[] {
  const { shape } = tensor;
  if (tensor instanceof CodedTensor) {
    const { codes, each } = tensor.codes;
    const own: Written = { name, dtype: 'U8', shape: [shape[0], each], bytes: codes };
    return [own, ...writtenAs(`${name}${PARTS}`, tensor.parts, false)];
  }
  if (!(tensor instanceof PackedTensor)) {
    const { data } = tensor;
    if (!shape.every((n) => Number.isSafeInteger(n) && n >= 0) || sizeOf(shape) !== data.length)
      throw new Error(`safetensors: ${name}: shape [${shape}] does not hold the ${data.length} values given`);
    if (data instanceof Float32Array) return [{ name, dtype: 'F32', shape, bytes: bytesOf(data) }];
    if (short) return [{ name, dtype: 'U16', shape, bytes: bytesOf(Uint16Array.from(data)) }];
    return [{ name, dtype: 'U32', shape, bytes: bytesOf(data) }];
  }
  const { format, bytes } = tensor;
  const last = shape.at(-1) ?? 0;
  const own = {
    name,
    dtype: PACKED[format],
    shape: format === 'int4' ? [...shape.slice(0, -1), last / 2] : shape,
    bytes,
  };
  if (format === 'f16') return [own];
  const { scales } = tensor.rows();
  return [own, { name: `${name}${SCALES}`, dtype: 'F32', shape: [scales.length], bytes: bytesOf(scales) }];
}

interface Written {
  name: string;
  dtype: Dtype;
  shape: readonly number[];
  bytes: Uint8Array;
}

const bytesOf = ({ buffer, byteOffset, byteLength }: Float32Array | Uint32Array | Uint16Array): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);

/**
 * The file in pieces: the header, then a view on each tensor in the map's order. Nothing is copied, so leave the
 * tensors alone until the pieces are written. @param short tensors of integers below 65,536, written as U16
 * @throws Error when a shape does not fit its data or a name is reserved
 */
export function encodePieces(
  tensors: ReadonlyMap<string, StoredTensor>,
  metadata: ReadonlyMap<string, string> = new Map(),
  short: ReadonlySet<string> = new Set(),
): Uint8Array[] {
  const entries: string[] = [];
  const pieces: Uint8Array[] = [];
  if (metadata.size > 0) {
    const pairs = [...metadata].map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`);
    entries.push(`"${METADATA}":{${pairs.join(',')}}`);
  }
  let offset = 0;
  for (const [key, tensor] of tensors) {
    if (key === METADATA) throw new Error(`safetensors: a tensor cannot be called ${METADATA}`);
    for (const { name, dtype, shape, bytes } of writtenAs(key, tensor, short.has(key))) {
      const end = offset + bytes.length;
      entries.push(`${JSON.stringify(name)}:${JSON.stringify({ dtype, shape, data_offsets: [offset, end] })}`);
      pieces.push(bytes);
      offset = end;
    }
  }
  const json = new TextEncoder().encode(`{${entries.join(',')}}`);
  const header = new Uint8Array(8 + Math.ceil(json.length / 8) * 8).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(header.length - 8), true);
  header.set(json, 8);
  return [header, ...pieces];
}

/** The file as one array; see {@link encodePieces}. */
export function encode(tensors: ReadonlyMap<string, StoredTensor>, metadata?: ReadonlyMap<string, string>): Uint8Array {
  return join(encodePieces(tensors, metadata));
}

/**
 * Reads a file. Tensors are views on `bytes` where the alignment allows, copies otherwise.
 * @param file what error messages call the file
 * @throws InputError, one line, when the file is cut short, damaged, or holds another dtype
 */
export function decode(bytes: Uint8Array, file = 'safetensors'): SafeTensors {
  const fail = damaged(file);
  if (bytes.byteLength < 8) fail(`cut short or not a safetensors file (${bytes.byteLength} bytes)`);
  const headerLength = Number(new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true));
  if (headerLength > MAX_HEADER) fail('not a safetensors file (it names a header above 100 MB)');
  const dataStart = 8 + headerLength;
  if (dataStart > bytes.byteLength) {
    fail(`cut short: the header alone needs ${dataStart} bytes, the file has ${bytes.byteLength}`);
  }
  const header = parseHeader(bytes.subarray(8, dataStart), fail);

  const found = new Map<string, Raw>();
  const metadata = new Map<string, string>();
  for (const [name, value] of Object.entries(header)) {
    if (name === METADATA) {
      for (const [key, text] of Object.entries(asObject(value) ?? fail(`${METADATA} is not an object`))) {
        metadata.set(key, typeof text === 'string' ? text : fail(`${METADATA} ${JSON.stringify(key)} is not text`));
      }
      continue;
    }
    const { dtype, shape, begin, end } = parseEntry(name, value, fail);
    const available = bytes.byteLength - dataStart;
    if (end > available) {
      fail(`cut short: tensor ${name} ends at byte ${dataStart + end}, the file has ${bytes.byteLength}`);
    }
    found.set(name, { name, dtype, shape, begin, end, bytes: bytes.subarray(dataStart + begin, dataStart + end) });
  }
  checkCover([...found.values()], bytes.byteLength - dataStart, fail);
  const tensors = new Map<string, StoredTensor>();
  for (const [name, raw] of found) if (!isBeside(name, found)) tensors.set(name, tensorIn(raw, found, fail));
  return { tensors, metadata };
}

/** A tensor as it lies in a file. */
interface Raw {
  name: string;
  dtype: Dtype;
  shape: number[];
  /** Of its bytes within the data. */
  begin: number;
  end: number;
  bytes: Uint8Array;
}

const isRows = (raw: Raw | undefined): boolean => raw?.dtype === 'I8' || raw?.dtype === 'U8';
/** Whether it belongs to another tensor. */
const isBeside = (name: string, found: ReadonlyMap<string, Raw>): boolean =>
  [SCALES, PARTS].some((suffix) => name.endsWith(suffix) && isRows(found.get(name.slice(0, -suffix.length))));

function tensorIn(raw: Raw, found: ReadonlyMap<string, Raw>, fail: Fail): StoredTensor {
  const { name, dtype, shape, bytes } = raw;
  if (dtype === 'F32') return { shape, data: wordsOf(bytes, Float32Array) };
  if (dtype === 'U32') return { shape, data: wordsOf(bytes, Uint32Array) };
  if (dtype === 'U16') return { shape, data: Uint32Array.from(new Uint16Array(bytes.slice().buffer)) };
  const words = wordsOf(bytes, Uint32Array);
  if (dtype === 'F16') {
    const width = shape.at(-1) ?? 1;
    const scales = new Float32Array(width > 0 ? sizeOf(shape) / width : 0).fill(1);
    return new PackedTensor(shape, { format: 'f16', width, words, scales });
  }
  const parts = found.get(`${name}${PARTS}`);
  if (dtype === 'U8' && parts) return codedIn(raw, parts, found, fail);
  const scales = found.get(`${name}${SCALES}`);
  const [v, columns] = shape;
  if (shape.length !== 2 || scales?.dtype !== 'F32' || scales.shape.length !== 1 || scales.shape[0] !== v)
    return fail(
      `tensor ${name} has dtype ${dtype}: expected a matrix [V, D] and F32 [V] under the name ${name}${SCALES}`,
    );
  const width = dtype === 'I8' ? columns : 2 * columns;
  const format = dtype === 'I8' ? 'int8' : 'int4';
  return new PackedTensor([v, width], { format, width, words, scales: wordsOf(scales.bytes, Float32Array) });
}

/** A table of codes; its parts are few, and widened. */
function codedIn({ name, shape, bytes }: Raw, raw: Raw, found: ReadonlyMap<string, Raw>, fail: Fail): CodedTensor {
  const [, each] = shape;
  const [rows, width] = raw.shape;
  const sound =
    shape.length === 2 && raw.shape.length === 2 && each % 4 === 0 && rows === CODES * each && width % 4 === 0;
  if (!sound || (raw.dtype !== 'F32' && raw.dtype !== 'F16'))
    return fail(
      `tensor ${name}: expected codes U8 [V, M] and F32 or F16 [${CODES} M, D / M] called ${raw.name}, M and D / M multiples of 4, got [${shape}] and ${raw.dtype} [${raw.shape}]`,
    );
  const { data } = tensorIn(raw, found, fail);
  return new CodedTensor({ codes: bytes.slice(), each }, { shape: raw.shape, data });
}

/**
 * As {@link decode}, for the files of a model: every float is checked once.
 * @throws InputError, one line, also where one is NaN or infinite
 */
export function decodeModel(bytes: Uint8Array, file: string): SafeTensors {
  const found = decode(bytes, file);
  for (const [name, tensor] of found.tensors) {
    const odd = oddOf(tensor);
    if (odd)
      throw new InputError(
        'damaged-model',
        `${file}: damaged: tensor ${name} holds ${odd.value} at ${odd.at}; expected finite numbers`,
      );
  }
  return found;
}

/** The first number that is not finite. */
function oddOf(tensor: StoredTensor): { value: number; at: number } | null {
  if (tensor instanceof CodedTensor) return oddOf(tensor.parts);
  if (tensor instanceof PackedTensor) return tensor.firstNonFinite();
  const { data } = tensor;
  const at = data instanceof Float32Array ? firstNonFinite(data) : -1;
  return at < 0 ? null : { value: data[at], at };
}

type Fail = (what: string) => never;

function asObject(value: unknown): Record<string, unknown> | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : null;
}

function parseHeader(json: Uint8Array, fail: Fail): Record<string, unknown> {
  let text = '';
  let header: unknown;
  try {
    // JSON.parse takes no byte-order mark.
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(json);
    header = JSON.parse(text);
  } catch {
    fail('damaged or not a safetensors file (its header is not JSON)');
  }
  if (!asObject(header)) fail('damaged (its header is not a JSON object)');
  if (!text.startsWith('{') || !/\} *$/.test(text))
    fail('damaged (its header does not start with { and end with } and spaces)');
  checkTokens(text, fail);
  return header as Record<string, unknown>;
}

/** Strings that are keys, other strings, numbers, and where objects and lists start and end. */
const TOKENS = /"(?:[^"\\]|\\.)*"(\s*:)?|-?\d[\d.eE+-]*|[{}[\]]/g;

/**
 * What JSON.parse passes over in valid JSON: a key that an object has twice, and numbers that are not written as integers
 * (`4.0`), as sizes and offsets must be.
 */
function checkTokens(text: string, fail: Fail): void {
  const open: (Set<string> | null)[] = [];
  for (const [token, colon] of text.matchAll(TOKENS)) {
    if (token === '{') open.push(new Set());
    else if (token === '[') open.push(null);
    else if (token === '}' || token === ']') open.pop();
    else if (token[0] !== '"') {
      if (!/^(?:0|[1-9]\d*)$/.test(token))
        fail(`damaged: a shape or data_offsets in its header: expected integers >= 0, got ${token}`);
    } else if (colon !== undefined) {
      const key = JSON.parse(token.slice(0, -colon.length)) as string;
      const keys = open.at(-1);
      if (keys?.has(key)) fail(`damaged: its header has the key ${JSON.stringify(key)} twice`);
      keys?.add(key);
    }
  }
}

function parseEntry(name: string, value: unknown, fail: Fail) {
  const entry = asObject(value) ?? fail(`tensor ${name}: its header entry is not an object`);
  const { dtype, shape, data_offsets: offsets, ...others } = entry;
  const unknown = Object.keys(others)[0];
  if (unknown !== undefined) fail(`tensor ${name}: unknown key ${JSON.stringify(unknown)} in its header entry`);
  const size = Object.hasOwn(DTYPES, String(dtype)) ? DTYPES[dtype as Dtype] : 0;
  if (size === 0) fail(`tensor ${name} has dtype ${String(dtype)}; ${Object.keys(DTYPES).join(', ')} are read`);
  const isSize = (n: unknown): n is number => Number.isSafeInteger(n) && (n as number) >= 0;
  if (!Array.isArray(shape) || !shape.every(isSize)) fail(`tensor ${name}: its shape is not a list of sizes`);
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isSize)) {
    fail(`tensor ${name}: its data_offsets are not two byte numbers`);
  }
  const [begin, end] = offsets as [number, number];
  const sizes = shape as number[];
  if (end - begin !== size * sizeOf(sizes)) {
    fail(`tensor ${name}: shape [${sizes}] needs ${size * sizeOf(sizes)} bytes, its offsets span ${end - begin}`);
  }
  return { dtype: dtype as Dtype, shape: sizes, begin, end };
}

/** Bytes as words, the last one filled up with zeros. */
function wordsOf<A extends Float32Array | Uint32Array>(
  bytes: Uint8Array,
  Type: new (buffer: ArrayBuffer, offset?: number, length?: number) => A,
): A {
  if (bytes.byteOffset % 4 === 0 && bytes.length % 4 === 0)
    return new Type(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.length / 4);
  const padded = new Uint8Array(Math.ceil(bytes.length / 4) * 4);
  padded.set(bytes);
  return new Type(padded.buffer);
}

/** The format allows neither gaps nor overlaps, nor bytes after the last tensor. */
function checkCover(spans: { name: string; begin: number; end: number }[], total: number, fail: Fail): void {
  spans.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let at = 0;
  for (const { name, begin, end } of spans) {
    if (begin !== at) fail(`damaged: tensor ${name} starts at data byte ${begin}, expected ${at}`);
    at = end;
  }
  if (at !== total) fail(`damaged: ${total - at} bytes follow the last tensor`);
}
