/**
 * Parquet files are decoded in a worker, which can be stopped: two flipped bits are enough to send hyparquet into an
 * endless loop, in which its thread does not even respond to Ctrl-C. Node and the browser start workers differently
 * (cli/input/parquet-worker.ts, web/worker/parquet.ts).
 */
import { InputError } from '../errors.ts';
import type { ParquetPart } from './parquet.ts';

/** A worker that replies to each message with one. */
export interface ParquetWorker {
  post(message: ToWorker, transfer: ArrayBuffer[]): void;
  /** @param failed called if the worker ended by itself */
  listen(answered: (answer: FromWorker) => void, failed: (error: Error) => void): void;
  stop(): void;
}

/** The file first, then a request for each further part. */
export type ToWorker = { bytes: Uint8Array<ArrayBuffer>; source: string } | 'next';
export type FromWorker = { part: ParquetPart } | { problem: string; input: boolean };

/** Time limit of a part: longer than any machine needs. */
const PATIENCE_MS = 20_000;
const BYTES_PER_MS = 500;

/**
 * The parts of a Parquet file. `bytes` are transferred to the worker and are empty afterwards.
 *
 * @throws InputError, also for a file that a worker does not finish
 */
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
          (error) => settled(() => reject(damaged(error.message.replace(/\n.*/s, '')))),
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

/** The worker's side. @returns a function that replies to messages */
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
