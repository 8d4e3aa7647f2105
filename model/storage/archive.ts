/**
 * A model folder as one file, NAME.attune: a ZIP (PKWARE APPNOTE 6.3.10) in which every entry is stored, not compressed.
 * Weights hardly compress, and any system's own tools open it: `unzip x.attune` gives the folder back.
 *
 *   config.json first, then the other files of the folder, flat, under plain names, and a manifest of them; names in UTF-8, all dated 1980-01-01, so that one folder
 *   gives one sequence of bytes. The data of each entry starts at a multiple of 64 bytes (padded by the extra field
 *   0xd935, as Android's zipalign does), so that tensors are views on the file. No ZIP64: 4 GiB at most.
 *
 * Reading takes more: entries that a tool deflated, and a folder zipped as a whole. Only the directory at the file's end
 * and the entries asked for are read.
 */
import { damaged, InputError } from '../../data/errors.ts';
import { checkName, ReadOnlyFiles } from './files.ts';

export const ARCHIVE_SUFFIX = '.attune';

/** A file that is read by ranges: a Blob, an array, an open file. */
export interface ByteRanges {
  readonly size: number;
  /** The bytes from `begin` to `end`, both within the file. */
  read(begin: number, end: number): Promise<Uint8Array>;
}

const ALIGNMENT = 64;
const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;
const LOCAL_BYTES = 30;
const CENTRAL_BYTES = 46;
const END_BYTES = 22;
const MOST_COMMENT = 0xffff;
const PADDING = 0xd935;
/** Names are UTF-8. */
const UTF8 = 0x0800;
const ENCRYPTED = 0x0001;
/** 1980-01-01, the first day that ZIP knows. */
const DATE = 0x0021;
const VERSION = 20;
const STORED = 0;
const DEFLATED = 8;
const MOST_BYTES = 0xffffffff;

/** @returns the archive in pieces: headers, and the files' own bytes, which are not copied */
export function archivePieces(files: readonly { name: string; bytes: Uint8Array }[]): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  const directory: Uint8Array[] = [];
  let at = 0;
  const put = (piece: Uint8Array): void => {
    pieces.push(piece);
    at += piece.length;
  };
  for (const { name, bytes } of files) {
    checkName(name);
    const encoded = new TextEncoder().encode(name);
    const start = at;
    if (start + bytes.length > MOST_BYTES - 2 ** 16) {
      throw new InputError('too-large', `${name}: a packed model holds at most 4 GiB`, {
        hint: 'copy the folder instead',
      });
    }
    // The extra field holds its own header of 4 bytes, then as many zeros as the alignment needs.
    const bare = start + LOCAL_BYTES + encoded.length + 4;
    const padding = 4 + ((ALIGNMENT - (bare % ALIGNMENT)) % ALIGNMENT);
    const crc = crc32(bytes);
    const common = (view: DataView, offset: number): void => {
      const words = [VERSION, UTF8, STORED, 0, DATE];
      for (const [i, word] of words.entries()) view.setUint16(offset + 2 * i, word, true);
      for (const [i, word] of [crc, bytes.length, bytes.length].entries())
        view.setUint32(offset + 10 + 4 * i, word, true);
      view.setUint16(offset + 22, encoded.length, true);
    };
    const local = new Uint8Array(LOCAL_BYTES + encoded.length + padding);
    const localView = new DataView(local.buffer);
    localView.setUint32(0, LOCAL, true);
    common(localView, 4);
    localView.setUint16(28, padding, true);
    local.set(encoded, LOCAL_BYTES);
    localView.setUint16(LOCAL_BYTES + encoded.length, PADDING, true);
    localView.setUint16(LOCAL_BYTES + encoded.length + 2, padding - 4, true);

    const central = new Uint8Array(CENTRAL_BYTES + encoded.length);
    const centralView = new DataView(central.buffer);
    centralView.setUint32(0, CENTRAL, true);
    centralView.setUint16(4, VERSION, true);
    common(centralView, 6);
    centralView.setUint32(42, start, true);
    central.set(encoded, CENTRAL_BYTES);
    directory.push(central);
    put(local);
    if (bytes.length > 0) put(bytes);
  }
  const start = at;
  for (const piece of directory) put(piece);
  const end = new Uint8Array(END_BYTES);
  const view = new DataView(end.buffer);
  view.setUint32(0, END, true);
  view.setUint16(8, files.length, true);
  view.setUint16(10, files.length, true);
  view.setUint32(12, at - start, true);
  view.setUint32(16, start, true);
  put(end);
  return pieces;
}

interface Entry {
  method: number;
  crc: number;
  /** Bytes in the archive, and of the file. */
  stored: number;
  size: number;
  /** Of its local header. */
  offset: number;
}

/** The files of an archive; they cannot be changed. */
export class ArchiveFiles extends ReadOnlyFiles {
  readonly where: string;
  readonly checked = true;
  private readonly ranges: ByteRanges;
  private readonly entries: ReadonlyMap<string, Entry>;

  private constructor(where: string, ranges: ByteRanges, entries: ReadonlyMap<string, Entry>) {
    super();
    this.where = where;
    this.ranges = ranges;
    this.entries = entries;
  }

