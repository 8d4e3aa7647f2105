/** Starts a server, and stops it without losing anything. */
import type { AddressInfo } from 'node:net';
import { InputError } from '../data/errors.ts';
import { RatingPredictor } from '../recommend/node.ts';
import { type AppOptions, buildApp } from './app.ts';
import { readConfig } from './config.ts';
import type { Context } from './context.ts';
import type { Keys } from './http/keys.ts';
import { isLoopback } from './http/protect.ts';
import { Goods } from './serving/goods.ts';
import { Models } from './serving/models.ts';
import { Sizes } from './serving/sizes.ts';
import { Traffic } from './serving/traffic.ts';
import { openStore } from './store/open.ts';

export interface ServeOptions {
  model: string;
  /** A second model, which predicts ratings. */
  ratings?: string;
  host: string;
  port: number;
  store: string;
  backend: 'auto' | 'webgpu' | 'cpu';
  config: { text: string; file: string } | null;
  keys: Keys | null;
  app: AppOptions;
}

export interface Server {
  address: string;
  context: Context;
  /** Finishes the requests in flight, saves what waits, and frees everything. */
  close(): Promise<void>;
}

export async function serve(options: ServeOptions): Promise<Server> {
  const { model, host, port, keys, backend } = options;
  if (!keys && !isLoopback(host))
    throw new InputError('conflicting-settings', `without keys the server is for this machine alone`, {
      setting: 'host',
      value: host,
      hint: 'add keys (attune keys add), or leave the host out',
    });
  const config = readConfig(options.config?.text ?? null, options.config?.file);
  const store = await openStore(options.store);
  try {
    const models = await Models.open(model, new Goods(store), { backend });
    const ratings =
      options.ratings === undefined
        ? null
        : await RatingPredictor.load(options.ratings, { device: models.current.recommender.device });
    const context: Context = {
      store,
      sizes: new Sizes(store),
      models,
      ratings,
      traffic: new Traffic(),
      config,
      keys,
    };
    const app = await buildApp(context, options.app);
    await app.listen({ host, port });
    const { address, port: bound, family } = app.server.address() as AddressInfo;
    return {
      address: `${options.app.tls ? 'https' : 'http'}://${family === 'IPv6' ? `[${address}]` : address}:${bound}`,
      context,
      async close() {
        await app.close();
        ratings?.close();
        models.close();
        await store.close();
      },
    };
  } catch (error) {
    await store.close();
    throw error;
  }
}
