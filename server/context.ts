/** What the routes share. */
import type { Keys } from './http/keys.ts';
import type { Models } from './serving/models.ts';
import type { Store } from './store/store.ts';
import type { ServerConfig } from './config.ts';

export interface Context {
  store: Store;
  models: Models;
  config: ServerConfig;
  /** null: no keys, loopback only. */
  keys: Keys | null;
}
