import { describe, expect, it } from 'vitest';
import { EXCLUDED } from '../../model/inference/scored.ts';
import { type PostProcessingOptions, PostProcessing, candidatesOf } from '../../recommend/reranking/post-processing.ts';

const items = ['pen', 'ink', 'boot', 'shoe'].map((id, row) => ({
  id,
  title: id,
  attributes: { kind: row < 2 ? 'paper' : 'leather', price: `${10 * (row + 1)}` } as Record<string, string>,
  count: row,
}));
const rows = new Map(items.map(({ id }, row) => [id, row]));
// pen and ink point one way, boot another; shoe is nowhere.
const table = { shape: [4, 2], data: Float32Array.from([2, 0, 3, 0, 0, 1, 0, 0]) };
const after = new PostProcessing(items, rows, table);
const out = Math.fround(EXCLUDED);
const bias = (options: PostProcessingOptions) => Array.from(after.plan(options).bias ?? []);

describe('after the score', () => {
  it('needs nothing where nothing is asked', () => {
    expect(after.plan({})).toEqual({ bias: null, candidates: 4, rerank: null });
    expect(after.plan({ diversity: 0, caps: {}, popularityPenalty: 0 })).toMatchObject({ bias: null, rerank: null });
  });

  it('filters and penalties make one bias', () => {
    expect(bias({ where: 'kind=leather' })).toEqual([out, out, 0, 0]);
    expect(bias({ allow: ['ink', 'boot', 'nothing'] })).toEqual([out, 0, 0, out]);
    expect(bias({ allow: [] })).toEqual([out, out, out, out]);
    expect(bias({ deny: ['pen', 'nothing'] })).toEqual([out, 0, 0, 0]);
    expect(bias({ where: 'price<35', allow: ['ink', 'shoe'], deny: ['pen'], popularityPenalty: 2 })).toEqual([
      out,
      Math.fround(-2 * Math.log(2)),
      out,
      out,
    ]);
    expect(after.plan({ where: 'price<35', deny: ['pen'], popularityPenalty: 1 }).candidates).toBe(2);
  });

  it('diversity and caps choose among the best', () => {
    const best = candidatesOf(Uint32Array.of(0, 1, 2, 3), Float32Array.of(4, 3.9, 2, 1));
    const order = (options: PostProcessingOptions, k = 4) =>
      after
        .plan(options)
        .rerank?.(best, k, [])
        .map(({ row }) => row);
    expect(order({ diversity: 0.7 }, 2)).toEqual([0, 2]);
    expect(order({ caps: { Kind: 1 } })).toEqual([0, 2]);
    expect(order({ caps: { kind: 1 }, diversity: 1 })).toEqual([0, 2]);
    expect(order({ caps: { price: 1 } })).toEqual([0, 1, 2, 3]);
  });

  it('caps and filters read prices alike, however they are written', () => {
    const prices = ['€ 1.299,00', '1299', '12,5', '12,50 €', '1.299'];
    const goods = prices.map((price, row) => ({ id: `g${row}`, title: `g${row}`, attributes: { price }, count: 1 }));
    const shop = new PostProcessing(goods, new Map(goods.map(({ id }, row) => [id, row])), undefined);
    const best = candidatesOf(Uint32Array.of(0, 1, 2, 3, 4), Float32Array.of(5, 4, 3, 2, 1));
    const capped = shop.plan({ caps: { price: 1 } }).rerank?.(best, 5, []);
    expect(capped?.map(({ row }) => row)).toEqual([0, 2]);
    const kept = (where: string) => Array.from(shop.plan({ where }).bias ?? [], (value) => value === 0);
    expect(kept('price>100')).toEqual([true, true, false, false, true]);
    expect(kept('price=12.5')).toEqual([false, false, true, true, false]);
    expect(kept('price in ("1.299,00", 7)')).toEqual([true, true, false, false, true]);
  });

  it.each<[PostProcessingOptions, string]>([
    [{ diversity: 1.5 }, 'diversity: expected a number from 0 to 1, got 1.5'],
    [{ popularityPenalty: -1 }, 'popularity penalty: expected a number from 0 to 1000000, got -1'],
    [{ popularityPenalty: Number.NaN }, 'popularity penalty: expected a number from 0 to 1000000, got NaN'],
    [{ caps: { colour: 2 } }, 'cap colour=2: no item has an attribute colour; there is kind, price'],
    [{ caps: { kind: 0 } }, 'cap kind: expected an integer >= 1, got 0'],
    [{ where: 'price<' }, 'condition "price<": expected a value, at character 7'],
  ])('refuses %j', (options, message) => {
    expect(() => after.plan(options)).toThrow(message);
  });

  it('refuses a penalty without counts, and diversity without vectors', () => {
    const old = new PostProcessing(
      items.map(({ count: _, ...item }) => item),
      rows,
      undefined,
    );
    expect(() => old.plan({ popularityPenalty: 1 })).toThrow(/which this model does not hold .*: train it again$/);
    expect(old.plan({ popularityPenalty: 0 }).bias).toBe(null);
    const best = candidatesOf(Uint32Array.of(0, 1), Float32Array.of(4, 3));
    expect(() => old.plan({ diversity: 1 }).rerank?.(best, 2, [])).toThrow('diversity needs item vectors');
  });
});
