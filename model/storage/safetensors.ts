/**
 * The safetensors format (https://github.com/huggingface/safetensors), dtypes F32 and U32:
 * 8 bytes little-endian header length N, N bytes of JSON padded with spaces to a multiple of 8, then the tensors'
 * bytes end to end, little-endian, row-major. The header maps a name to `{dtype, shape, data_offsets: [begin, end]}`,
 * offsets counted from the end of the header; `__metadata__` maps strings to strings.
 */
import { damaged, InputError } from '../../data/errors.ts';
import { join } from './files.ts';
import { firstNonFinite } from '../inference/ranks.ts';

/** A tensor at rest: contiguous, row-major; the dtype is that of the array (F32 or U32). */
export interface StoredTensor {
  shape: readonly number[];
  data: Float32Array | Uint32Array;
}

/** Maps, not objects, so that a tensor may be called `__proto__` or `constructor`. */
export interface SafeTensors {
  tensors: Map<string, StoredTensor>;
  metadata: Map<string, string>;
}

const METADATA = '__metadata__';
/** The reference implementation's limit; a larger number means that the file is no safetensors file. */
const MAX_HEADER = 100_000_000;
const DTYPES = { F32: Float32Array, U32: Uint32Array } as const;

const sizeOf = (shape: readonly number[]) => shape.reduce((product, n) => product * n, 1);
const dtypeOf = (data: Float32Array | Uint32Array) => (data instanceof Float32Array ? 'F32' : 'U32');

/**
 * The file in pieces: the header, then a view on each tensor in the map's order. Nothing is copied, so leave the
 * tensors alone until the pieces are written.
 * @throws Error when a shape does not fit its data or a name is reserved
 */
export function encodePieces(
  tensors: ReadonlyMap<string, StoredTensor>,
  metadata: ReadonlyMap<string, string> = new Map(),
): Uint8Array[] {
  const entries: string[] = [];
  const pieces: Uint8Array[] = [];
  if (metadata.size > 0) {
    const pairs = [...metadata].map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`);
    entries.push(`"${METADATA}":{${pairs.join(',')}}`);
  }
  let offset = 0;
  for (const [name, { shape, data }] of tensors) {
    if (name === METADATA) throw new Error(`safetensors: a tensor cannot be called ${METADATA}`);
    if (!shape.every((n) => Number.isSafeInteger(n) && n >= 0) || sizeOf(shape) !== data.length) {
      throw new Error(`safetensors: ${name}: shape [${shape}] does not hold the ${data.length} values given`);
    }
    const end = offset + data.byteLength;
    const entry = { dtype: dtypeOf(data), shape, data_offsets: [offset, end] };
    entries.push(`${JSON.stringify(name)}:${JSON.stringify(entry)}`);
    pieces.push(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    offset = end;
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
 * Reads a file. Tensors are views on `bytes` where the alignment allows (always so for files written here), copies
 * otherwise.
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

  const tensors = new Map<string, StoredTensor>();
  const metadata = new Map<string, string>();
  const spans: { name: string; begin: number; end: number }[] = [];
  for (const [name, value] of Object.entries(header)) {
    if (name === METADATA) {
      for (const [key, text] of Object.entries(asObject(value) ?? fail(`${METADATA} is not an object`))) {
        metadata.set(key, typeof text === 'string' ? text : fail(`${METADATA} ${JSON.stringify(key)} is not text`));
      }
      continue;
    }
    const { dtype, shape, begin, end } = parseEntry(name, value, fail);
    spans.push({ name, begin, end });
    const available = bytes.byteLength - dataStart;
    if (end > available) {
      fail(`cut short: tensor ${name} ends at byte ${dataStart + end}, the file has ${bytes.byteLength}`);
    }
    tensors.set(name, { shape, data: viewOf(bytes, dataStart + begin, sizeOf(shape), DTYPES[dtype]) });
  }
  checkCover(spans, bytes.byteLength - dataStart, fail);
  return { tensors, metadata };
}

/**
 * As {@link decode}, for the files of a model: every float is checked once.
 * @throws InputError, one line, also where one is NaN or infinite
 */
export function decodeModel(bytes: Uint8Array, file: string): SafeTensors {
  const found = decode(bytes, file);
  for (const [name, { data }] of found.tensors) {
    const at = data instanceof Float32Array ? firstNonFinite(data) : -1;
    if (at >= 0)
      throw new InputError(
        'damaged-model',
        `${file}: damaged: tensor ${name} holds ${data[at]} at ${at}; expected finite numbers`,
      );
  }
  return found;
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
  if (dtype !== 'F32' && dtype !== 'U32') fail(`tensor ${name} has dtype ${String(dtype)}; F32 and U32 are read`);
  const isSize = (n: unknown): n is number => Number.isSafeInteger(n) && (n as number) >= 0;
  if (!Array.isArray(shape) || !shape.every(isSize)) fail(`tensor ${name}: its shape is not a list of sizes`);
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isSize)) {
    fail(`tensor ${name}: its data_offsets are not two byte numbers`);
  }
  const [begin, end] = offsets as [number, number];
  const sizes = shape as number[];
  if (end - begin !== 4 * sizeOf(sizes)) {
    fail(`tensor ${name}: shape [${sizes}] needs ${4 * sizeOf(sizes)} bytes, its offsets span ${end - begin}`);
  }
  return { dtype: dtype as keyof typeof DTYPES, shape: sizes, begin, end };
}

function viewOf(
  bytes: Uint8Array,
  at: number,
  length: number,
  Type: Float32ArrayConstructor | Uint32ArrayConstructor,
): Float32Array | Uint32Array {
  const offset = bytes.byteOffset + at;
  if (offset % 4 === 0) return new Type(bytes.buffer as ArrayBuffer, offset, length);
  return new Type(bytes.slice(at, at + 4 * length).buffer as ArrayBuffer);
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
