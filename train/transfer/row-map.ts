/** How item rows of a new model come from those of another one. */
import type { CatalogItem } from '../../data/formats/catalog.ts';
import type { Device, Pause } from '../../engine/index.ts';

/** Row v of the new model, where `mapped[v]` is 1. */
export interface MappedRows {
  /** [V, D] */
  rows: Float32Array;
  /** [V] */
  mapped: Uint8Array;
  /**
   * 1 − Σ |r − r̂|² / Σ |r − mean|² over items of the other model that are held out; absent where rows are copied. 0: the
   * map knows no more than the mean row.
   */
  explained?: number;
}

/** The other model's items: what is known of them, and their rows. */
export interface SourceRows {
  /** [V', D] */
  rows: Float32Array;
  /** [n, D] rows that the other model's item tower makes of new items by their attributes; null without a tower. */
  towerRows: Float32Array | null;
}

/** Finds the rows, once the other model's are read; `pause` is awaited now and then, and may throw to stop. */
export type FindRows = (device: Device, source: SourceRows, d: number, pause: Pause) => Promise<MappedRows>;

export interface RowMap {
  /** What it says in --help. */
  help: string;
  /** Whether it takes a column, as `ids:title`. */
  takesColumn?: boolean;
  /** Whether it takes the rows that an item tower makes of new items. */
  readsTower?: boolean;
  /**
   * @param from items of the other model, in the order of its rows @param to items of the new one
   * @throws InputError where no row can come of them
   */
  plan(from: readonly CatalogItem[], to: readonly CatalogItem[], column: string | null): FindRows;
}
