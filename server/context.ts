/** What the routes share. */
import type { RatingPredictor } from '../recommend/node.ts';
import type { Keys } from './http/keys.ts';
import type { Metrics } from './metrics.ts';
import type { ListCache } from './serving/list-cache.ts';
import type { ModelFolders } from './serving/model-folders.ts';
import type { Models } from './serving/models.ts';
import type { Popularity } from './serving/popularity.ts';
import type { ShownLists } from './serving/shown.ts';
import type { Sizes } from './serving/sizes.ts';
import type { Store } from './store/store.ts';
import type { ServerConfig } from './config.ts';

export interface Context {
  store: Store;
  models: Models;
  /** Where models are taken from. */
  folders: ModelFolders;
  /** null: no model of ratings is served. */
  ratings: RatingPredictor | null;
  sizes: Sizes;
  popularity: Popularity;
  config: ServerConfig;
  /** null: no keys, loopback only. */
  keys: Keys | null;
  metrics: Metrics;
  shown: ShownLists;
  lists: ListCache;
  /** Whether the server is to end. */
  ending: () => boolean;
}
