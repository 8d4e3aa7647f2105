/**
 * The built-in demo shop: a seeded generator of a plausible store and its interaction log.
 *
 * The generator knows each shopper's hidden state, hence the exact probabilities of the next purchase, and so the
 * expected NDCG@k that no recommender can exceed: `upperBound`.
 */
import type { ItemInfo } from '../formats/catalog.ts';
import type { Log } from '../log.ts';
import { THEMES } from './goods.ts';
import { seeded } from '../random.ts';
import { type DemandTables, fashions, Shopper } from './shopper.ts';
import { type ShopItem, stock } from './stock.ts';

export interface ShopOptions {
  /** The same seed gives the same shop on every machine. Default 1. */
  seed?: number;
  /** Default 2500. */
  shoppers?: number;
  /**
   * How fast tastes change, 0 (the default: not at all) to 1: every 60 days the appeal of each item changes by a random
   * factor, and up to 40 % of the items are sold from a later day on.
   */
  drift?: number;
  /** Approximate number of items, at most about 590. Default 430, and fewer for fewer than 2500 shoppers. */
  items?: number;
}

export interface BoundOptions {
  /** Whether items of the history are candidates; if not, a target that is one of them is a miss. */
  includeSeen: boolean;
  k: number;
  /** Leave-one-out: the last purchase, or the one before it. */
  split: 'test' | 'valid';
}

export interface Shop {
  /** All purchases, oldest first; time in seconds since 1970. */
  log: Log;
  /** SKU -> title, and category, brand and price. */
  items: Map<string, ItemInfo>;
  /**
   * NDCG@k on this log of a recommender that knows every shopper's hidden state and ranks by the true probabilities.
   * Holds for the unfiltered log: a filter that drops purchases changes which one is the last.
   */
  upperBound(options: BoundOptions): number;
  /** The true probabilities of a shopper's last (or last but one) purchase, [log.itemIds]; they sum to 1. */
  probabilities(userId: string, split: 'test' | 'valid'): Float64Array;
  /** The shopper in words, after the last purchase: "a runner who drinks espresso coffee". */
  describe(userId: string): string;
}

const OPENED = Date.UTC(2023, 0, 1) / 1000;
/** Stream of the seed that changes tastes; shoppers have those from 1 on. */
const DRIFT = 0xd81f7000;
const SHORTEST = 8;
const LONGEST = 60;
const SPLITS = { valid: 2, test: 1 } as const;

