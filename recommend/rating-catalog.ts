/** The items that a model of ratings predicts for: those that it learned, and those of which it knows attributes alone. */
import { InputError, option } from '../data/errors.ts';
import type { RatingEncoder } from '../data/ratings/side-features.ts';
import { concatRows, type SideFeatureRows } from '../data/features/side-features.ts';
import { type Factors, withItems } from '../model/ratings/factors.ts';
import type { Item } from '../model/storage/folder.ts';

/** An item that the model has not met: what it is read by are its attributes, named as in the training's items file. */
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
  /** Training ratings; 0 beyond the items that were learned. */
  counts: Uint32Array;
  /** What stands beside a rating of each; null where the model reads no attributes. */
  bags: SideFeatureRows | null;
}

/** @param counts and factors are those of the first items, which were learned; items were added since where there are more */
export function ratingCatalog(
  items: readonly Item[],
  learned: Pick<RatingCatalog, 'factors' | 'counts'>,
  encoder: RatingEncoder | null,
): RatingCatalog {
  const known = items.slice(0, learned.counts.length);
  const catalogue = { items: known, rows: rowsOf(known), bags: encoder?.items(known) ?? null, ...learned };
  return withMore(catalogue, items.slice(known.length), encoder);
}

/** The catalogue with items that are described; those that it has stay as they are. @throws InputError */
export function withDescribed(
  catalogue: RatingCatalog,
  described: readonly DescribedItem[],
  encoder: RatingEncoder | null,
): RatingCatalog {
  if (described.length === 0) return catalogue;
  if (!catalogue.bags)
    throw new InputError('unsupported', 'described: the model reads no attributes of items', {
      hint: `train it with them (${option('items', 'PATH')})`,
    });
  const own = new Map(described.map((item) => [item.id, item]));
  const more = [...own.values()].filter(({ id }) => !catalogue.rows.has(id));
  return withMore(
    catalogue,
    more.map(({ id, title, attributes }) => ({ id, title: title || id, attributes: { ...attributes } })),
    encoder,
  );
}

function withMore(catalogue: RatingCatalog, more: readonly Item[], encoder: RatingEncoder | null): RatingCatalog {
  if (more.length === 0) return catalogue;
  const items = [...catalogue.items, ...more];
  const counts = new Uint32Array(items.length);
  counts.set(catalogue.counts);
  const bags = encoder?.items(more);
  return {
    items,
    rows: rowsOf(items),
    factors: withItems(catalogue.factors, more.length, encoder?.plainItems(more)?.bags ?? null),
    counts,
    bags: catalogue.bags && bags ? concatRows(catalogue.bags, bags) : null,
  };
}

const rowsOf = (items: readonly Item[]): Map<string, number> => new Map(items.map(({ id }, row) => [id, row]));
