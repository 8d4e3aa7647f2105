import { gather } from './compressed.ts';
import { InputError } from './errors.ts';

/** Bytes that open files which are not text, and what to say of them. */
const SIGNATURES: [bytes: number[], advice: string][] = [
  [[0x1f, 0x8b], 'is gzip-compressed twice; unpack it first (gunzip)'],
  [[0x50, 0x4b, 0x03, 0x04], 'is a zip archive; unpack it first (unzip)'],
  [[0x28, 0xb5, 0x2f, 0xfd], 'is zstd-compressed; unpack it first (unzstd)'],
  [[0x50, 0x41, 0x52, 0x31], 'is a Parquet file inside of gzip; unpack it first (gunzip)'],
  [[0xff, 0xfe], 'is UTF-16 text; save it as UTF-8'],
  [[0xfe, 0xff], 'is UTF-16 text; save it as UTF-8'],
];

function rejectBinary(head: Uint8Array, source: string): void {
  for (const [bytes, advice] of SIGNATURES) {
    if (bytes.every((byte, i) => head[i] === byte)) throw new InputError(`${source}: ${advice}`);
  }
  if (head.includes(0)) throw new InputError(`${source}: is not text (it holds NUL bytes); a log is CSV, TSV or text`);
}

/**
 * Decodes UTF-8 chunk by chunk; a byte order mark is dropped.
 *
 * @throws InputError for a compressed, binary or wrongly encoded file, with the line near which it was noticed
 */
export async function* decodeChunks(chunks: AsyncIterable<Uint8Array>, source: string): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let first = true;
  let line = 1;
  const decode = (chunk?: Uint8Array): string => {
    try {
      return chunk ? decoder.decode(chunk, { stream: true }) : decoder.decode();
    } catch {
      throw new InputError(`${source}: is not UTF-8 text (from line ${line} on); save it as UTF-8`);
    }
  };
  for await (const chunk of chunks) {
    if (first) rejectBinary(chunk, source);
    first = false;
    yield decode(chunk);
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) line++;
  }
  yield decode();
}

/**
 * Decodes a small file at once: UTF-8, or Latin-1 (as Windows-1252) where it is not valid UTF-8, which MovieLens'
 * `movies.dat` needs.
 *
 * @throws InputError for a compressed or binary file
 */
export async function decodeAll(chunks: AsyncIterable<Uint8Array>, source: string): Promise<string> {
  const all = await gather(chunks);
  rejectBinary(all, source);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(all);
  } catch {
    return new TextDecoder('windows-1252').decode(all);
  }
}
