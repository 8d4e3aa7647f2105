/** A family of logs to choose defaults on: synthetic shapes, demo shops, and parts of real logs, each with a held-out twin. */
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { inMemory } from '../../data/column.ts';
import { prepare } from '../../data/dataset.ts';
import { makeShop } from '../../data/demo-shop/shop.ts';
import { readLog } from '../../data/formats/reader.ts';
import type { Log } from '../../data/log.ts';
import { seeded, shuffle } from '../../data/random.ts';
import { numberedLog, type LogShape, syntheticLog } from './synthetic.ts';

export interface Member {
  name: string;
  /** Choices are made on the logs of `search` alone; the others judge them. */
  role: 'search' | 'held-out';
  /** Items of the history are candidates, too. */
  seen: 'excluded' | 'kept';
  log(): Promise<Log>;
}

interface Part {
  seed: number;
  /** Users drawn. */
  users: number;
  /** Only events on the most frequent items. */
  items?: number;
  /** Only the last events of each history. */
  last?: number;
  /** Whether to shuffle each history, so that order means nothing. */
  shuffled?: boolean;
}

const FILES = {
  ml100k: 'ml-100k/ml-100k.inter',
  ml1m: 'ml-1m/ratings.csv',
  games: 'games/games.txt',
  yelp: 'yelp/yelp.seq.txt',
};
/** Demo shops are cut to so many purchases of each shopper at the end, where a number is given. */
interface ShopPart {
  seed: number;
  shoppers: number;
  last?: number;
}

const MEMBERS: [
  name: string,
  role: Member['role'],
  of: LogShape | ShopPart | (Part & { file: keyof typeof FILES }),
  seen?: 'kept',
][] = [
  [
    'listening',
    'search',
    { seed: 1, users: 400, items: 1500, length: [20, 120], repeat: 0.5, order: 0.15, taste: 0.3 },
  ],
  [
    'listening, seen kept',
    'search',
    { seed: 2, users: 400, items: 1500, length: [20, 120], repeat: 0.5, order: 0.15, taste: 0.3 },
    'kept',
  ],
  ['taste alone', 'search', { seed: 3, users: 500, items: 800, length: [8, 40], repeat: 0, order: 0, taste: 0.9 }],
  ['order alone', 'search', { seed: 4, users: 400, items: 600, length: [8, 40], repeat: 0, order: 0.5, taste: 0 }],
  [
    'nothing but popularity',
    'search',
    { seed: 5, users: 400, items: 500, length: [8, 40], repeat: 0, order: 0, taste: 0 },
  ],
  [
    'drifting',
    'search',
    { seed: 6, users: 600, items: 1200, length: [10, 60], repeat: 0.05, order: 0.2, taste: 0.6, drift: 1 },
  ],
  [
    'short histories',
    'search',
    { seed: 7, users: 1500, items: 700, length: [5, 12], repeat: 0.05, order: 0.25, taste: 0.6 },
  ],
  ['shop of 400', 'search', { seed: 1, shoppers: 400 }],
  ['shop of 1500, 9 purchases', 'search', { seed: 2, shoppers: 1500, last: 9 }],
  ['MovieLens 100K', 'search', { file: 'ml100k', seed: 0, users: 943 }],
  ['MovieLens 100K, 300 users', 'search', { file: 'ml100k', seed: 1, users: 300, last: 40 }],
  ['MovieLens 1M, 500 users shuffled', 'search', { file: 'ml1m', seed: 2, users: 500, last: 60, shuffled: true }],
  ['MovieLens 1M, 2000 users, last 15', 'search', { file: 'ml1m', seed: 3, users: 2000, last: 15 }],
  ['Games, 1500 items', 'search', { file: 'games', seed: 1, users: 4000, items: 1500 }],
  ['Yelp, 1500 items', 'search', { file: 'yelp', seed: 1, users: 4000, items: 1500 }],
  ['Yelp, 1000 items, seen kept', 'search', { file: 'yelp', seed: 2, users: 4000, items: 1000 }, 'kept'],

  [
    'listening 2',
    'held-out',
    { seed: 11, users: 300, items: 2500, length: [30, 150], repeat: 0.6, order: 0.1, taste: 0.25, genres: 40 },
  ],
  [
    'listening 2, seen kept',
    'held-out',
    { seed: 12, users: 300, items: 1000, length: [15, 60], repeat: 0.4, order: 0.2, taste: 0.3 },
    'kept',
  ],
  [
    'taste alone 2',
    'held-out',
    { seed: 13, users: 300, items: 1200, length: [15, 60], repeat: 0, order: 0, taste: 0.8, genres: 30 },
  ],
  [
    'order and taste',
    'held-out',
    { seed: 14, users: 700, items: 900, length: [6, 30], repeat: 0.1, order: 0.3, taste: 0.4, skew: 1 },
  ],
  [
    'popularity 2',
    'held-out',
    { seed: 15, users: 300, items: 400, length: [10, 30], repeat: 0.1, order: 0, taste: 0, skew: 1 },
  ],
  [
    'drifting 2',
    'held-out',
    { seed: 16, users: 400, items: 800, length: [15, 50], repeat: 0, order: 0.1, taste: 0.8, drift: 0.8 },
  ],
  ['shop of 300', 'held-out', { seed: 13, shoppers: 300 }],
  ['shop of 1000, 9 purchases', 'held-out', { seed: 14, shoppers: 1000, last: 9 }],
  ['MovieLens 100K, 400 users shuffled', 'held-out', { file: 'ml100k', seed: 12, users: 400, shuffled: true }],
  ['MovieLens 1M, 600 users', 'held-out', { file: 'ml1m', seed: 13, users: 600 }],
  ['Games, 800 items', 'held-out', { file: 'games', seed: 14, users: 3000, items: 800 }],
  ['Yelp, 2500 items', 'held-out', { file: 'yelp', seed: 15, users: 9000, items: 2500 }],
];

