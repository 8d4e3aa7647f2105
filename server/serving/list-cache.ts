/**
 * Lists of stored users, each kept until an event or a change of the user, an item, or the model changes it. The store says
 * at each request whether the user has changed, so that no replica answers with an old list.
 */
import { LRUCache } from 'lru-cache';
import type { ServerConfig } from '../config.ts';
import type { Metrics } from '../metrics.ts';
import type { Catalog } from './catalog.ts';
import { type ListAnswer, type ListOptions, listFor } from './lists.ts';
import type { Models } from './models.ts';
import { subjectOf } from './subject.ts';

/** What lists are made from, and what counts hits. */
type Sources = Parameters<typeof listFor>[0] & Parameters<typeof subjectOf>[0] & { metrics: Metrics };

interface Kept {
  /** Of the user. */
  revision: number;
  list: ListAnswer;
}

export class ListCache {
  private readonly settings: ServerConfig['cache'];
  private readonly models: Models;
  /** A changed item or another model makes another catalog, and the lists of the one before are freed with it. */
  private readonly byCatalog = new WeakMap<Catalog, LRUCache<string, Kept>>();

  constructor({ cache }: ServerConfig, models: Models) {
    this.settings = cache;
    this.models = models;
  }

  /** The list is shared: nobody may change it. */
  async listFor(context: Sources, user: string, options: ListOptions): Promise<ListAnswer> {
    const { store, metrics } = context;
    // The time that a request names decides which events have happened.
    if (this.settings.lists === 0 || options.now !== undefined)
      return listFor(context, await subjectOf(context, user), options);
    const key = startOf(user) + JSON.stringify(options);
    const lists = this.current();
    const kept = lists.get(key);
    const same = kept && (await store.user(user, 0))?.revision === kept.revision && this.current() === lists;
    metrics.cached(same === true);
    if (same) return kept.list;
    const subject = await subjectOf(context, user);
    const now = this.current();
    const list = await listFor(context, subject, options);
    // A user who is not in the store has no revision that would change.
    if (subject.revision !== null) now.set(key, { revision: subject.revision, list });
    return list;
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

  private current(): LRUCache<string, Kept> {
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
