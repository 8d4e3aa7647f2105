/** What the server counts and times, for Prometheus. No label holds an ID of a user or an item. */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { LoadOptions } from '../recommend/load-options.ts';
import type { Models } from './serving/models.ts';
import { Traffic } from './serving/traffic.ts';

/** Seconds. */
const TIMES = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
/** Versions of models whose shown items are remembered. */
const VERSIONS = 4;

export class Metrics {
  /** The same, second by second, of what users ask for. */
  readonly traffic = new Traffic();
  private readonly registry = new Registry();
  private readonly requests: Counter;
  private readonly latency: Histogram;
  private readonly waited: Histogram;
  private readonly ran: Histogram;
  private readonly batch: Histogram;
  private readonly lists: Counter;
  private readonly events: Counter;
  private readonly swaps: Counter;
  private readonly judged: Counter;
  private readonly hits: Counter;
  /** Per version: events that were judged, and those that were hits. */
  private readonly online = new Map<string, { judged: number; hits: number }>();
  /** Per version, the latest last: IDs of the items that were shown. */
  private readonly shownItems = new Map<string, Set<string>>();

  constructor() {
    const registers = [this.registry];
    collectDefaultMetrics({ register: this.registry });
    this.requests = new Counter({
      name: 'attune_requests_total',
      help: 'Requests answered, by route and status',
      labelNames: ['method', 'route', 'status'],
      registers,
    });
    this.latency = new Histogram({
      name: 'attune_request_seconds',
      help: 'Time from a request to its answer',
      labelNames: ['method', 'route'],
      buckets: TIMES,
      registers,
    });
    this.waited = new Histogram({
      name: 'attune_model_wait_seconds',
      help: 'Time that a list waited for its turn on the model',
      buckets: TIMES,
      registers,
    });
    this.ran = new Histogram({
      name: 'attune_model_run_seconds',
      help: 'Time of a batch of lists on the model, device and ranking',
      buckets: TIMES,
      registers,
    });
    this.batch = new Histogram({
      name: 'attune_model_batch_size',
      help: 'Lists of a batch',
      buckets: [1, 2, 4, 8, 16, 32, 64],
      registers,
    });
    this.lists = new Counter({
      name: 'attune_list_cache_total',
      help: 'Lists of stored users, by whether the cache had them',
      labelNames: ['result'],
      registers,
    });
    this.events = new Counter({
      name: 'attune_events_total',
      help: 'Events that the store took, duplicates not counted',
      registers,
    });
    this.swaps = new Counter({
      name: 'attune_model_swaps_total',
      help: 'Replacements of the model that were tried, by what came of them',
      labelNames: ['result'],
      registers,
    });
    this.judged = new Counter({
      name: 'attune_online_events_total',
      help: 'Events that came next after a list that the user was shown, by the model of the list',
      labelNames: ['model'],
      registers,
    });
    this.hits = new Counter({
      name: 'attune_online_hits_total',
      help: 'Those of attune_online_events_total whose item was in the list',
      labelNames: ['model'],
      registers,
    });
  }

  /** Gauges of what is there when they are asked for. */
  watch(models: Models): void {
    const registers = [this.registry];
    const { online } = this;
    const coverages = (items: number) => this.onlineByModel(items);
    new Gauge({
      name: 'attune_model_info',
      help: 'The model that answers: 1, with what tells it from others',
      labelNames: ['model', 'folder', 'recipe', 'trained'],
      registers,
      collect() {
        this.reset();
        if (!models.ready) return;
        const { version, name, recipe, trained } = models.current;
        this.set({ model: version, folder: name, recipe, trained }, 1);
      },
    });
    new Gauge({
      name: 'attune_model_items',
      help: 'Items that may be listed',
      registers,
      collect() {
        if (models.ready) this.set(models.current.catalog.items.length - models.current.catalog.deleted.size);
      },
    });
    new Gauge({
      name: 'attune_models_loaded',
      help: 'Models in memory: one, and those that requests in flight still use or that are being tried',
      registers,
      collect() {
        this.set(models.loaded);
      },
    });
    new Gauge({
      name: 'attune_device_bytes',
      help: 'Memory of tensors on the device',
      registers,
      collect() {
        if (models.ready) this.set(models.current.recommender.device.stats().bytes);
      },
    });
    new Gauge({
      name: 'attune_online_hit_rate',
      help: 'attune_online_hits_total / attune_online_events_total since the start of this server, by model',
      labelNames: ['model'],
      registers,
      collect() {
        for (const [model, { judged, hits }] of online) this.set({ model }, hits / judged);
      },
    });
    new Gauge({
      name: 'attune_catalog_coverage',
      help: 'Share of the items that the model was seen to recommend since the start of this server, by model',
      labelNames: ['model'],
      registers,
      collect() {
        this.reset();
        if (!models.ready) return;
        for (const { model, coverage } of coverages(models.current.catalog.items.length)) this.set({ model }, coverage);
      },
    });
  }

  /** @param counts what users ask for counts as traffic; probes and the operator's page would hide it in their own */
  request(method: string, route: string, status: number, ms: number, counts: boolean): void {
    if (counts) this.traffic.request(status, ms);
    this.requests.inc({ method, route, status });
    this.latency.observe({ method, route }, ms / 1000);
  }

  readonly onBatch: NonNullable<LoadOptions['onBatch']> = ({ queries, waitedMs, ranMs }) => {
    this.batch.observe(queries);
    this.ran.observe(ranMs / 1000);
    for (const ms of waitedMs) this.waited.observe(ms / 1000);
  };

  cached(hit: boolean): void {
    this.lists.inc({ result: hit ? 'hit' : 'miss' });
  }

  eventsAdded(count: number): void {
    this.events.inc(count);
    this.traffic.events(count);
  }

  swapped(result: 'swapped' | 'refused'): void {
    this.swaps.inc({ result });
  }

  shown(model: string, items: readonly string[]): void {
    const before = this.shownItems.get(model) ?? new Set();
    for (const id of items) before.add(id);
    this.shownItems.delete(model);
    this.shownItems.set(model, before);
    if (this.shownItems.size > VERSIONS) this.shownItems.delete(this.shownItems.keys().next().value as string);
  }

  /** A user's event after a list. */
  nextEvent(model: string, hit: boolean): void {
    const counts = this.online.get(model) ?? { judged: 0, hits: 0 };
    counts.judged++;
    this.judged.inc({ model });
    this.hits.inc({ model }, Number(hit));
    if (hit) counts.hits++;
    this.online.set(model, counts);
  }

  /**
   * Of each model since the start of this server: events that came next after its lists, those whose item was in the list,
   * and the share of the catalog that its lists had.
   * @param items in the catalog
   */
  onlineByModel(items: number): { model: string; events: number; hits: number; coverage: number }[] {
    return [...new Set([...this.online.keys(), ...this.shownItems.keys()])].map((model) => {
      const { judged, hits } = this.online.get(model) ?? { judged: 0, hits: 0 };
      const shown = this.shownItems.get(model)?.size ?? 0;
      return { model, events: judged, hits, coverage: Math.min(1, shown / items) };
    });
  }

  /** In the text format of Prometheus. */
  text(): Promise<string> {
    return this.registry.metrics();
  }
}