/** @throws RangeError when a number of shoppers or items is below 1. */
export function makeShop(options: ShopOptions = {}): Shop {
  const { seed = 1, shoppers = 2500, drift = 0 } = options;
  // Few enough that every item is bought more than five times: the usual 5-core filter removes nothing (from 300 shoppers on).
  const wanted = options.items ?? Math.min(430, 120 + Math.ceil(shoppers / 8));
  if (!(shoppers >= 1 && wanted >= 1))
    throw new RangeError(`demo shop: shoppers ${shoppers} and items ${wanted} must be at least 1`);
  if (!(drift >= 0 && drift <= 1)) throw new RangeError(`demo shop: expected a drift from 0 to 1, got ${drift}`);
  const items = stock(wanted, seeded(seed, 0));
  const shared = fashions(items, drift, seeded(seed, DRIFT));
  const userIds = Array.from({ length: shoppers }, (_, u) => name('shopper', u, shoppers));
  const itemIds = items.map((_, row) => name('SKU', row, items.length));
  const rows = new Map(userIds.map((id, u) => [id, u]));
  const events: { user: number; item: number; time: number }[] = [];
  const ranks = { valid: new Uint32Array(shoppers * 2), test: new Uint32Array(shoppers * 2) };
  const sentences: string[] = [];

  for (let user = 0; user < shoppers; user++) {
    const seen = new Set<number>();
    const shopper = simulate(shared, items.length, seed, user, (item, p, left, time) => {
      for (const split of ['valid', 'test'] as const) {
        if (left !== SPLITS[split]) continue;
        ranks[split][2 * user] = rank(p, item, null);
        ranks[split][2 * user + 1] = rank(p, item, seen);
      }
      seen.add(item);
      events.push({ user, item, time });
    });
    sentences.push(sentence(shopper, items));
  }
  // No two purchases of a shopper share a time, so that the order of a log sorted by time is each shopper's own.
  events.sort((a, b) => a.time - b.time || a.user - b.user);

  const row = (userId: string) => {
    const user = rows.get(userId);
    if (user === undefined)
      throw new RangeError(`demo shop: no shopper ${userId}, they are ${userIds[0]} to ${userIds.at(-1)}`);
    return user;
  };
  return {
    log: {
      userIds,
      itemIds,
      user: Uint32Array.from(events, (event) => event.user),
      item: Uint32Array.from(events, (event) => event.item),
      rating: null,
      time: Float64Array.from(events, (event) => event.time),
      size: events.length,
      source: 'the demo shop',
      notes: [],
    },
    items: new Map(
      items.map((item, i) => [
        itemIds[i] as string,
        {
          title: item.title,
          attributes: { category: item.category, brand: item.brand, price: (item.price / 100).toFixed(2) },
        },
      ]),
    ),
    upperBound: ({ includeSeen, k, split }) => {
      let sum = 0;
      for (let user = 0; user < shoppers; user++) {
        const rank = ranks[split][2 * user + (includeSeen ? 0 : 1)] as number;
        if (rank >= 1 && rank <= k) sum += 1 / Math.log2(rank + 1);
      }
      return sum / shoppers;
    },
    probabilities: (userId, split) => {
      let found = new Float64Array(items.length);
      simulate(shared, items.length, seed, row(userId), (_, p, left) => {
        if (left === SPLITS[split]) found = p.slice();
      });
      return found;
    },
    describe: (userId) => sentences[row(userId)] as string,
  };
}

/**
 * Simulates one shopper. `visit` gets each purchase, the probabilities that it was drawn from (valid during the call), how
 * many purchases are left including it, and its time.
 */
function simulate(
  shared: readonly DemandTables[],
  items: number,
  seed: number,
  user: number,
  visit: (item: number, p: Float64Array, left: number, time: number) => void,
): Shopper {
  const random = seeded(seed, user + 1);
  const shopper = new Shopper(shared, random);
  const length = SHORTEST + Math.floor((LONGEST - SHORTEST + 1) * random.next() ** 1.4);
  const p = new Float64Array(items);
  for (let left = length; left >= 1; left--) {
    shopper.distribution(p);
    const item = random.pick(p, 1);
    visit(item, p, left, OPENED + shopper.day * 86400 + 8 * 3600 + random.below(14 * 3600));
    shopper.buy(item);
  }
  return shopper;
}

/** The target's rank, 1 for the most probable, ties pessimistic; 0 if it is among the `excluded`, which are no candidates. */
function rank(p: Float64Array, target: number, excluded: Set<number> | null): number {
  if (excluded?.has(target)) return 0;
  const own = p[target] as number;
  let rank = 1;
  for (const [item, probability] of p.entries()) {
    if (item !== target && probability >= own && !excluded?.has(item)) rank++;
  }
  return rank;
}

function sentence(shopper: Shopper, items: ShopItem[]): string {
  const habits = new Set(shopper.routines.map((routine) => items[routine.row]?.habit ?? ''));
  const traits = [...habits].slice(0, 2);
  const next = shopper.sequels.at(-1);
  if (next !== undefined) traits.push(`looks forward to ${items[next]?.title}`);
  const who = THEMES[shopper.interests[0] ?? 0]?.who ?? 'a shopper';
  if (traits.length === 0) return who;
  const last = traits.pop() as string;
  return `${who} who ${traits.length > 0 ? `${traits.join(', ')} and ` : ''}${last}`;
}

function name(prefix: string, index: number, count: number): string {
  return `${prefix}-${String(index + 1).padStart(Math.max(4, String(count).length), '0')}`;
}
