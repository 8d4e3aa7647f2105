/** The items that were put or deleted over HTTP, as the store has them. */
import type { Store, StoredItem } from '../store/store.ts';

export class Goods {
  /** As they were put last, in the order in which they were first seen, so that rows made of them stay. */
  readonly items = new Map<string, StoredItem>();
  /** Of these, and of the model's own items. */
  readonly deleted = new Set<string>();
  /** Of the store's items; what was made at an older one is stale. */
  revision = 0;
  private readonly store: Store;

  constructor(store: Store) {
    this.store = store;
  }

  /** Reads what changed in the store. */
  async pull(): Promise<void> {
    const { revision, items } = await this.store.itemsSince(this.revision);
    for (const item of items) {
      if (item.deleted) this.deleted.add(item.id);
      else {
        this.deleted.delete(item.id);
        this.items.set(item.id, item);
      }
    }
    this.revision = Math.max(this.revision, revision);
  }
}
