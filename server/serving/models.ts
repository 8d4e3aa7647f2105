/** The model that answers, and its replacement without a pause. */
import { createHash } from 'node:crypto';
import type { Item } from '../../model/storage/config.ts';
import { Recommender } from '../../recommend/node.ts';
import { Catalog } from './catalog.ts';
import type { Goods } from './goods.ts';

/** A model in use: requests that hold it finish on it, whatever replaces it. */
export interface ServedModel {
  /** What tells it from others, in answers, metrics and logs. */
  version: string;
  folder: string;
  recommender: Recommender;
  /** The items that it came with. */
  own: readonly Item[];
  /** What it recommends now. */
  catalog: Catalog;
}

export class Models {
  private active: ServedModel;
  private readonly goods: Goods;
  private refreshing: Promise<void> | null = null;

  private constructor(active: ServedModel, goods: Goods) {
    this.active = active;
    this.goods = goods;
  }

  static async open(folder: string, goods: Goods, options: { backend: 'auto' | 'webgpu' | 'cpu' }): Promise<Models> {
    const recommender = await Recommender.load(folder, { backend: options.backend });
    const own = recommender.items;
    await goods.pull();
    const catalog = await Catalog.of(recommender, own, goods);
    await recommender.warmUp();
    const version = createHash('sha256').update(JSON.stringify(recommender.loaded.config)).digest('hex').slice(0, 12);
    return new Models({ version, folder, recommender, own, catalog }, goods);
  }

  get current(): ServedModel {
    return this.active;
  }

  /** Takes up what was put or deleted; calls that come meanwhile share the next run. */
  async refresh(): Promise<void> {
    const before = this.refreshing;
    if (before) await before;
    if (this.refreshing) return this.refreshing;
    this.refreshing = this.takeUp().finally(() => {
      this.refreshing = null;
    });
    return this.refreshing;
  }

  private async takeUp(): Promise<void> {
    if (!(await this.goods.pull())) return;
    const served = this.active;
    served.catalog = await Catalog.of(served.recommender, served.own, this.goods);
  }

  close(): void {
    this.active.recommender.close();
  }
}
