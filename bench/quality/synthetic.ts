/**
 * Logs whose shape is chosen: how much of the next event follows from the order of events, from taste, from repetition, or
 * from nothing but popularity. Seeded, so that a name stands for one log.
 */
import type { Log } from '../../data/log.ts';
import { type Random, seeded, shuffle } from '../../data/random.ts';

export interface LogShape {
  seed: number;
  users: number;
  items: number;
  /** Events of a history: uniform between the two. */
  length: [least: number, most: number];
  /** Probability that an event repeats one of the user's own, recent ones more often. */
  repeat: number;
  /** Probability that it is one of the 5 successors of the event before it. */
  order: number;
  /** Probability that it is of one of the user's 3 genres of `genres`, by popularity, in any order; else it is of any. */
  taste: number;
  genres?: number;
  /** Popularity of the item at rank n is n^-skew. Default 0.8. */
  skew?: number;
  /** Share of the catalog that popularity moves through over a history: items come and go. Default 0. */
  drift?: number;
}

/** Successors of an item. */
const SUCCESSORS = 5;

export function syntheticLog(shape: LogShape): Log {
  const { seed, users, items, length, repeat, order, taste, genres = 20, skew = 0.8, drift = 0 } = shape;
  const world = seeded(seed, 0);
  const rank = shuffle(
    Array.from({ length: items }, (_, i) => i),
    world,
  );
  const popularity = Float64Array.from(rank, (r) => (1 + r) ** -skew);
  const genre = Uint32Array.from({ length: items }, () => world.below(genres));
  const successors = Array.from({ length: items }, () =>
    Array.from({ length: SUCCESSORS }, () => drawn(popularity, world)),
  );
  const user: number[] = [];
  const item: number[] = [];
  for (let u = 0; u < users; u++) {
    const random = seeded(seed, 1 + u);
    const liked = new Set(Array.from({ length: 3 }, () => random.below(genres)));
    const own: number[] = [];
    const events = length[0] + random.below(length[1] - length[0] + 1);
    for (let t = 0; t < events; t++) {
      // With drift, an item is there in a window of the time that is as wide as what does not drift.
      const weights = popularity.map((p, i) => {
        if (drift > 0 && Math.abs(rank[(i * 7 + 3) % items] / items - t / events) > 1 - drift / 2) return 0;
        return p;
      });
      const dice = random.next();
      let next: number;
      if (t > 0 && dice < repeat) next = own[t - 1 - Math.floor(t * random.next() ** 2)];
      else if (t > 0 && dice < repeat + order) next = successors[own[t - 1]][random.below(SUCCESSORS)];
      else if (dice < repeat + order + taste)
        next = drawn(
          weights.map((w, i) => (liked.has(genre[i]) ? w : 0)),
          random,
        );
      else next = drawn(weights, random);
      own.push(next);
      user.push(u);
      item.push(next);
    }
  }
  return numberedLog(user, item, users, items, `synthetic ${seed}`);
}

function drawn(weights: Float64Array, random: Random): number {
  let total = 0;
  for (const w of weights) total += w;
  return random.pick(weights, total);
}

/** A log in file order of numbered users and items. */
export function numberedLog(user: number[], item: number[], users: number, items: number, source: string): Log {
  return {
    userIds: Array.from({ length: users }, (_, u) => `u${u}`),
    itemIds: Array.from({ length: items }, (_, i) => `i${i}`),
    user: Uint32Array.from(user),
    item: Uint32Array.from(item),
    rating: null,
    time: null,
    size: item.length,
    source,
    notes: [],
  };
}
