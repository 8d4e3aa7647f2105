/** Starts a server, and stops it without losing anything. */
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import type { FastifyBaseLogger } from 'fastify';
import { InputError } from '../data/errors.ts';
import { type LoadOptions, RatingPredictor } from '../recommend/node.ts';
import { type AppOptions, buildApp } from './app.ts';
import { readConfig } from './config.ts';
import type { Context } from './context.ts';
import { drainable } from './http/drain.ts';
import type { Keys } from './http/keys.ts';
import { checkListening, listen } from './http/listen.ts';
import { Problem } from './http/problem.ts';
import { isLoopback } from './http/protect.ts';
import { lastLearned, LearningLoop, type LearningOptions } from './learning/loop.ts';
import { Metrics } from './metrics.ts';
import { Goods } from './serving/goods.ts';
import { ListCache } from './serving/list-cache.ts';
import { describeFolder, ModelFolders } from './serving/model-folders.ts';
import { Models } from './serving/models.ts';
import { Popularity } from './serving/popularity.ts';
import { replaceModel } from './serving/replace.ts';
import { ShownLists } from './serving/shown.ts';
import { Sizes } from './serving/sizes.ts';
import { requireWhole } from './store/import.ts';
import { openStore } from './store/open.ts';
import type { Store } from './store/store.ts';

export interface ServeOptions {
  model: string;
  /** Where further models are taken from; default: the folder that the model is in. */
  models?: string;
  /** A second model, which predicts ratings. */
  ratings?: string;
  host: string;
  port: number;
  store: string;
  /** Fills the store before anything reads it. */
  fill?(store: Store): Promise<void>;
  backend: LoadOptions['backend'];
  config: { text: string; file: string } | null;
  keys: Keys | null;
  app: AppOptions;
  /** Updates the model with what is collected; without it models change only from outside. */
  learn?: LearningOptions;
  /** Called once connections are taken, before the model is loaded: /healthz answers, and /readyz says no. */
  onListening?: (bound: { address: string; port: number }) => void;
}

export interface Server {
  address: string;
  context: Context;
  /** Finishes the requests in flight, saves what waits, and frees everything. */
  close(): Promise<void>;
}

/** Milliseconds between two looks at the model's folder, and at what other servers put into the store. */
const WATCH_MS = 1000;
const PULL_MS = 500;
/** Milliseconds between two times that lists that are too old are freed. */
const PURGE_MS = 10_000;
/** Milliseconds that requests in flight have to finish in. */
const DRAIN_MS = 20_000;

/** Resolves when the model is warm. @throws InputError where the model, the store or an option cannot be used */
export async function serve(options: ServeOptions): Promise<Server> {
  const { host, port, keys, backend } = options;
  const named = path.resolve(options.model);
  const model = options.learn ? await lastLearned(named) : named;
  if (!keys && !isLoopback(host))
    throw new InputError('conflicting-settings', `without keys the server is for this machine alone`, {
      setting: 'host',
      value: host,
      hint: 'add keys (attune keys add), or leave the host out',
    });
  checkListening(options.app);
  const config = readConfig(options.config?.text ?? null, options.config?.file);
  await describeFolder(model); // without one there is nothing to serve, and no store to be made
  const store = await openStore(options.store);
  const { fill } = options;
  // Of several servers that start with the same empty store, one fills it.
  await (fill ? store.exclusively(() => fill(store)) : requireWhole(store)).catch(async (error) => {
    await store.close();
    throw error;
  });
  const metrics = new Metrics();
  const models = new Models(new Goods(store), { backend, onBatch: metrics.onBatch });
  metrics.watch(models);
  let log: FastifyBaseLogger | null = null;
  const onError = (error: unknown): void => log?.error({ err: error }, 'lists that were shown could not be saved');
  const context: Context = {
    store,
    models,
    folders: new ModelFolders(options.models ?? path.dirname(model), model),
    ratings: null,
    sizes: new Sizes(store),
    popularity: new Popularity(store, config),
    config,
    keys,
    metrics,
    shown: new ShownLists(store, metrics, config, onError),
    lists: new ListCache(config, models),
    ending: () => drain.draining,
  };
  const app = await buildApp(context, options.app);
  log = app.log;
  const drain = drainable(app);
  const stops: (() => void)[] = [];
  const ends: (() => Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    for (const stop of stops) stop();
    for (const end of ends) await end();
    await drain.drain(DRAIN_MS);
    await app.close();
    await context.shown.flush();
    context.ratings?.close();
    await models.close();
    await store.close();
  };
  try {
    await listen(app, host, port);
    const { address: bound, port: number, family } = app.server.address() as AddressInfo;
    const address = `${options.app.tls ? 'https' : 'http'}://${family === 'IPv6' ? `[${bound}]` : bound}:${number}`;
    options.onListening?.({ address, port: number });
    if (options.ratings !== undefined)
      context.ratings = await RatingPredictor.load(options.ratings, { device: await models.device(model) });
    await models.start(model);
    stops.push(models.watch(WATCH_MS, (folder) => takeChanged(context, folder, app.log)));
    stops.push(
      every(PULL_MS, () => models.refresh().catch((error) => app.log.error({ err: error }, 'items not read'))),
    );
    if (options.learn) {
      const loop = new LearningLoop(context, named, options.learn, app.log);
      ends.push(() => loop.stop());
    }
    stops.push(every(PURGE_MS, async () => context.lists.purge()));
    return { address, context, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The folder of the active model has changed: trained anew, say. */
async function takeChanged(context: Context, folder: string, log: FastifyBaseLogger): Promise<void> {
  try {
    const { version, swapped, comparison } = await replaceModel(context, folder, false);
    if (swapped) log.info({ version, comparison: comparison.note }, 'the model has changed, and answers from now on');
  } catch (error) {
    if (!(error instanceof Problem || error instanceof InputError)) log.error({ err: error }, 'the model was not read');
    else log.warn({ reason: error.message }, 'the model has changed, and is refused: the one before it stays');
  }
}

function every(ms: number, work: () => Promise<void>): () => void {
  const timer = setInterval(() => void work(), ms);
  timer.unref();
  return () => clearInterval(timer);
}