  /**
   * Reads the directory of an archive.
   * @param where what error messages call it
   * @throws InputError when it is no packed model, cut short, or damaged
   */
  static async open(ranges: ByteRanges, where: string): Promise<ArchiveFiles> {
    const fail = damaged(where);
    const tail = await ranges.read(Math.max(0, ranges.size - END_BYTES - MOST_COMMENT), ranges.size);
    const view = viewOf(tail);
    let at = tail.length - END_BYTES;
    while (at >= 0 && view.getUint32(at, true) !== END) at--;
    if (at < 0) fail('no packed model, or cut short (attune pack makes one)');
    const count = view.getUint16(at + 10, true);
    const bytes = view.getUint32(at + 12, true);
    const begin = view.getUint32(at + 16, true);
    if (count === 0xffff || begin === 0xffffffff) fail('a ZIP64 archive; a packed model holds at most 4 GiB');
    if (begin + bytes > ranges.size) fail('cut short or damaged (its directory lies beyond its end)');
    const directory = await ranges.read(begin, begin + bytes);
    const entries = parseDirectory(directory, count, fail);
    return new ArchiveFiles(where, ranges, flat(entries, fail));
  }

  async read(name: string): Promise<Uint8Array | null> {
    checkName(name);
    const entry = this.entries.get(name);
    if (!entry) return null;
    const { offset, stored, method } = entry;
    const fail = damaged(`${this.where}: ${name}`);
    if (offset + LOCAL_BYTES > this.ranges.size) fail('cut short');
    const local = viewOf(await this.ranges.read(offset, offset + LOCAL_BYTES));
    if (local.getUint32(0, true) !== LOCAL) fail('damaged');
    const begin = offset + LOCAL_BYTES + local.getUint16(26, true) + local.getUint16(28, true);
    if (begin + stored > this.ranges.size) fail('cut short');
    const data = await this.ranges.read(begin, begin + stored);
    const bytes = method === STORED ? data : await inflate(data).catch(() => fail('damaged'));
    if (bytes.length !== entry.size || crc32(bytes) !== entry.crc) fail('damaged (its checksum does not fit)');
    return bytes;
  }

  async list(): Promise<string[]> {
    return [...this.entries.keys()].sort();
  }

  protected refuse(name: string): never {
    throw new InputError(
      'file-access',
      `${this.where}: a packed model is not changed, so that ${name} cannot be written`,
      { hint: 'unpack it into a folder first (attune unpack)' },
    );
  }
}

/** An array as a file. */
export function rangesOf(bytes: Uint8Array): ByteRanges {
  return { size: bytes.length, read: async (begin, end) => bytes.subarray(begin, end) };
}

/** A Blob or File, of which only what is asked for is read. */
export function rangesOfBlob(blob: Blob): ByteRanges {
  return {
    size: blob.size,
    read: async (begin, end) => new Uint8Array(await blob.slice(begin, end).arrayBuffer()),
  };
}

type Fail = (what: string) => never;

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

function parseDirectory(bytes: Uint8Array, count: number, fail: Fail): Map<string, Entry> {
  const view = viewOf(bytes);
  const entries = new Map<string, Entry>();
  let at = 0;
  for (let i = 0; i < count; i++) {
    if (at + CENTRAL_BYTES > bytes.length || view.getUint32(at, true) !== CENTRAL) fail('its directory is damaged');
    const [nameBytes, extraBytes, commentBytes] = [28, 30, 32].map((offset) => view.getUint16(at + offset, true));
    const name = new TextDecoder().decode(bytes.subarray(at + CENTRAL_BYTES, at + CENTRAL_BYTES + nameBytes));
    const method = view.getUint16(at + 10, true);
    if (view.getUint16(at + 8, true) & ENCRYPTED) fail(`${name} is encrypted`);
    if (method !== STORED && method !== DEFLATED) fail(`${name} is compressed by method ${method}; expected it stored`);
    if (entries.has(name)) fail(`its directory is damaged (${name} is there twice)`);
    entries.set(name, {
      method,
      crc: view.getUint32(at + 16, true),
      stored: view.getUint32(at + 20, true),
      size: view.getUint32(at + 24, true),
      offset: view.getUint32(at + 42, true),
    });
    at += CENTRAL_BYTES + nameBytes + extraBytes + commentBytes;
  }
  return entries;
}

/** The files of the model, whether they were packed alone or with their folder. */
function flat(entries: ReadonlyMap<string, Entry>, fail: Fail): Map<string, Entry> {
  // Packed models of before there was a manifest have a config.json alone.
  const found = ['manifest.json', 'config.json'].flatMap((file) =>
    [...entries.keys()].filter((name) => name === file || name.match(/^[^/]+\/([^/]+)$/)?.[1] === file),
  );
  if (found.length === 0) return fail('not a packed model (there is no manifest.json or config.json in it)');
  const folder = found[0].slice(0, found[0].lastIndexOf('/') + 1);
  const files = new Map<string, Entry>();
  for (const [path, entry] of entries) {
    const name = path.startsWith(folder) ? path.slice(folder.length) : '';
    if (name !== '' && !name.includes('/')) files.set(name, entry);
  }
  return files;
}

async function inflate(data: Uint8Array): Promise<Uint8Array> {
  const stream = new Blob([data as Uint8Array<ArrayBuffer>])
    .stream()
    .pipeThrough(new DecompressionStream('deflate-raw'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

let table: Uint32Array | null = null;

/** CRC-32 (ISO 3309), as ZIP has it. */
export function crc32(bytes: Uint8Array): number {
  table ??= Uint32Array.from({ length: 256 }, (_, n) => {
    let c = n;
    for (let k = 0; k < 8; k++) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1;
    return c;
  });
  let crc = 0xffffffff;
  for (let i = 0; i < bytes.length; i++) crc = table[(crc ^ bytes[i]) & 0xff] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}
