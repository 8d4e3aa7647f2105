/** The values of an attribute in a history and in the list after it. */
import { attributeShares, miscalibration, type ValuesOf } from '../../data/features/attribute-shares.ts';
import { cellFormats, columnNames, PLAIN, valuesOf } from '../../data/features/values.ts';
import { ownValue } from '../../data/own-value.ts';
import type { Item } from '../../model/storage/config.ts';

/** Distinct values of an attribute whose mix is shown. */
const MOST_VALUES = 50;

export interface Mix {
  /** Shares, each adding up to 1; the values of the history first, its largest share first. */
  values: { value: string; history: number; list: number }[];
  /** C_KL in nats; null where the history has no value. */
  miscalibration: number | null;
}

export class Mixes {
  /** Attributes whose values are few words. */
  readonly names: string[];
  private readonly items: readonly Item[];
  private readonly rows: ReadonlyMap<string, number>;
  private readonly formats: ReturnType<typeof cellFormats>;

  constructor(items: readonly Item[]) {
    this.items = items;
    this.rows = new Map(items.map(({ id }, row) => [id, row]));
    this.formats = cellFormats(items);
    this.names = columnNames(items).filter((name) => {
      if (this.formats.get(name)?.numeric) return false;
      const by = this.by(name);
      const values = new Set(items.flatMap((_, row) => by(row)));
      return values.size > 1 && values.size <= MOST_VALUES;
    });
  }

  private by(name: string): ValuesOf {
    return (row) => valuesOf(ownValue(this.items[row].attributes, name), this.formats.get(name) ?? PLAIN);
  }

  of(name: string, history: readonly string[], list: readonly string[]): Mix {
    const sharesOf = (ids: readonly string[]) =>
      attributeShares(
        ids.flatMap((id) => this.rows.get(id) ?? []),
        this.by(name),
      );
    const [p, q] = [sharesOf(history), sharesOf(list)];
    const values = Array.from(new Set([...p.keys(), ...q.keys()]), (value) => {
      return { value, history: p.get(value) ?? 0, list: q.get(value) ?? 0 };
    });
    const divergence = miscalibration(p, q);
    return {
      values: values.sort((a, b) => b.history - a.history || b.list - a.list),
      miscalibration: Number.isNaN(divergence) ? null : divergence,
    };
  }
}
