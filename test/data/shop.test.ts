import { describe, expect, it } from 'vitest';
import { prepare } from '../../data/dataset.ts';
import { splitDataset } from '../../data/splits/split.ts';
import { makeShop, type Shop } from '../../data/demo-shop/shop.ts';

const small = makeShop({ seed: 3, shoppers: 300 });
const full = makeShop();

/** Each shopper's purchases, oldest first. */
function histories(shop: Shop): number[][] {
  const all: number[][] = shop.log.userIds.map(() => []);
  for (let i = 0; i < shop.log.size; i++) all[shop.log.user[i]].push(shop.log.item[i]);
  return all;
}

/** NDCG@10 with seen items kept, ties against the target, of scores made from a history without its last item. */
function ndcg(all: number[][], score: (history: number[]) => ArrayLike<number>): number {
  let sum = 0;
  for (const history of all) {
    const target = history[history.length - 1];
    const scores = score(history.slice(0, -1));
    let rank = 1;
    for (let j = 0; j < scores.length; j++) if (j !== target && scores[j] >= scores[target]) rank++;
    if (rank <= 10) sum += 1 / Math.log2(rank + 1);
  }
  return sum / all.length;
}

describe('the demo shop', () => {
  it('is the same for the same seed, and another for another', () => {
    const again = makeShop({ seed: 3, shoppers: 300 });
    expect(again.log).toEqual(small.log);
    expect([...again.items]).toEqual([...small.items]);
    expect(again.upperBound({ includeSeen: true, k: 10, split: 'test' })).toBe(
      small.upperBound({ includeSeen: true, k: 10, split: 'test' }),
    );
    expect(makeShop({ seed: 4, shoppers: 300 }).log.item).not.toEqual(small.log.item);
  });

  it('simulates the first shoppers alike, however many there are', () => {
    const one = makeShop({ seed: 3, shoppers: 10, items: 168 });
    const other = makeShop({ seed: 3, shoppers: 20, items: 168 });
    expect(histories(other).slice(0, 10)).toEqual(histories(one));
  });

  it('is of a sane size', () => {
    const { log, items } = full;
    expect(log.userIds).toHaveLength(2500);
    expect(log.userIds[41]).toBe('shopper-0042');
    expect(log.itemIds[136]).toBe('SKU-0137');
    expect(log.itemIds.length).toBeGreaterThan(400);
    expect(log.itemIds.length).toBeLessThan(600);
    expect([...items.keys()]).toEqual(log.itemIds);
    const lengths = histories(full).map((history) => history.length);
    expect(Math.min(...lengths)).toBeGreaterThanOrEqual(8);
    expect(Math.max(...lengths)).toBeLessThanOrEqual(60);
    expect(lengths.reduce((a, b) => a + b)).toBe(log.size);
  });

  it('has titles that read well, each once, with category, brand and price', () => {
    for (const shop of [small, full]) {
      const infos = [...shop.items.values()];
      expect(new Set(infos.map((info) => info.title)).size).toBe(infos.length);
      for (const { title, attributes } of infos) {
        expect(title).not.toMatch(/[{}]|undefined| {2}/);
        expect(attributes.category).toBeTruthy();
        expect(attributes.brand).toBeTruthy();
        expect(attributes.price).toMatch(/^\d+\.\d\d$/);
        expect(Number(attributes.price)).toBeGreaterThan(0);
      }
    }
  });

  it("keeps each shopper's order when sorted by time, and loses nothing in a 5-core", () => {
    for (const shop of [small, full, makeShop({ seed: 2 })]) {
      const time = shop.log.time as Float64Array;
      const last = new Map<number, number>();
      for (let i = 0; i < shop.log.size; i++) {
        if (i > 0) expect(time[i] >= time[i - 1]).toBe(true);
        expect(time[i] > (last.get(shop.log.user[i]) ?? 0)).toBe(true);
        last.set(shop.log.user[i], time[i]);
      }
      const dataset = prepare(shop.log, { minInteractions: 5 });
      expect(dataset.items.length).toBe(shop.log.size);
      expect(dataset.itemIds.length).toBe(shop.log.itemIds.length);
    }
  });

  it('states probabilities that sum to 1 and from which the bound can be recomputed on the split', () => {
    const dataset = prepare(small.log, { minInteractions: 5 });
    const split = splitDataset(dataset);
    const row = new Map(small.log.itemIds.map((id, i) => [id, i]));
    for (const name of ['test', 'valid'] as const) {
      for (const includeSeen of [true, false]) {
        let sum = 0;
        for (let u = 0; u < split.users; u++) {
          const p = small.probabilities(dataset.userIds[u], name);
          expect(p).toHaveLength(small.log.itemIds.length);
          expect(Math.min(...p)).toBeGreaterThanOrEqual(0);
          expect(p.reduce((a, b) => a + b)).toBeCloseTo(1, 9);
          const id = dataset.itemIds[name === 'test' ? split.testTarget(u) : split.validTarget(u)];
          const target = row.get(id) as number;
          expect(p[target]).toBeGreaterThan(0);
          if (!includeSeen) for (const item of split.history(u, name)) p[row.get(dataset.itemIds[item]) as number] = -1;
          if (p[target] < 0) continue;
          let rank = 1;
          for (let j = 0; j < p.length; j++) if (j !== target && p[j] >= p[target]) rank++;
          if (rank <= 10) sum += 1 / Math.log2(rank + 1);
        }
        expect(small.upperBound({ includeSeen, k: 10, split: name })).toBeCloseTo(sum / split.users, 9);
      }
    }
  });

  it('draws by the stated probabilities: the bound is what they imply', () => {
    let promised = 0;
    for (const id of full.log.userIds.slice(0, 2500)) {
      const best = full.probabilities(id, 'test').sort().reverse();
      for (let i = 0; i < 10; i++) promised += best[i] / Math.log2(i + 2);
    }
    // The standard error over 2500 shoppers is below 0.009.
    expect(Math.abs(full.upperBound({ includeSeen: true, k: 10, split: 'test' }) - promised / 2500)).toBeLessThan(0.03);
  });

  it('has an upper bound that grows with k, falls when seen items are left out, and is below 1', () => {
    for (const name of ['test', 'valid'] as const) {
      const bounds = [1, 5, 10, 20, 100].map((k) => full.upperBound({ includeSeen: true, k, split: name }));
      for (let i = 1; i < bounds.length; i++) expect(bounds[i]).toBeGreaterThan(bounds[i - 1]);
      expect(bounds[4]).toBeLessThan(1);
      const without = full.upperBound({ includeSeen: false, k: 10, split: name });
      expect(without).toBeLessThan(bounds[2]);
      expect(without).toBeGreaterThan(0.3);
    }
  });

  it('leaves room above popularity and Markov on the last item', () => {
    const all = histories(full);
    const V = full.log.itemIds.length;
    const popularity = new Float64Array(V);
    const markov = Array.from({ length: V }, () => new Float64Array(V));
    for (const history of all) {
      const train = history.slice(0, -2);
      train.forEach((item, i) => {
        popularity[item]++;
        if (i > 0) markov[train[i - 1]][item]++;
      });
    }
    for (const row of markov) for (let j = 0; j < V; j++) row[j] += popularity[j] * 1e-6;
    const popular = ndcg(all, () => popularity);
    const last = ndcg(all, (history) => markov[history[history.length - 1]]);
    expect(popular).toBeGreaterThan(0.03);
    expect(popular).toBeLessThan(0.12);
    expect(last).toBeGreaterThan(1.5 * popular);
    expect(full.upperBound({ includeSeen: true, k: 10, split: 'test' })).toBeGreaterThan(2 * last);
  });

  it('has routines: a good share of purchases are repeats, all of them of things that are used up', () => {
    const used = /coffee beans|beans, 1 kg|food|olive oil|detergent|dishwasher/i;
    let repeats = 0;
    for (const history of histories(full)) {
      const seen = new Set<number>();
      for (const item of history) {
        if (seen.has(item)) {
          repeats++;
          expect(full.items.get(full.log.itemIds[item])?.title).toMatch(used);
        }
        seen.add(item);
      }
    }
    expect(repeats / full.log.size).toBeGreaterThan(0.1);
    expect(repeats / full.log.size).toBeLessThan(0.4);
  });

  it('has sequels: volume n + 1 comes after volume n', () => {
    const row = new Map([...full.items].map(([, info], i) => [info.title, i]));
    const third = row.get('The Salt Road, book 3') as number;
    const fourth = row.get('The Salt Road, book 4') as number;
    let both = 0;
    let inOrder = 0;
    for (const history of histories(full)) {
      const [a, b] = [history.indexOf(third), history.indexOf(fourth)];
      if (a < 0 || b < 0) continue;
      both++;
      if (a < b) inOrder++;
    }
    expect(both).toBeGreaterThan(30);
    expect(inOrder).toBe(both);
  });

  it('describes shoppers in words', () => {
    const all = small.log.userIds.map((id) => small.describe(id));
    expect(all.every((text) => /^(an? |someone )/.test(text) && !/[{}]|undefined/.test(text))).toBe(true);
    expect(all.some((text) => /drinks \w+ coffee/.test(text))).toBe(true);
    expect(new Set(all).size).toBeGreaterThan(100);
  });

  it('refuses nonsense', () => {
    expect(() => makeShop({ shoppers: 0 })).toThrow(/shoppers 0/);
    expect(() => small.describe('nobody')).toThrow(/no shopper nobody/);
  });
});

