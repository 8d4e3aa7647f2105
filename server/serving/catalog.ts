/**
 * What there is to recommend: the model's own items, with the titles and attributes that were put since, and the items that
 * were put and are new to the model. A model that reads attributes ranks these, too; others list them as latest or popular.
 */
import { PostProcessing } from '../../recommend/reranking/post-processing.ts';
import type { Recommender } from '../../recommend/recommender.ts';
import type { Item } from '../../model/storage/config.ts';
import type { Goods } from './goods.ts';
import { Neighbors } from './neighbors.ts';

export class Catalog {
  /** The model's own items first, in its order. */
  readonly items: readonly Item[];
  readonly rows: ReadonlyMap<string, number>;
  /** How many of the items, from the first on, the model ranks. */
  readonly ranked: number;
  /** Rows that are never recommended. */
  readonly deleted: ReadonlySet<number>;
  /** When an item was put first, milliseconds since 1970, by row. */
  readonly created: ReadonlyMap<number, number>;
  readonly postProcessing: PostProcessing;
  readonly neighbors: Neighbors;
  /** Of the store's items, as it was made of. */
  readonly revision: number;
  private hashes: Map<number, number> | null = null;

  /** @param ranked items that the model ranks @param recommender after it took them */
  private constructor(
    items: readonly Item[],
    ranked: number,
    goods: Pick<Goods, 'items' | 'deleted' | 'revision'>,
    recommender: Recommender,
  ) {
    this.items = items;
    this.revision = goods.revision;
    this.ranked = ranked;
    this.rows = new Map(items.map(({ id }, row) => [id, row]));
    this.deleted = new Set(Array.from(goods.deleted).flatMap((id) => this.rows.get(id) ?? []));
    this.created = new Map(
      Array.from(goods.items.values(), ({ id, created }) => [this.rows.get(id) as number, created]),
    );
    this.postProcessing = new PostProcessing(items, this.rows, recommender.itemVectors);
    this.neighbors = new Neighbors(recommender.itemVectors, ranked);
  }

  /** The catalog of now; the recommender takes it, too. @param own the items that the model came with */
  static async of(recommender: Recommender, own: readonly Item[], now: Goods): Promise<Catalog> {
    const goods = { items: new Map(now.items), deleted: new Set(now.deleted), revision: now.revision };
    const items = own.map((item): Item => {
      const put = goods.items.get(item.id);
      return put ? { ...item, title: put.title ?? item.title, attributes: put.attributes } : item;
    });
    const known = new Set(own.map(({ id }) => id));
    for (const { id, title, attributes } of goods.items.values())
      if (!known.has(id)) items.push({ id, title: title ?? id, attributes, count: 0 });
    const ranked = recommender.loaded.features ? items.length : own.length;
    const read = items.slice(0, ranked);
    // A deletion, say, changes nothing of what the model reads.
    if (!areSame(read, recommender.items)) await recommender.updateCatalog(read);
    return new Catalog(items, ranked, goods, recommender);
  }

  /** The rows whose IDs have these hashes. */
  rowsOfHashes(hashes: Iterable<number>): number[] {
    this.hashes ??= new Map(this.items.map(({ id }, row) => [hashOf(id), row]));
    return Array.from(hashes).flatMap((hash) => this.hashes?.get(hash) ?? []);
  }
}

const areSame = (items: readonly Item[], before: readonly Item[]): boolean =>
  items.length === before.length &&
  items.every(({ id, title, attributes }, row) => {
    const was = before[row];
    return id === was.id && title === was.title && attributes === was.attributes;
  });

/** FNV-1a of an ID, 32 bits. */
export function hashOf(id: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(id)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}
