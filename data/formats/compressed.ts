/** Detects and unpacks files that are not plain text. */
import { InputError } from '../errors.ts';

const GZIP = [0x1f, 0x8b];
const PARQUET = [0x50, 0x41, 0x52, 0x31];

export type FileKind = 'text' | 'gzip' | 'parquet';

/** Detects the kind of a file by its first bytes; `chunks` yields all of its bytes again. */
export async function detectFileKind(
  chunks: AsyncIterable<Uint8Array>,
): Promise<{ kind: FileKind; chunks: AsyncIterable<Uint8Array> }> {
  const iterator = chunks[Symbol.asyncIterator]();
  const read: Uint8Array[] = [];
  const head: number[] = [];
  while (head.length < PARQUET.length) {
    const { done, value } = await iterator.next();
    if (done) break;
    read.push(value);
    for (const byte of value.subarray(0, PARQUET.length - head.length)) head.push(byte);
  }
  const begins = (bytes: readonly number[]): boolean => bytes.every((byte, i) => head[i] === byte);
  async function* again(): AsyncGenerator<Uint8Array> {
    try {
      yield* read;
      for (let next = await iterator.next(); !next.done; next = await iterator.next()) yield next.value;
    } finally {
      await iterator.return?.();
    }
  }
  return { kind: begins(GZIP) ? 'gzip' : begins(PARQUET) ? 'parquet' : 'text', chunks: again() };
}

/** Unpacks gzip piece by piece. @throws InputError where the file is damaged */
export async function* gunzip(chunks: AsyncIterable<Uint8Array>, source: string): AsyncGenerator<Uint8Array> {
  const unpacker = new DecompressionStream('gzip');
  const reader = unpacker.readable.getReader();
  const writer = unpacker.writable.getWriter();
  // An error here also fails the reader, which reports it.
  const feed = async (): Promise<void> => {
    for await (const chunk of chunks) await writer.write(chunk as Uint8Array<ArrayBuffer>);
    await writer.close();
  };
  const fed = feed().catch((error) => writer.abort(error).catch(() => {}));
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      yield value;
    }
  } catch (error) {
    if (error instanceof InputError) throw error;
    throw new InputError('unreadable-file', `${source}: is damaged: its gzip data cannot be unpacked`, {
      hint: 'copy it again',
    });
  } finally {
    await reader.cancel().catch(() => {});
    await fed;
  }
}

/** All bytes of a file in one array. */
export async function readAllBytes(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of chunks) {
    parts.push(chunk);
    size += chunk.length;
  }
  const all = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
