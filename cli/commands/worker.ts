/** `attune worker`: takes jobs from a queue until Ctrl-C. */
import type { WorkerFlags } from './worker.flags.ts';
import { statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { InputError } from '../../data/errors.ts';
import { onInterrupt, Output } from '../common.ts';
import { missingPackage } from '../packages.ts';

export async function runWorkerCommand({ queue, workspace, concurrency, device }: WorkerFlags): Promise<void> {
  const out = new Output();
  if (!statSync(workspace, { throwIfNoEntry: false })?.isDirectory())
    throw new InputError('not-found', `--workspace ${workspace}: no such folder`);
  const { runWorker } = await import('../../cluster/worker.node.ts').catch(missingPackage);
  const interrupt = onInterrupt(() => out.note('worker: stopping; what is being done is saved and given back'));
  const main = fileURLToPath(new URL('../main.js', import.meta.url));
  try {
    await runWorker({
      queue,
      workspace,
      command: [process.execPath, main],
      device,
      concurrency,
      signal: interrupt.signal,
      log: (line) => out.note(`worker: ${line}`),
    });
  } finally {
    interrupt.end();
  }
}
