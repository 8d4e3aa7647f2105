/**
 * Lists of stored users, each kept until an event or a change of the user, an item, or the model changes it. The store says
 * at each request whether the user has changed, so that no replica answers with an old list.
 */
import { LRUCache } from 'lru-cache';
import type { ServerConfig } from '../config.ts';
import type { Catalog } from './catalog.ts';
import type { ListAnswer, ListOptions } from './list.ts';
import type { Models } from './models.ts';

interface Kept {
  /** Of the user. */
  revision: number;
  list: ListAnswer;
}

export class ListCache {
  private readonly settings: ServerConfig['cache'];
  private readonly models: Models;
  /** A changed item or another model makes another catalog, and drops the lists of the one before. */
  private readonly byCatalog = new WeakMap<Catalog, LRUCache<string, Kept>>();

  constructor({ cache }: ServerConfig, models: Models) {
    this.settings = cache;
    this.models = models;
  }

  /** Whether lists are kept at all. */
  get enabled(): boolean {
    return this.settings.lists > 0;
  }

  /** Nothing of a user is kept here afterwards. */
  forget(user: string): void {
    const lists = this.current();
    for (const key of [...lists.keys()]) if (key.startsWith(startOf(user))) lists.delete(key);
  }

  /** Frees lists that are too old. */
  purge(): void {
    if (this.models.ready) this.current().purgeStale();
  }

  /** The lists of the catalog of now, by `keyOf`. They are shared: nobody may change them. */
  current(): LRUCache<string, Kept> {
    const { catalog } = this.models.current;
    const { lists: max, seconds } = this.settings;
    let lists = this.byCatalog.get(catalog);
    if (!lists) {
      lists = new LRUCache({ max: Math.max(1, max), ttl: seconds * 1000 });
      this.byCatalog.set(catalog, lists);
    }
    return lists;
  }
}

/** What the keys of a user start with, and no other's. */
const startOf = (user: string): string => `${JSON.stringify(user)} `;

export const keyOf = (user: string, options: ListOptions): string => startOf(user) + JSON.stringify(options);
