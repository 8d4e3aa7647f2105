/**
 * The similarity of items by their attributes, a positive definite kernel: structured columns together and each by
 * itself, words and letter trigrams of texts, and a constant:
 *
 *   k(i, j) = Π_c k_c + 0.3 Σ_c k_c + text · Σ_t (cos words + cos trigrams) + 1
 *
 *   category   1 if equal, else e⁻¹           list     exp(−values that only one of them has / 2)
 *   number     exp(−2 |x − y| / deviation)    vector   exp(−mean (x − y)² / 2), standardized
 *   text       cosine of the grams' inverse document frequencies
 *
 * A missing value has similarity 1 to another missing one, and e⁻¹ to the others.
 */
import type { CatalogItem } from '../formats/catalog.ts';
import { type Column, numbersOf, gramsOf, replacementOf, numberOf, recordOf, type Schema } from './schema.ts';
import { splitCell } from './values.ts';

/** Weight of each structured column by itself. */
const ALONE = 0.3;
const APART = Math.exp(-1);

/** Writes k(i, j) for all items j. */
export type Similarity = (i: number, text: number, out: Float32Array) => void;

type Row = (i: number, out: Float64Array) => void;

export function similarity(schema: Schema, items: readonly CatalogItem[]): Similarity {
  const records = items.map((item) => recordOf(item, item.id, schema.titleYear));
  const n = items.length;
  const structured: Row[] = [];
  const texts: Row[] = [];
  for (const column of schema.columns) {
    const values = records.map((record) => record.get(column.name)?.trim() || replacementOf(column));
    if (column.type === 'text') for (const which of [0, 1] as const) texts.push(cosine(values, which));
    else {
      const row = structuredRow(column, values);
      if (row) structured.push(row);
    }
  }
  const one = new Float64Array(n);
  const all = new Float64Array(n);
  return (i, text, out) => {
    out.fill(1);
    all.fill(structured.length > 0 ? 1 : 0);
    for (const row of structured) {
      row(i, one);
      for (let j = 0; j < n; j++) all[j] = (all[j] as number) * (one[j] as number);
      addTo(out, one, ALONE);
    }
    addTo(out, all, 1);
    for (const row of texts) {
      row(i, one);
      addTo(out, one, text);
    }
  };
}

function addTo(out: Float32Array, values: Float64Array, factor: number): void {
  for (let j = 0; j < out.length; j++) out[j] = (out[j] as number) + factor * (values[j] as number);
}

function structuredRow(column: Column, values: readonly (string | null)[]): Row | null {
  switch (column.type) {
    case 'category':
      return (i, out) => {
        for (let j = 0; j < values.length; j++) out[j] = values[i] === values[j] ? 1 : APART;
      };
    case 'number':
    case 'time': {
      const { deviation } = column;
      const numbers = values.map((value) => (value === null ? Number.NaN : numberOf(value, column)));
      const scale = 2 / (deviation || 1);
      return (i, out) => {
        const x = numbers[i] as number;
        for (const [j, y] of numbers.entries()) {
          const missing = Number(Number.isNaN(x)) + Number(Number.isNaN(y));
          out[j] = missing === 2 ? 1 : missing === 1 ? APART : Math.exp(-Math.abs(x - y) * scale);
        }
      };
    }
    case 'list': {
      const lists = values.map((value) => value && [...new Set(splitCell(value, column.separator as string))]);
      const holders = invert(lists.map((list) => list || []));
      return (i, out) => {
        out.fill(0);
        const own = lists[i];
        for (const part of own || []) for (const j of holders.get(part) ?? []) out[j] = (out[j] as number) + 1;
        for (const [j, other] of lists.entries()) {
          const shared = out[j] as number;
          out[j] = own && other ? Math.exp(-(own.length + other.length - 2 * shared) / 2) : own || other ? APART : 1;
        }
      };
    }
    case 'vector': {
      const { width = 0, spread = 1, separator = ' ' } = column;
      const vectors = values.map((value) => {
        const numbers = value === null ? null : numbersOf(value, separator);
        return numbers?.length === width ? Float32Array.from(numbers, (x) => x / spread) : null;
      });
      return (i, out) => {
        const x = vectors[i];
        vectors.forEach((y, j) => {
          if (!x || !y) {
            out[j] = x || y ? APART : 1;
            return;
          }
          let sum = 0;
          for (let c = 0; c < width; c++) sum += ((x[c] as number) - (y[c] as number)) ** 2;
          out[j] = Math.exp(-sum / width / 2);
        });
      };
    }
    default:
      return null;
  }
}

/** Cosine of texts: of their words, or of their letter trigrams; grams that only one item has do not count. */
function cosine(values: readonly (string | null)[], which: 0 | 1): Row {
  const grams = values.map((value) => [...new Set(gramsOf(value ?? '')[which])]);
  const holders = invert(grams);
  const idf = new Map(
    [...holders].map(([gram, of]) => [gram, of.length > 1 ? Math.log(values.length / of.length) : 0]),
  );
  const bags = grams.map((own) => own.filter((gram) => (idf.get(gram) as number) > 0));
  const lengths = bags.map((own) => Math.sqrt(own.reduce((sum, gram) => sum + (idf.get(gram) as number) ** 2, 0)) || 1);
  return (i, out) => {
    out.fill(0);
    for (const gram of bags[i] ?? []) {
      const weight = (idf.get(gram) as number) ** 2;
      for (const j of holders.get(gram) as number[]) out[j] = (out[j] as number) + weight;
    }
    const own = lengths[i] as number;
    for (const [j, length] of lengths.entries()) out[j] = (out[j] as number) / (own * length);
  };
}

/** Value → the items that have it. */
function invert(lists: readonly (readonly string[])[]): Map<string, number[]> {
  const holders = new Map<string, number[]>();
  lists.forEach((list, i) => {
    for (const value of list) {
      const of = holders.get(value);
      if (of) of.push(i);
      else holders.set(value, [i]);
    }
  });
  return holders;
}
