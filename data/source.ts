/** From a file's bytes to its rows, whatever the file is: text, gzip-compressed text, Parquet. */
import { gather, gunzip, kindOfFile } from './compressed.ts';
import { RecordParser, type RecordSink } from './records.ts';
import { decodeAll, decodeChunks } from './text.ts';

export interface SourceOptions {
  /** called with the bytes of the file that were read so far */
  onProgress?(bytes: number): void;
  /** text that is not UTF-8 is Latin-1 (as Windows-1252), which MovieLens' `movies.dat` needs; such a file is read at once */
  latin1?: boolean;
}

/** @throws InputError for a file that is none of these, or is damaged */
export async function readRecords(
  chunks: AsyncIterable<Uint8Array>,
  source: string,
  sink: RecordSink,
  { onProgress, latin1 = false }: SourceOptions = {},
): Promise<void> {
  const file = await kindOfFile(chunks);
  if (file.kind === 'parquet') {
    const bytes = await gather(file.chunks);
    const { readParquet } = await import('./parquet.ts'); // few logs need it
    return readParquet(bytes, source, sink, (share) => onProgress?.(share * bytes.length));
  }
  const counted = onProgress ? counting(file.chunks, onProgress) : file.chunks;
  const text = file.kind === 'gzip' ? gunzip(counted, source) : counted;
  const parser = new RecordParser(source, sink);
  if (latin1) parser.push(await decodeAll(text, source));
  else for await (const piece of decodeChunks(text, source)) parser.push(piece);
  parser.end();
}

async function* counting(
  chunks: AsyncIterable<Uint8Array>,
  onProgress: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const chunk of chunks) {
    yield chunk;
    bytes += chunk.length;
    onProgress(bytes);
  }
}
