/** The items that were put or deleted over HTTP, as the store has them. */
import type { Store, StoredItem } from '../store/store.ts';

export class Goods {
  /** In the order in which they were first seen, so that rows made of them stay. */
  readonly items = new Map<string, StoredItem>();
  private readonly store: Store;
  private revision = 0;

  constructor(store: Store) {
    this.store = store;
  }

  /** Reads what changed in the store. @returns whether anything did */
  async pull(): Promise<boolean> {
    const { revision, items } = await this.store.itemsSince(this.revision);
    this.revision = revision;
    for (const item of items) this.items.set(item.id, item);
    return items.length > 0;
  }
}
