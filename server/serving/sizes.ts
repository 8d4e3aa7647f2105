/** How much is in the store. Counting reads whole tables, so that it is done rarely where it takes long. */
import type { Store } from '../store/store.ts';

/** Milliseconds between two counts at least, and how many times as long as the last one took. */
const PAUSE = 2000;
const TIMES = 200;

type Counted = Awaited<ReturnType<Store['sizes']>>;

export class Sizes {
  private readonly store: Store;
  private last: Promise<Counted> | null = null;
  /** When to count again, milliseconds since the process began. */
  private due = 0;

  constructor(store: Store) {
    this.store = store;
  }

  /** As of now, or of the last count. */
  async get(): Promise<Counted> {
    if (!this.last || performance.now() >= this.due) {
      this.due = Number.POSITIVE_INFINITY;
      this.last = this.count();
    }
    return this.last;
  }

  private async count(): Promise<Counted> {
    const before = performance.now();
    try {
      return await this.store.sizes();
    } finally {
      const now = performance.now();
      this.due = now + Math.max(PAUSE, TIMES * (now - before));
    }
  }
}
