import { describe, expect, it } from 'vitest';
import { rerank } from '../../recommend/reranking/rerank.ts';

const list = [
  { row: 0, score: 5 },
  { row: 1, score: 4.9 },
  { row: 2, score: 3 },
  { row: 3, score: 1 },
];
const vectors = [
  [1, 0],
  [1, 0],
  [0, 1],
  [-1, 0],
].map((v) => Float32Array.from(v));
const vectorOf = (row: number) => vectors[row];
const rows = (options: Parameters<typeof rerank>[1]) => rerank(list, options).map(({ row }) => row);

describe('after the score', () => {
  it('keeps the order without options', () => expect(rows({ k: 3 })).toEqual([0, 1, 2]));

  it('diversity passes over what is alike: MMR by hand', () => {
    // relevance 1, .975, .5, 0; after row 0: .4·.975 − .6·1 = −.21, .4·.5 − 0 = .2, 0 + .6 = .6
    expect(rows({ k: 4, diversity: 0.6, vectorOf })).toEqual([0, 3, 2, 1]);
    // .8·.975 − .2 = .58, .8·.5 = .4, .2
    expect(rows({ k: 2, diversity: 0.2, vectorOf })).toEqual([0, 1]);
  });

  it('caps count every value of an item', () => {
    const values = [['a'], ['a', 'b'], ['a'], ['b']];
    const cap = (most: number) => ({ most, valuesOf: (row: number) => values[row] });
    expect(rows({ k: 4, caps: [cap(1)] })).toEqual([0, 3]);
    expect(rows({ k: 4, caps: [cap(2)] })).toEqual([0, 1, 3]);
    expect(rows({ k: 4, caps: [cap(0)] })).toEqual([]);
  });

  it('copes with an empty list and equal scores', () => {
    expect(rerank([], { k: 5, diversity: 1, vectorOf })).toEqual([]);
    const equal = list.map(({ row }) => ({ row, score: 2 }));
    expect(rerank(equal, { k: 2 }).map(({ row }) => row)).toEqual([0, 1]);
  });

  it('refuses a diversity that is none', () => {
    expect(() => rerank(list, { k: 1, diversity: 2, vectorOf })).toThrow('expected a diversity from 0 to 1, got 2');
    expect(() => rerank(list, { k: 1, diversity: 0.5 })).toThrow('needs the vectors');
  });
});
