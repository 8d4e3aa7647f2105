/** Decodes Parquet in a thread of its own (data/formats/parquet-worker.ts): both sides of it. */
import { isMainThread, parentPort, Worker as Thread } from 'node:worker_threads';
import {
  type FromWorker,
  type ToWorker,
  type ParquetWorker,
  parquetServer,
} from '../../data/formats/parquet-worker.ts';

/** Starts the thread. */
export function openParquetWorker(): ParquetWorker {
  // Whoever awaits it reports its errors; its output is not read.
  const thread = new Thread(new URL(import.meta.url), { stderr: true, stdout: true });
  return {
    post: (message, transfer) => thread.postMessage(message, transfer),
    listen: (answered, failed) => {
      thread.removeAllListeners();
      thread.once('message', answered);
      thread.once('error', failed);
      thread.once('exit', () => failed(new Error('the decoder ended')));
    },
    stop: () => {
      thread.removeAllListeners();
      thread.on('error', () => {}); // of work that was stopped
      thread.terminate().catch(() => {});
    },
  };
}

if (!isMainThread && parentPort) {
  const port = parentPort;
  const answer = parquetServer();
  port.on('message', async (message: ToWorker) => {
    const answered: FromWorker = await answer(message);
    port.postMessage(answered);
  });
}
