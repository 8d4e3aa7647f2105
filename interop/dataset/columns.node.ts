/** Columns in files: written value by value, read in blocks by synchronous reads at a position. */
import { closeSync, fstatSync, openSync, readSync, writeSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import type { ValueColumn, ColumnValues } from '../../data/column.ts';
import type { ColumnWriter } from '../../data/log.ts';
import { explain } from '../../recommend/sources/files.node.ts';
import type { FileEntry } from './manifest.ts';

type Make<A extends ColumnValues> = (values: number | ArrayBuffer) => A;
export const u32: Make<Uint32Array> = (values) => new Uint32Array(values as number);
export const f64: Make<Float64Array> = (values) => new Float64Array(values as number);

/** ColumnValues of a block, and blocks of a column that are kept: 16 or 32 KB, 8 or 16 MB. */
const BLOCK = 4096;
const KEPT = 512;

/** A file of a column, and how many values it has. */
export interface ColumnFile {
  path: string;
  length: number;
}

/** A column in one file, or several end to end. The files stay open for as long as the process runs. */
export class FileColumn<A extends ColumnValues> implements ValueColumn<A> {
  readonly length: number;
  private readonly make: Make<A>;
  private readonly bytes: number;
  private readonly files: { path: string; first: number; length: number; handle: number }[] = [];
  /** By number, the least recently used first. */
  private readonly blocks = new Map<number, A>();
  private latest = -1;
  private block: A;

  /** @throws InputError for a file that is not there */
  constructor(files: readonly ColumnFile[], make: Make<A>) {
    this.make = make;
    this.block = make(0);
    this.bytes = this.block.BYTES_PER_ELEMENT;
    let first = 0;
    for (const { path, length } of files) {
      if (length === 0) continue;
      this.files.push({ path, first, length, handle: opened(path) });
      first += length;
    }
    this.length = first;
  }

  at(i: number): number | undefined {
    if (!(i >= 0 && i < this.length)) return undefined;
    const number = Math.floor(i / BLOCK);
    return (number === this.latest ? this.block : this.blockOf(number))[i - number * BLOCK];
  }

  subarray(from: number, to: number): A {
    const end = Math.min(to, this.length);
    const start = Math.min(Math.max(0, from), end);
    const number = Math.floor(start / BLOCK);
    if (end <= (number + 1) * BLOCK && start < end) {
      return this.blockOf(number).subarray(start - number * BLOCK, end - number * BLOCK) as A;
    }
    const out = this.make(Math.max(0, end - start));
    this.read(out, start);
    return out;
  }

  *[Symbol.iterator](): IterableIterator<number> {
    for (let from = 0; from < this.length; from += BLOCK)
      yield* this.subarray(from, Math.min(this.length, from + BLOCK));
  }

  private blockOf(number: number): A {
    if (number === this.latest) return this.block;
    let block = this.blocks.get(number);
    if (block) this.blocks.delete(number);
    else {
      block = this.make(Math.min(BLOCK, this.length - number * BLOCK));
      this.read(block, number * BLOCK);
      if (this.blocks.size === KEPT) this.blocks.delete(this.blocks.keys().next().value as number);
    }
    this.blocks.set(number, block);
    this.latest = number;
    this.block = block;
    return block;
  }

  /** Fills `out` with the values from `start` on. */
  private read(out: A, start: number): void {
    let done = 0;
    let low = 0;
    for (let high = this.files.length - 1; low < high; ) {
      const middle = (low + high + 1) >> 1;
      if (this.files[middle].first <= start) low = middle;
      else high = middle - 1;
    }
    for (let f = low; done < out.length; f++) {
      const { path, first, length, handle } = this.files[f];
      const from = start + done - first;
      const count = Math.min(out.length - done, length - from);
      readWhole(
        handle,
        path,
        new Uint8Array(out.buffer, out.byteOffset + done * this.bytes, count * this.bytes),
        from * this.bytes,
      );
      done += count;
    }
  }
}

function opened(path: string): number {
  try {
    return openSync(path, 'r');
  } catch (error) {
    throw explain(error, path, 'read');
  }
}

/** Reads the bytes at a position. @throws Error where the file has become shorter */
function readWhole(handle: number, path: string, bytes: Uint8Array, position: number): void {
  for (let at = 0; at < bytes.length; ) {
    const got = readSync(handle, bytes, at, bytes.length - at, position + at);
    if (got === 0) throw new Error(`${path}: has become shorter while it was read`);
    at += got;
  }
}

/** All of a file as values. */
export function readColumn<A extends ColumnValues>({ path, length }: ColumnFile, make: Make<A>): A {
  const handle = opened(path);
  try {
    const out = make(length);
    readWhole(handle, path, new Uint8Array(out.buffer), 0);
    return out;
  } finally {
    closeSync(handle);
  }
}

/** Writes a file in order, and sums it up. */
export class FileWriter {
  readonly path: string;
  private readonly handle: number;
  private bytes = 0;
  private crc = 0;

  /** @throws InputError where the file cannot be made */
  constructor(path: string) {
    this.path = path;
    try {
      this.handle = openSync(path, 'w');
    } catch (error) {
      throw explain(error, path, 'write');
    }
  }

  /** @throws InputError where the disk is full */
  write(values: ArrayBufferView): void {
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(this.handle, bytes, at);
    } catch (error) {
      throw explain(error, this.path, 'write');
    }
    this.crc = crc32(bytes, this.crc);
    this.bytes += bytes.length;
  }

  close(): FileEntry {
    closeSync(this.handle);
    return { bytes: this.bytes, crc32: this.crc };
  }
}

/** ColumnValues to be written at once. */
const BUFFER = 1 << 14;

/** A column that is written to a file and then read from it. */
export class SpilledColumn<A extends ColumnValues> implements ColumnWriter<A> {
  private readonly make: Make<A>;
  private readonly buffer: A;
  private readonly file: FileWriter;
  private used = 0;
  private length = 0;

  constructor(path: string, make: Make<A>) {
    this.make = make;
    this.buffer = make(BUFFER);
    this.file = new FileWriter(path);
  }

  push(value: number): void {
    this.buffer[this.used++] = value;
    if (this.used === BUFFER) this.flush();
  }

  private flush(): void {
    this.file.write(this.buffer.subarray(0, this.used));
    this.length += this.used;
    this.used = 0;
  }

  finish(): FileColumn<A> {
    this.flush();
    this.file.close();
    return new FileColumn([{ path: this.file.path, length: this.length }], this.make);
  }
}

/** The sum of a file. @param pause awaited after each piece with its bytes; it may throw to stop */
export async function sumOf(path: string, pause: (bytes: number) => Promise<void>): Promise<FileEntry> {
  const handle = opened(path);
  try {
    const piece = new Uint8Array(1 << 20);
    const { size } = fstatSync(handle);
    let crc = 0;
    let at = 0;
    while (at < size) {
      const got = readSync(handle, piece, 0, piece.length, at);
      if (got === 0) break;
      crc = crc32(piece.subarray(0, got), crc);
      at += got;
      await pause(got);
    }
    return { bytes: at, crc32: crc };
  } finally {
    closeSync(handle);
  }
}
