/** The items that a rating model predicts for: those that it was trained on, and those of which it knows only attributes. */
import { InputError, option } from '../data/errors.ts';
import type { UnseenCounts } from '../data/features/encoder.ts';
import type { RatingEncoder } from '../data/ratings/side-features.ts';
import { concatRows, type SideFeatureRows } from '../data/features/side-rows.ts';
import { type Factors, withItems } from '../model/ratings/factors.ts';
import type { Item } from '../model/storage/config.ts';

/** An unseen item, read by its attributes, which are named as in the items file of the training. */
export interface DescribedItem {
  id: string;
  title?: string;
  attributes: Readonly<Record<string, string>>;
}

export interface RatingCatalog {
  items: readonly Item[];
  /** By ID. */
  rows: ReadonlyMap<string, number>;
  factors: Factors;
  /** Training ratings by row; 0 for items that did not train. */
  counts: Uint32Array;
  /** Item features by row; null where the model reads no attributes. */
  bags: SideFeatureRows | null;
}

/** @param learned of the first items; where there are more, they were added after the training */
export function ratingCatalog(
  items: readonly Item[],
  learned: Pick<RatingCatalog, 'factors' | 'counts'>,
  encoder: RatingEncoder | null,
): RatingCatalog {
  const known = items.slice(0, learned.counts.length);
  const catalog = { items: known, rows: rowsOf(known), bags: encoder?.items(known) ?? null, ...learned };
  return withMore(catalog, items.slice(known.length), encoder);
}

/** The catalog with items that are described; those that are in it already stay as they are. @throws InputError */
export function withDescribed(
  catalog: RatingCatalog,
  described: readonly DescribedItem[],
  encoder: RatingEncoder | null,
  unseen: UnseenCounts,
): RatingCatalog {
  if (described.length === 0) return catalog;
  if (!catalog.bags)
    throw new InputError('unsupported', 'described: the model reads no attributes of items', {
      hint: `train it with them (${option('items', 'PATH')})`,
    });
  const own = new Map(described.map((item) => [item.id, item]));
  const more = [...own.values()].filter(({ id }) => !catalog.rows.has(id));
  return withMore(
    catalog,
    more.map(({ id, title, attributes }) => ({ id, title: title || id, attributes: { ...attributes } })),
    encoder,
    unseen,
  );
}

function withMore(
  catalog: RatingCatalog,
  more: readonly Item[],
  encoder: RatingEncoder | null,
  unseen?: UnseenCounts,
): RatingCatalog {
  if (more.length === 0) return catalog;
  const items = [...catalog.items, ...more];
  const counts = new Uint32Array(items.length);
  counts.set(catalog.counts);
  const bags = encoder?.items(more, unseen);
  return {
    items,
    rows: rowsOf(items),
    factors: withItems(catalog.factors, more.length, encoder?.plainItems(more)?.bags ?? null),
    counts,
    bags: catalog.bags && bags ? concatRows(catalog.bags, bags) : null,
  };
}

const rowsOf = (items: readonly Item[]): Map<string, number> => new Map(items.map(({ id }, row) => [id, row]));