/** @param data a folder with the real logs (README of bench/quality); their parts are left out without it */
export function members(data: string | undefined): Member[] {
  return MEMBERS.filter(([, , of]) => data || !('file' in of)).map(
    ([name, role, of, seen = 'excluded' as const]): Member => ({
      name,
      role,
      seen,
      log: async () => {
        if ('file' in of) return partOf(await histories(join(data as string, FILES[of.file])), of, name);
        if ('shoppers' in of) return shopPart(of, name);
        return syntheticLog(of);
      },
    }),
  );
}

const shopPart = ({ seed, shoppers, last }: ShopPart, name: string): Log => {
  const { log } = makeShop({ seed, shoppers });
  return last === undefined ? log : partOf(historiesOf(log, 1), { seed, users: shoppers, last }, name);
};

async function histories(path: string): Promise<Uint32Array[]> {
  return historiesOf(await readLog(createReadStream(path), path), 5);
}

function historiesOf(log: Log, minInteractions: number): Uint32Array[] {
  const dataset = prepare(log, { minInteractions });
  const [offsets, items] = [dataset.offsets, inMemory(dataset.items)];
  return Array.from({ length: offsets.length - 1 }, (_, u) => items.slice(offsets[u], offsets[u + 1]));
}

/** Some users, some items, some of the events. */
function partOf(all: Uint32Array[], { seed, users, items, last, shuffled }: Part, name: string): Log {
  const counts: number[] = [];
  for (const history of all) for (const item of history) counts[item] = (counts[item] ?? 0) + 1;
  const frequent = new Set(
    counts
      .map((_, i) => i)
      .sort((a, b) => counts[b] - counts[a] || a - b)
      .slice(0, items ?? counts.length),
  );
  const random = seeded(seed, 0);
  const kept = all.map((history) => history.filter((item) => frequent.has(item))).filter(({ length }) => length >= 5);
  // The whole log keeps its order of users, which ties in popularity follow.
  const drawn = users < kept.length ? shuffle(kept, random).slice(0, users) : kept;
  const [user, item]: [number[], number[]] = [[], []];
  drawn.forEach((history, u) => {
    const events = Array.from(history.slice(-(last ?? history.length)));
    for (const event of shuffled ? shuffle(events, random) : events) {
      user.push(u);
      item.push(event);
    }
  });
  return numberedLog(user, item, drawn.length, counts.length, name);
}
