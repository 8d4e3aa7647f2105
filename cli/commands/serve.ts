/** `attune serve`: the HTTP service. */
import { spawn } from 'node:child_process';
import { existsSync, watchFile } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { constants, setPriority } from 'node:os';
import { fileURLToPath } from 'node:url';
import { InputError } from '../../data/errors.ts';
import { loadConfig } from '../../model/storage/config.ts';
import { openPath } from '../../recommend/sources/sources.node.ts';
import type { LearningOptions } from '../../server/learning/loop.ts';
import type { Keys } from '../../server/http/keys.ts';
import { serve } from '../../server/serve.ts';
import { interrupts, Output, versionOf } from '../common.ts';
import { UsageError } from '../errors.ts';
import { readKeys, readTls } from '../input/listening.ts';
import { pathsExist } from '../input/paths.ts';
import { fillStore } from '../input/store.ts';
import { bufferedLines } from '../output/lines.ts';
import type { ServeFlags } from './serve.flags.ts';

/** Built beside the command. */
const PAGE = fileURLToPath(new URL('../../operator', import.meta.url));

/** Milliseconds that ending takes at most. */
const LONGEST_MS = 28_000;

export async function runServe(flags: ServeFlags): Promise<void> {
  const out = new Output();
  const { model, models, ratings, host, port, log, device: backend } = flags;
  const store = flags.store ?? `${model.replace(/[/\\]+$/, '')}.store.db`;
  const config = flags.config === undefined ? null : { text: await readFile(flags.config, 'utf8'), file: flags.config };
  const { cors, trustProxy } = flags;
  const tls = await readTls(flags);
  const keys = await readKeys(flags.keys);
  const { data } = flags;
  if (data === undefined && (flags.items ?? flags.users) !== undefined)
    throw new UsageError('--items and --users fill an empty store with a log: name it with --data PATH');
  const learn = flags.learn && { after: flags.learn, update: updateOf(flags) };
  if (learn) await requireLog(model);
  const operator = existsSync(PAGE) ? PAGE : undefined;
  interrupts.handled = true;
  const stopped = firstSignal();
  let loaded = false;
  // Nothing was taken yet.
  void stopped.then(() => !loaded && process.exit(0));
  const server = await serve({
    model,
    models,
    ratings,
    host,
    port,
    store,
    fill: data === undefined ? undefined : (empty) => fillStore(empty, { ...flags, data }, out),
    backend,
    config,
    keys,
    learn,
    app: { version: versionOf(), log, logTo: bufferedLines(process.stdout), tls, operator, cors, trustProxy },
    onListening: ({ port }) => out.warn(`listening on port ${port}; loading ${model}`),
  });
  loaded = true;
  out.warn(`serving ${model} on ${server.address}; store: ${server.context.store.name}; Ctrl-C stops`);
  if (operator === undefined)
    out.warn("the operator's page is not built, and nothing is at /: npm run build builds it");
  if (keys && flags.keys !== undefined) watchKeys(keys, flags.keys, out);
  else out.warn('without --keys only this machine may ask, under localhost or a loopback address');
  const signal = await stopped;
  out.warn(`${signal}: answering what was asked, then ending; a second signal ends at once`);
  // What was acknowledged is in the store whatever comes: no hang may hold the process.
  setTimeout(() => process.exit(0), LONGEST_MS).unref();
  await server.close();
}

/** Updates join the log of the training. @throws InputError where it is not there */
async function requireLog(model: string): Promise<void> {
  const { data } = await loadConfig(await openPath(model));
  if (pathsExist(data.source)) return;
  throw new InputError('not-found', `${data.source}: the log that ${model} was trained on is not there`, {
    hint: '--learn needs it: start where it was trained, or train it again',
  });
}

/** `attune update` in a process of its own, at a low priority. */
function updateOf({ learnMinutes, device }: ServeFlags): LearningOptions['update'] {
  return (model, events, out, signal) =>
    new Promise((resolve, reject) => {
      const limits = ['--max-minutes', String(learnMinutes), '--device', device, '--overwrite', '--json'];
      const args = [process.argv[1], 'update', '--model', model, '--data', events, '--out', out].concat(limits);
      const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'], signal });
      if (child.pid !== undefined) setPriority(child.pid, constants.priority.PRIORITY_LOW);
      let said = '';
      child.stderr.setEncoding('utf8').on('data', (text) => {
        said = `${said}${text}`.slice(-10_000);
      });
      child.once('error', reject);
      child.once('close', (code) => {
        if (code === 0) resolve();
        else reject(new Error(`attune update ended with ${code}: ${said.trimEnd().split('\n').at(-1)}`));
      });
    });
}

/** Also one that comes while the model is being loaded; the second ends the process at once. */
function firstSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let first = true;
    for (const [signal, code] of [['SIGTERM', 143] as const, ['SIGINT', 130] as const]) {
      process.on(signal, () => {
        if (!first) process.exit(code);
        first = false;
        resolve(signal);
      });
    }
  });
}

/** Keys that were added or removed count within a second, without a restart. */
function watchKeys(keys: Keys, file: string, out: Output): void {
  watchFile(file, { interval: 500, persistent: false }, async () => {
    try {
      keys.replace(await readFile(file, 'utf8'), file);
      out.warn(`read ${file} again: ${keys.list().length} keys`);
    } catch (error) {
      out.warn(`${file} cannot be read, and the keys stay as they were: ${(error as Error).message}`);
    }
  });
}
