/**
 * Items as short sequences of attribute tokens, for the item tower (model/encoders/item-tower.ts). Every token is a weighted
 * bag of rows of one table [A, D]; its first row is the column's own:
 *
 *   category  the value's row;  list  a token for each value;  unknown values share a row
 *   number    (1 − t) · knot k + t · knot k+1: piecewise linear encoding (Gorishniy et al., NeurIPS 2022, section 3.1) with
 *             quantiles as knots
 *   text      words and letter trigrams hashed to rows (Weinberger et al., ICML 2009), each kind normalized to length one
 *   vector    a row for each number, weighted by it: a projection
 *   time      month, weekday and hour, and the time itself as a number
 *   missing   a row of its own, unless the schema says otherwise
 *
 * Every item starts with the same token, so that an item without attributes has a sequence, too.
 */
import type { CatalogItem, ItemInfo } from '../formats/catalog.ts';
import { type Column, numbersOf, gramsOf, replacementOf, numberOf, recordOf, type Schema } from './schema.ts';
import { splitCell } from './values.ts';

export interface ItemFeatures {
  /** Rows of the attribute table, A. */
  rows: number;
  /** Token t holds `values` of the rows `columns` from starts[t] to starts[t + 1]. */
  tokens: { starts: Uint32Array; columns: Uint32Array; values: Float32Array };
  /** [V + 1] item v has the tokens from itemStarts[v] to itemStarts[v + 1], one at least. */
  itemStarts: Uint32Array;
  unseen: UnseenCounts;
}

/** How many values the schema does not know, by column; they are encoded as unknown. */
export type UnseenCounts = Map<string, number>;

export function countUnseen(unseen: UnseenCounts | undefined, column: string): void {
  unseen?.set(column, (unseen.get(column) ?? 0) + 1);
}

/** Rows of a column, relative to its base: its own, missing, unknown, then those of its values. */
const OWN = 0;
const MISSING = 1;
const UNKNOWN = 2;
const VALUES = 3;
/** Rows of a time before its knots: 12 months, 7 weekdays, 24 hours. */
const CLOCK = 12 + 7 + 24;
const DAY = 86_400_000;

function rowsOf({ type, values, knots, buckets, width }: Column): number {
  if (type === 'skip') return 0;
  const clock = type === 'time' ? CLOCK : 0;
  return VALUES + (values?.length ?? 0) + clock + (knots?.length ?? 0) + (buckets ?? 0) + (width ?? 0);
}

/** Rows of the attribute table of a schema; row 0 is the token that every item has. */
export const attributeRows = ({ columns }: Schema): number => columns.reduce((sum, column) => sum + rowsOf(column), 1);

/** Rows of one table with their weights. */
export type Bag = [row: number, weight: number][];

export function encodeItems(schema: Schema, items: readonly CatalogItem[]): ItemFeatures {
  const starts = [0];
  const columns: number[] = [];
  const values: number[] = [];
  const itemStarts = new Uint32Array(items.length + 1);
  const unseen: UnseenCounts = new Map();
  const encoders = encodersOf(schema);
  const push = (bag: Bag): void => {
    for (const [row, weight] of bag) {
      columns.push(row);
      values.push(weight);
    }
    starts.push(columns.length);
  };
  items.forEach((item, v) => {
    push([[0, 1]]);
    const record = recordOf(item, item.id, schema.titleYear);
    for (const { name, base, encode } of encoders) {
      for (const bag of encode(record.get(name)?.trim() ?? '', unseen)) push([[base + OWN, 1], ...bag]);
    }
    itemStarts[v + 1] = starts.length - 1;
  });
  const tokens = {
    starts: Uint32Array.from(starts),
    columns: Uint32Array.from(columns),
    values: Float32Array.from(values),
  };
  return { rows: attributeRows(schema), tokens, itemStarts, unseen };
}

/** Encodes an item or a user as one bag; counts the values that the schema does not know in `unseen`. */
export type BagEncoder = (info: ItemInfo, unseen?: UnseenCounts) => Bag;

/**
 * An encoder of single bags without the columns' own rows (side-features.ts).
 * @param first row of the table at which the schema's rows start; the next is the first column's
 */
export function bagEncoder(schema: Schema, first: number): BagEncoder {
  const encoders = encodersOf(schema);
  return (of, unseen) => {
    const record = recordOf(of, '', schema.titleYear);
    const weights = new Map<number, number>([[first, 1]]);
    for (const { name, encode } of encoders) {
      for (const bag of encode(record.get(name)?.trim() ?? '', unseen)) {
        for (const [row, weight] of bag) weights.set(first + row, (weights.get(first + row) ?? 0) + weight);
      }
    }
    return [...weights];
  };
}

function encodersOf(schema: Schema) {
  let next = 1;
  return schema.columns
    .filter(({ type }) => type !== 'skip')
    .map((column) => {
      const base = next;
      next += rowsOf(column);
      const known = new Map(column.values?.map((value, i) => [value, base + VALUES + i]));
      const encode = (text: string, unseen?: UnseenCounts): Bag[] => {
        const rowOf = (value: string): number => {
          const row = known.get(value);
          if (row === undefined) countUnseen(unseen, column.name);
          return row ?? base + UNKNOWN;
        };
        const value = text === '' ? replacementOf(column) : text;
        if (value === null) return column.missing === 'drop' ? [] : [[[base + MISSING, 1]]];
        return bagsOf(column, value, base + VALUES, rowOf);
      };
      return { name: column.name, base, encode };
    });
}

function bagsOf(column: Column, text: string, base: number, rowOf: (value: string) => number): Bag[] {
  switch (column.type) {
    case 'category':
      return [[[rowOf(text), 1]]];
    case 'list':
      return splitCell(text, column.separator as string).map((part) => [[rowOf(part), 1]]);
    case 'number':
      return [interpolate(column.knots as number[], numberOf(text, column), base)];
    case 'time': {
      const ms = numberOf(text, column);
      const date = new Date(ms);
      const clock: Bag = [
        [base + date.getUTCMonth(), 1],
        [base + 12 + date.getUTCDay(), 1],
        ...(ms % DAY === 0 ? [] : [[base + 19 + date.getUTCHours(), 1] as [number, number]]),
      ];
      return [clock, interpolate(column.knots as number[], ms, base + CLOCK)];
    }
    case 'text':
      return [
        gramsOf(text).flatMap((grams) =>
          grams.map((gram): [number, number] => [
            base + (hash(gram) % (column.buckets as number)),
            1 / Math.sqrt(grams.length),
          ]),
        ),
      ];
    case 'vector': {
      const { centre = [], spread = 1, separator = ' ', width = 0 } = column;
      const numbers = numbersOf(text, separator);
      if (numbers?.length !== width) return [[[base - VALUES + UNKNOWN, 1]]];
      return [numbers.map((x, c): [number, number] => [base + c, (x - (centre[c] ?? 0)) / spread / Math.sqrt(width)])];
    }
    case 'skip':
      return [];
  }
}

/** A number between two knots; beyond the outermost it counts as these. */
function interpolate(knots: readonly number[], x: number, base: number): Bag {
  const next = knots.findIndex((knot) => knot > x);
  const k = next < 0 ? knots.length - 1 : Math.max(0, next - 1);
  const [low, high] = [knots[k], knots[k + 1]];
  const t = low === undefined || high === undefined || x <= low ? 0 : (x - low) / (high - low);
  return t === 0
    ? [[base + k, 1]]
    : [
        [base + k, 1 - t],
        [base + k + 1, t],
      ];
}

/** FNV-1a, 32 bits. */
function hash(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return (h ^ (h >>> 15)) >>> 0;
}