describe('a demo shop with drift', () => {
  const shop = makeShop({ seed: 3, shoppers: 300, drift: 1 });
  /** Share of the purchases before and after the median time, by item. */
  const shares = ({ log }: Shop, late: boolean): Float64Array => {
    const middle = log.time?.[log.size >> 1] ?? 0;
    const counts = new Float64Array(log.itemIds.length);
    log.item.forEach((item, i) => {
      if ((log.time?.[i] ?? 0) >= middle === late) counts[item]++;
    });
    const total = counts.reduce((sum, x) => sum + x, 0);
    return counts.map((x) => x / total);
  };
  const change = (one: Shop): number => {
    const [before, after] = [shares(one, false), shares(one, true)];
    return before.reduce((sum, x, v) => sum + Math.abs(x - after[v]), 0);
  };

  it('sells items that were not there before, and changes what is popular', () => {
    expect(change(shop)).toBeGreaterThan(1.5 * change(small));
    const before = shares(shop, false);
    expect(shares(shop, true).filter((x, v) => x > 0 && before[v] === 0).length).toBeGreaterThan(10);
  });

  it('knows its probabilities, and refuses a drift that is none', () => {
    const p = shop.probabilities('shopper-0001', 'test');
    expect(p.reduce((sum, x) => sum + x, 0)).toBeCloseTo(1, 9);
    expect(() => makeShop({ drift: 2 })).toThrow(/expected a drift from 0 to 1, got 2/);
  });
});
