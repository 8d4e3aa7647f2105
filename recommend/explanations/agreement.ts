/** How well roll-out agrees with occlusion, which is what the model does: on the events of many histories. */
import type { Explanation } from './explain.ts';

/** Of one recommendation. */
export interface Agreement {
  /** Rank correlation of the events' contributions, −1 to 1; null where one method tells no two events apart. */
  spearman: number | null;
  /** Whether both name the same event first. */
  top: boolean;
  /** Drop of the relative score without the event that the method names, and without an event drawn at random. */
  drop: { occlusion: number; rollout: number; latest: number; random: number };
  /** Attention alone against the transformer's part of the drops. */
  attention: { spearman: number | null; top: boolean };
  /** The same for the plainest guess, the later the more: what roll-out must beat to say anything. */
  latest: { spearman: number | null; top: boolean };
}

/** Spearman's rank correlation, ties at their mean rank; null where either side is constant. */
export function spearman(a: ArrayLike<number>, b: ArrayLike<number>): number | null {
  const [x, y] = [ranksOf(a), ranksOf(b)];
  const mean = (x.length + 1) / 2;
  let [xy, xx, yy] = [0, 0, 0];
  x.forEach((rank, i) => {
    xy += (rank - mean) * (y[i] - mean);
    xx += (rank - mean) ** 2;
    yy += (y[i] - mean) ** 2;
  });
  return xx > 0 && yy > 0 ? xy / Math.sqrt(xx * yy) : null;
}

function ranksOf(values: ArrayLike<number>): Float64Array {
  const order = Array.from(values, (_, i) => i).sort((i, j) => values[i] - values[j]);
  const ranks = new Float64Array(values.length);
  for (let from = 0; from < order.length; ) {
    let to = from + 1;
    while (to < order.length && values[order[to]] === values[order[from]]) to++;
    for (let i = from; i < to; i++) ranks[order[i]] = (from + to + 1) / 2;
    from = to;
  }
  return ranks;
}

/** The two explanations of one recommendation; null for a history of a single event, where there is nothing to compare. */
export function agreementOf(occlusion: Explanation, rollout: Explanation): Agreement | null {
  const [dropped, looked] = [occlusion, rollout].map(({ events }) =>
    [...events].sort((a, b) => a.position - b.position),
  );
  const n = dropped.length;
  if (n < 2) return null;
  const drops = dropped.map((event) => event.contribution);
  const shares = looked.map((event) => event.contribution);
  const positions = dropped.map((event) => event.position);
  const [own, attention] = [dropped, looked].map((events) => events.map((event) => event.transformer));
  const [first, second] = [bestOf(drops), bestOf(shares)];
  return {
    spearman: spearman(drops, shares),
    top: first === second,
    drop: {
      occlusion: drops[first],
      rollout: drops[second],
      latest: drops[n - 1],
      random: drops.reduce((sum, drop) => sum + drop, 0) / n,
    },
    attention: { spearman: spearman(own, attention), top: bestOf(own) === bestOf(attention) },
    latest: { spearman: spearman(drops, positions), top: first === n - 1 },
  };
}

/** Of several the latest, as explanations have it. */
const bestOf = (values: readonly number[]): number =>
  values.reduce((best, value, i) => (value >= values[best] ? i : best), 0);
