/** The model that answers, and its replacement without a pause: the new one is loaded and tried beside the old one. */
import type { Device } from '../../engine/index.ts';
import type { Item } from '../../model/storage/config.ts';
import { loadModel } from '../../model/storage/load-model.ts';
import { loadTraining } from '../../model/storage/training-record.ts';
import { chooseDevice } from '../../recommend/choose-device.ts';
import type { LoadOptions } from '../../recommend/load-options.ts';
import { Recommender } from '../../recommend/node.ts';
import { SerialQueue } from '../../recommend/serial-queue.ts';
import { openPath } from '../../recommend/sources/sources.node.ts';
import { nodeTuning } from '../../recommend/sources/tuning.node.ts';
import { Problem } from '../http/problem.ts';
import { Catalog } from './catalog.ts';
import type { Goods } from './goods.ts';
import { changeMark, describeFolder, type ModelInfo } from './model-folders.ts';
import { warmUp } from './warm-up.ts';

/** A model in use: requests that hold it finish on it, whatever replaces it. */
export interface ServedModel extends Pick<ModelInfo, 'version' | 'trained' | 'recipe'> {
  /** What its folder is called. */
  name: string;
  /** Where it was loaded from, and the folder's state then; null where a training was writing to it. */
  folder: string;
  mark: string | null;
  recommender: Recommender;
  /** The items that it came with. */
  own: readonly Item[];
  /** What it recommends now. */
  catalog: Catalog;
  /** The latest event that it was trained on, milliseconds since 1970; where that is not known, when it was trained. */
  trainedUpTo: number;
}

/** Refuses a candidate by throwing; what it gives goes to whoever asked for the swap. */
export type Trial<T> = (current: ServedModel, candidate: ServedModel) => Promise<T>;

/** Requests that started between two swaps, and the models that were retired at the end of that time. */
interface Era {
  running: number;
  retired: ServedModel[];
}

export class Models {
  private active: ServedModel | null = null;
  private readonly goods: Goods;
  private readonly options: Pick<LoadOptions, 'backend' | 'onBatch'>;
  private opened: Promise<Device> | null = null;
  /** Changes of the catalog and of the active model, one at a time. */
  private readonly changes = new SerialQueue();
  private refreshing: Promise<void> | null = null;
  private readonly eras: Era[] = [{ running: 0, retired: [] }];
  private swapping: Promise<unknown> | null = null;
  /** Models in memory. */
  loaded = 0;

  constructor(goods: Goods, options: Pick<LoadOptions, 'backend' | 'onBatch'>) {
    this.goods = goods;
    this.options = options;
  }

  /** Loads the first model. @throws InputError where there is none, or it is damaged */
  async start(folder: string): Promise<void> {
    this.active = await this.load(folder);
  }

  get ready(): boolean {
    return this.active !== null;
  }

  /** @throws Problem before the first model is loaded */
  get current(): ServedModel {
    if (!this.active) throw notReady();
    return this.active;
  }

  /** What all models run on; it is chosen for the first of them. */
  device(folder: string): Promise<Device> {
    const open = async () =>
      chooseDevice(await loadModel(await openPath(folder)), { ...this.options, tuning: nodeTuning() ?? null });
    this.opened ??= open();
    return this.opened;
  }

  /** Runs a request: no model that it may have taken is freed before it ends. */
  async use<T>(work: () => Promise<T>): Promise<T> {
    const era = this.eras[this.eras.length - 1];
    era.running++;
    try {
      return await work();
    } finally {
      era.running--;
      this.free();
    }
  }

  /** Requests of an era use models that were active in it or later: those before the first that still runs are free. */
  private free(): void {
    while (this.eras.length > 1 && this.eras[0].running === 0)
      for (const model of this.eras.shift()?.retired ?? []) this.release(model);
  }

  private release({ recommender }: ServedModel): void {
    recommender.close();
    this.loaded--;
  }

