/**
 * Calibration: a list whose items have an attribute's values in about the proportions of the user's history (Steck,
 * "Calibrated recommendations", RecSys 2018). The next item is the one with the highest
 *
 *   (1 − λ) · relevance − λ · C_KL(p, q)
 *
 * where p is the distribution of the values in the history, q that of the list with the item (both in
 * data/features/attribute-shares.ts), and relevance is scaled to 0 … 1 over the candidates as for diversity.
 */
import { attributeShares, SMOOTHING, type ValuesOf } from '../../data/features/attribute-shares.ts';

export interface Calibration {
  /** λ: 0 (leave the order) to 1 (the proportions alone). */
  weight: number;
  valuesOf: ValuesOf;
  /** Item rows of the history. */
  history: ArrayLike<number>;
}

/** The list so far, as calibration sees it. */
export class CalibratedList {
  readonly weight: number;
  private readonly valuesOf: ValuesOf;
  private readonly wanted: [value: string, share: number][];
  /** Value → the sum of its shares in the items of the list, and how many of these have any value. */
  private readonly sums = new Map<string, number>();
  private items = 0;

  constructor({ weight, valuesOf, history }: Calibration) {
    const shares = attributeShares(history, valuesOf);
    this.weight = shares.size > 0 ? weight : 0;
    this.valuesOf = valuesOf;
    this.wanted = [...shares];
  }

  /** C_KL of the list with this item; 0 where nothing is known of the history. */
  with(row: number): number {
    const values = this.valuesOf(row);
    const items = this.items + (values.length > 0 ? 1 : 0);
    let sum = 0;
    for (const [value, share] of this.wanted) {
      let own = this.sums.get(value) ?? 0;
      for (const one of values) if (one === value) own += 1 / values.length;
      const q = items > 0 ? own / items : 0;
      sum += share * Math.log(share / ((1 - SMOOTHING) * q + SMOOTHING * share));
    }
    return sum;
  }

  add(row: number): void {
    const values = this.valuesOf(row);
    if (values.length > 0) this.items++;
    for (const value of values) this.sums.set(value, (this.sums.get(value) ?? 0) + 1 / values.length);
  }
}
