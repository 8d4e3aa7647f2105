/**
 * How the values of an attribute are distributed over a history or a list, and how far a list is from a history (Steck,
 * "Calibrated recommendations", RecSys 2018).
 */

/** An item's values of an attribute; none where it is missing. */
export type ValuesOf = (row: number) => readonly string[];

/** Part of the history's distribution that smooths the list's, so that a value that the list lacks has a finite cost. */
export const SMOOTHING = 0.01;

/**
 * Value → share, adding up to 1: each item with values counts 1, divided equally among them; items without any are left
 * out. Empty where no item has a value.
 * @param rows item rows; one that occurs twice counts twice
 */
export function attributeShares(rows: ArrayLike<number>, valuesOf: ValuesOf): Map<string, number> {
  const shares = new Map<string, number>();
  let items = 0;
  for (const row of Array.from(rows)) {
    const values = valuesOf(row);
    if (values.length === 0) continue;
    items++;
    for (const value of values) shares.set(value, (shares.get(value) ?? 0) + 1 / values.length);
  }
  for (const [value, sum] of shares) shares.set(value, sum / items);
  return shares;
}

/**
 * C_KL(p, q) = Σ p(g) · ln(p(g) / q̃(g)) with q̃ = (1 − α) q + α p, in nats: 0 where the list has the history's mix, at most
 * ln(1/α) = 4.6 where it has none of its values.
 * @param p of the history, `q` of the list
 * @returns NaN where the history has no value
 */
export function miscalibration(
  p: ReadonlyMap<string, number>,
  q: ReadonlyMap<string, number>,
  alpha = SMOOTHING,
): number {
  if (p.size === 0) return Number.NaN;
  let sum = 0;
  for (const [value, share] of p) sum += share * Math.log(share / ((1 - alpha) * (q.get(value) ?? 0) + alpha * share));
  return sum;
}
