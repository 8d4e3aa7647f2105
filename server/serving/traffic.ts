/** Requests and events: totals since the start, and the last minutes second by second, which the operator's page draws. */
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';

/** Seconds that are kept. */
const KEPT = 300;
/** Seconds that the latency of now is over. */
const RECENT = 60;
/** Microseconds; what takes longer counts as this. */
const LONGEST = 600_000_000;

const newHistogram = (): RecordableHistogram => createHistogram({ lowest: 1, highest: LONGEST, figures: 2 });

/** Milliseconds that half, nine in ten, and 99 in 100 of the requests took at most. */
export interface Latency {
  p50: number;
  p90: number;
  p99: number;
}

export interface Second {
  /** Its beginning, milliseconds since 1970. */
  time: number;
  requests: number;
  /** Of the requests, those that were answered with a status of 500 or above. */
  failed: number;
  /** Events that were added. */
  events: number;
  /** null where there was no request. */
  latency: Latency | null;
}

interface Slot {
  second: number;
  requests: number;
  failed: number;
  events: number;
  /** Microseconds; null once it is older than what the latency of now is over. */
  took: RecordableHistogram | null;
  latency: Latency | null;
}

export class Traffic {
  /** When it began, milliseconds since 1970. */
  readonly started: number;
  /** Status → requests that were answered with it, since the start. */
  readonly byStatus = new Map<number, number>();
  /** Events that were added since the start. */
  eventsAdded = 0;
  /** Oldest first; seconds without a request or an event have none. */
  private readonly slots: Slot[] = [];
  private readonly spare: RecordableHistogram[] = [];
  private readonly clock: () => number;

  /** @param clock milliseconds since 1970 */
  constructor(clock: () => number = Date.now) {
    this.clock = clock;
    this.started = clock();
  }

  request(status: number, milliseconds: number): void {
    const slot = this.current();
    slot.requests++;
    this.byStatus.set(status, (this.byStatus.get(status) ?? 0) + 1);
    if (status >= 500) slot.failed++;
    slot.took ??= this.spare.pop() ?? newHistogram();
    slot.took.record(Math.min(LONGEST, Math.max(1, Math.round(milliseconds * 1000))));
  }

  events(added: number): void {
    this.eventsAdded += added;
    this.current().events += added;
  }

  /** The whole seconds after a time, without the one that goes on; oldest first. */
  secondsAfter(time: number): Second[] {
    const now = Math.floor(this.clock() / 1000);
    const first = Math.max(now - KEPT, Math.floor(time / 1000) + 1);
    const slots = new Map(this.slots.map((slot) => [slot.second, slot]));
    return Array.from({ length: Math.max(0, now - first) }, (_, i) => {
      const slot = slots.get(first + i);
      return {
        time: (first + i) * 1000,
        requests: slot?.requests ?? 0,
        failed: slot?.failed ?? 0,
        events: slot?.events ?? 0,
        latency: slot ? latencyOf(slot) : null,
      };
    });
  }

  /** Over the last minute. */
  recent(): { requests: number; failed: number; events: number; latency: Latency | null } {
    const oldest = Math.floor(this.clock() / 1000) - RECENT;
    const sum = { requests: 0, failed: 0, events: 0 };
    const all = newHistogram();
    for (const { second, requests, failed, events, took } of this.slots) {
      if (second <= oldest) continue;
      sum.requests += requests;
      sum.failed += failed;
      sum.events += events;
      if (took) all.add(took);
    }
    return { ...sum, latency: percentiles(all) };
  }

  private current(): Slot {
    const second = Math.floor(this.clock() / 1000);
    const last = this.slots.at(-1);
    // A clock that was set back counts on in the newest second.
    if (last && last.second >= second) return last;
    while (this.slots.length > 0 && this.slots[0].second < second - KEPT) this.retire(this.slots.shift() as Slot);
    for (const slot of this.slots) if (slot.second < second - RECENT) this.retire(slot);
    const slot: Slot = { second, requests: 0, failed: 0, events: 0, took: null, latency: null };
    this.slots.push(slot);
    return slot;
  }

  /** Keeps the numbers of a second, and its histogram for another one. */
  private retire(slot: Slot): void {
    if (!slot.took) return;
    slot.latency = percentiles(slot.took);
    slot.took.reset();
    this.spare.push(slot.took);
    slot.took = null;
  }
}

const latencyOf = ({ took, latency }: Slot): Latency | null => (took ? percentiles(took) : latency);

function percentiles(took: RecordableHistogram): Latency | null {
  if (took.count === 0) return null;
  const [p50, p90, p99] = [50, 90, 99].map((p) => took.percentile(p) / 1000);
  return { p50, p90, p99 };
}
