/**
 * Parquet files are decoded in a worker, where work that never ends can be stopped: two flipped bits are enough to make
 * hyparquet spin, and the thread that it spins in answers nobody, Ctrl-C included. How a worker is started is for Node and
 * for the browser to say (cli/input/parquet-worker.ts, web/worker/parquet.ts).
 */
import { InputError } from '../errors.ts';
import type { ParquetPart } from './parquet.ts';

/** A worker that answers each message with one. */
export interface ParquetWorker {
  post(message: ToWorker, transfer: ArrayBuffer[]): void;
  /** @param failed for a worker that ended by itself */
  listen(answered: (answer: FromWorker) => void, failed: (error: Error) => void): void;
  stop(): void;
}

/** The file at first, then a call for each further part. */
export type ToWorker = { bytes: Uint8Array<ArrayBuffer>; source: string } | 'next';
export type FromWorker = { part: ParquetPart } | { problem: string; input: boolean };

/** How long a part may take: longer than any machine needs. */
const PATIENCE_MS = 20_000;
const BYTES_PER_MS = 500;

/** What a Parquet file gives. `bytes` are handed to the worker and are empty afterwards. @throws InputError, also for a file that a worker cannot get through */
export async function* parquetPartsInWorker(
  open: () => ParquetWorker,
  bytes: Uint8Array<ArrayBuffer>,
  source: string,
  patience = PATIENCE_MS + bytes.length / BYTES_PER_MS,
): AsyncGenerator<ParquetPart> {
  const worker = open();
  const damaged = (why: string) => new InputError('unreadable-file', `${source}: cannot be read as Parquet (${why})`);
  try {
    let next: ToWorker = { bytes, source };
    for (;;) {
      const message = next;
      const answer = await new Promise<FromWorker>((resolve, reject) => {
        const seconds = Math.round(patience / 1000);
        const late = setTimeout(() => reject(damaged(`no progress for ${seconds} s: the file is damaged`)), patience);
        const settled = (settle: () => void) => {
          clearTimeout(late);
          settle();
        };
        worker.listen(
          (found) => settled(() => resolve(found)),
          (error) => settled(() => reject(damaged(error.message.split('\n')[0]))),
        );
        worker.post(message, message === 'next' ? [] : [message.bytes.buffer]);
      });
      if ('problem' in answer)
        throw answer.input ? new InputError('unreadable-file', answer.problem) : new Error(answer.problem);
      yield answer.part;
      if (answer.part.kind === 'end') return;
      next = 'next';
    }
  } finally {
    worker.stop();
  }
}

/** The worker's side. @returns what answers its messages */
export function parquetServer(): (message: ToWorker) => Promise<FromWorker> {
  let parts: AsyncGenerator<ParquetPart>;
  return async (message) => {
    try {
      if (message !== 'next') {
        const { parquetParts } = await import('./parquet.ts');
        parts = parquetParts(message.bytes, message.source);
      }
      return { part: (await parts.next()).value as ParquetPart };
    } catch (error) {
      return { problem: (error as Error).message, input: error instanceof InputError };
    }
  };
}
