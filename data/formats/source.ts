/** From a file's bytes to its rows, of any format: text, gzip-compressed text, Parquet. */
import { readAllBytes, gunzip, detectFileKind } from './compressed.ts';
import type { FormatOptions } from './format.ts';
import { parquetPartsInWorker, type ParquetWorker } from './parquet-worker.ts';
import { RecordParser, type RecordSink } from './records.ts';
import { ByteDecoder } from './text.ts';

export interface SourceOptions extends FormatOptions {
  /** starts a worker that decodes Parquet; without it that happens in this thread, where a damaged file may never end */
  openParquetWorker?: () => ParquetWorker;
  /** called with the bytes of the file that were read so far */
  onProgress?(bytes: number): void;
}

/** @throws InputError for a file that is none of these, or is damaged */
export async function readRecords(
  chunks: AsyncIterable<Uint8Array>,
  source: string,
  sink: RecordSink,
  { onProgress, openParquetWorker, ...options }: SourceOptions = {},
): Promise<void> {
  const file = await detectFileKind(chunks);
  if (file.kind === 'parquet') {
    const bytes = await readAllBytes(file.chunks);
    const size = bytes.length;
    const { emitParts: giveParts, parquetParts } = await import('./parquet.ts'); // few logs need it
    const parts = openParquetWorker
      ? parquetPartsInWorker(openParquetWorker, bytes, source)
      : parquetParts(bytes, source);
    return giveParts(parts, source, sink, (share) => onProgress?.(share * size));
  }
  const counted = onProgress ? counting(file.chunks, onProgress) : file.chunks;
  const text = file.kind === 'gzip' ? gunzip(counted, source) : counted;
  const parser = new RecordParser(source, sink, options);
  const decoder = new ByteDecoder(source);
  for await (const bytes of text) {
    const piece = decoder.push(bytes);
    parser.escaped = decoder.escaped;
    parser.push(piece);
  }
  const piece = decoder.end();
  parser.escaped = decoder.escaped;
  parser.push(piece);
  parser.end();
  sink.end(decoder.encoding);
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
