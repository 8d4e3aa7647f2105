/** `attune serve`: the HTTP service. */
import { readFile } from 'node:fs/promises';
import { Keys } from '../../server/http/keys.ts';
import { serve } from '../../server/serve.ts';
import { interrupts, Output, versionOf } from '../common.ts';
import type { ServeFlags } from './serve.flags.ts';

export async function runServe(flags: ServeFlags): Promise<void> {
  const out = new Output();
  const { model, ratings, host, port, log, device: backend } = flags;
  const store = flags.store ?? `${model.replace(/[/\\]+$/, '')}.store.db`;
  const config = flags.config === undefined ? null : { text: await readFile(flags.config, 'utf8'), file: flags.config };
  const keys = flags.keys === undefined ? null : Keys.parse(await readFile(flags.keys, 'utf8'), flags.keys);
  interrupts.handled = true;
  const stopped = new Promise<void>((resolve) => {
    process.once('SIGTERM', resolve);
    process.once('SIGINT', resolve);
  });
  const server = await serve({ model, ratings, host, port, store, backend, config, keys, log, version: versionOf() });
  out.warn(`serving ${model} on ${server.address}; store: ${server.context.store.name}; Ctrl-C stops`);
  await stopped;
  await server.close();
}
