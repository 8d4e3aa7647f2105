/** A small seeded generator (sfc32, Chris Doty-Humphrey's PractRand): integers only, so the same on every engine. */
export interface Random {
  /** Uniform in [0, 1). */
  next(): number;
  /** Uniform integer in [0, n). */
  below(n: number): number;
  /** True with probability p. */
  chance(p: number): boolean;
  /** An index of `weights`, drawn in proportion to them; `total` is their sum. */
  pick(weights: ArrayLike<number>, total: number): number;
}

/** One stream for each (seed, stream) pair. */
export function seeded(seed: number, stream: number): Random {
  let a = 0x9e3779b9;
  let b = seed >>> 0;
  let c = stream >>> 0;
  let counter = 1;
  const next = () => {
    const t = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + t) | 0;
    return (t >>> 0) / 2 ** 32;
  };
  for (let i = 0; i < 15; i++) next();
  return {
    next,
    below: (n) => Math.floor(next() * n),
    chance: (p) => next() < p,
    pick(weights, total) {
      let left = next() * total;
      let last = 0;
      for (let i = 0; i < weights.length; i++) {
        const weight = weights[i] as number;
        if (weight <= 0) continue;
        last = i;
        left -= weight;
        if (left < 0) return i;
      }
      return last;
    },
  };
}

/** Shuffles in place (Fisher-Yates, from the end) and returns the list. */
export function shuffle<L extends { length: number; [i: number]: unknown }>(list: L, random: Random): L {
  for (let i = list.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [list[i], list[j]] = [list[j], list[i]];
  }
  return list;
}
