/**
 * The lists that users saw last, so that their next events tell how good the lists were. Nothing waits for it: lists are
 * written in batches, and events are judged after they were answered.
 */
import type { Metrics } from '../metrics.ts';
import type { Shown, Store, StoredEvent } from '../store/store.ts';
import type { ServerConfig } from '../config.ts';

const FLUSH_MS = 250;
/** Events that come in later than this say nothing of what a user was shown: logs that are imported, say. */
const LATE_MS = 86_400_000;
/** Events that are judged at once. */
const PART = 500;

export class ShownLists {
  private readonly store: Store;
  private readonly metrics: Metrics;
  private readonly weights: ServerConfig['events'];
  private readonly onError: (error: unknown) => void;
  /** By user; those of `saving` are on their way to the store. */
  private waiting = new Map<string, Shown>();
  private saving = new Map<string, Shown>();
  private timer: NodeJS.Timeout | null = null;
  private writing: Promise<void> = Promise.resolve();
  private unjudged: StoredEvent[] = [];
  private judging: Promise<void> = Promise.resolve();

  constructor(store: Store, metrics: Metrics, { events }: ServerConfig, onError: (error: unknown) => void) {
    this.store = store;
    this.metrics = metrics;
    this.weights = events;
    this.onError = onError;
  }

  /** @param user undefined for a session, whose next event is not known to be its own */
  add(user: string | undefined, { model, items }: { model: string; items: readonly { id: string }[] }): void {
    const ids = items.map(({ id }) => id);
    this.metrics.shown(model, ids);
    if (user !== undefined) this.put(user, { time: Date.now(), model, items: ids });
  }

  private put(user: string, shown: Shown): void {
    this.waiting.set(user, shown);
    this.timer ??= setTimeout(() => void this.flush(), FLUSH_MS).unref();
  }

  /** Events that the store has just taken. */
  judge(events: readonly StoredEvent[]): void {
    const scheduled = this.unjudged.length > 0;
    for (const event of events)
      if ((this.weights.get(event.type) ?? 1) > 0 && Date.now() - event.time < LATE_MS) this.unjudged.push(event);
    if (scheduled || this.unjudged.length === 0) return;
    this.judging = this.judging.then(() => this.judgeWaiting()).catch(this.onError);
  }

  private async judgeWaiting(): Promise<void> {
    const events = this.unjudged;
    this.unjudged = [];
    for (let from = 0; from < events.length; from += PART) {
      const part = events.slice(from, from + PART);
      const stored = await this.store.shown([...new Set(part.map(({ user }) => user))]);
      for (const { user, item, time } of part) {
        const shown = this.waiting.get(user) ?? this.saving.get(user) ?? stored.get(user);
        if (!shown || shown.items.length === 0 || shown.time > time) continue;
        this.metrics.nextEvent(shown.model, shown.items.includes(item));
        // Only the next event counts: an empty list has been judged.
        this.put(user, { ...shown, items: [] });
      }
    }
  }

  /** Nothing of a user is kept here afterwards. */
  async forget(user: string): Promise<void> {
    await this.judging;
    this.waiting.delete(user);
    await this.writing;
  }

  /** Saves all that waits. */
  async flush(): Promise<void> {
    await this.judging;
    if (this.timer) clearTimeout(this.timer);
    this.timer = null;
    const before = this.writing;
    this.writing = before.then(async () => {
      this.saving = this.waiting;
      this.waiting = new Map();
      try {
        if (this.saving.size > 0)
          await this.store.putShown(Array.from(this.saving, ([user, shown]) => ({ user, ...shown })));
      } catch (error) {
        this.onError(error);
      } finally {
        this.saving = new Map();
      }
    });
    await this.writing;
  }
}
