/** Decodes Parquet in a worker of its own (data/formats/parquet-worker.ts). */
import { parquetServer, type ToWorker } from '../../data/formats/parquet-worker.ts';

const answer = parquetServer();
self.onmessage = async ({ data }: MessageEvent<ToWorker>) => self.postMessage(await answer(data));