  private async load(folder: string): Promise<ServedModel> {
    const device = await this.device(folder);
    const mark = await changeMark(folder);
    const { folder: name, version, trained, recipe } = await describeFolder(folder);
    const recommender = await Recommender.load(folder, { device, onBatch: this.options.onBatch });
    try {
      const own = recommender.items;
      await this.goods.pull();
      const catalog = await Catalog.of(recommender, own, this.goods);
      await warmUp(recommender);
      const trainedUpTo = await latestEvent(folder, trained);
      this.loaded++;
      return { name, version, trained, recipe, folder, mark, recommender, own, catalog, trainedUpTo };
    } catch (error) {
      recommender.close();
      throw error;
    }
  }

  /**
   * Replaces the active model by the one of a folder, once it has passed a trial. Requests that run meanwhile finish on the
   * model that they started with.
   * @throws Problem or InputError where it is refused; the active one stays
   */
  async swap<T>(folder: string, trial: Trial<T>): Promise<T> {
    if (this.swapping) throw new Problem(409, 'swap-in-progress', 'another model is being loaded; try again later');
    const swap = this.replace(folder, trial);
    this.swapping = swap;
    try {
      return await swap;
    } finally {
      this.swapping = null;
    }
  }

  private async replace<T>(folder: string, trial: Trial<T>): Promise<T> {
    const { current } = this;
    const candidate = await this.load(folder);
    let found: T;
    try {
      found = await trial(current, candidate);
    } catch (error) {
      this.release(candidate);
      throw error;
    }
    await this.changes.run(async () => {
      await this.goods.pull();
      if (candidate.catalog.revision !== this.goods.revision)
        candidate.catalog = await Catalog.of(candidate.recommender, candidate.own, this.goods);
      this.active = candidate;
      this.eras[this.eras.length - 1].retired.push(current);
      this.eras.push({ running: 0, retired: [] });
    });
    this.free();
    return found;
  }

  /** Takes up what was put or deleted, here or by another server; calls that come meanwhile share the next run. */
  async refresh(): Promise<void> {
    const before = this.refreshing;
    if (before) await before;
    if (this.refreshing) return this.refreshing;
    this.refreshing = this.changes
      .run(() => this.takeUp())
      .finally(() => {
        this.refreshing = null;
      });
    return this.refreshing;
  }

  private async takeUp(): Promise<void> {
    const { active, goods } = this;
    if (!active) return;
    await goods.pull();
    if (active.catalog.revision !== goods.revision)
      active.catalog = await Catalog.of(active.recommender, active.own, goods);
  }

  /**
   * Watches the active model's folder: a change that lasts for two looks, and that no training is at, is reported once.
   * @returns stops watching
   */
  watch(everyMs: number, onChange: (folder: string) => Promise<void>): () => void {
    let [last, reported]: (string | null)[] = [null, null];
    let busy = false;
    const look = async (): Promise<void> => {
      if (busy || !this.active || this.swapping) return;
      busy = true;
      try {
        const { folder, mark: loaded } = this.active;
        const mark = await changeMark(folder);
        const settled = mark === last;
        last = mark;
        if (mark === null || mark === loaded || mark === reported || !settled) return;
        reported = mark;
        await onChange(folder);
      } finally {
        busy = false;
      }
    };
    const timer = setInterval(() => void look(), everyMs);
    timer.unref();
    return () => clearInterval(timer);
  }

  async close(): Promise<void> {
    await this.swapping?.catch(() => {});
    for (const { retired } of this.eras.splice(0, this.eras.length, { running: 0, retired: [] }))
      retired.forEach((model) => this.release(model));
    if (this.active) this.release(this.active);
    this.active = null;
    (await this.opened?.catch(() => null))?.close();
  }
}

export const notReady = (): Problem =>
  new Problem(503, 'not-ready', 'the model is being loaded; try again later', undefined, { 'retry-after': '1' });

async function latestEvent(folder: string, trained: string): Promise<number> {
  const date = Date.parse(trained);
  const record = await loadTraining(await openPath(folder));
  const latest = record?.latest(date) ?? Number.NaN;
  return Number.isNaN(latest) ? date : latest;
}
