import { describe, expect, test } from 'vitest';
import { ColdSplit, drawCold } from '../../data/splits/cold.ts';
import { prepare } from '../../data/dataset.ts';
import { parseProtocol } from '../../data/splits/protocol.ts';
import { readText } from './bytes.ts';

async function dataset(rows: [string, string, number][]) {
  const text = `user,item,time\n${rows.map((row) => row.join(',')).join('\n')}\n`;
  return prepare(await readText(text), { minInteractions: 1 });
}
const protocol = parseProtocol('cold-items');

describe('drawing cold items', () => {
  const itemIds = Array.from({ length: 100 }, (_, i) => `i${i}`);
  const count = (cold: Map<string, string>, kind: string) => [...cold.values()].filter((of) => of === kind).length;

  test('a share for the test, a share of the rest for the validation; the same for any order of the log', () => {
    const cold = drawCold({ itemIds }, protocol, null);
    expect([count(cold, 'test'), count(cold, 'valid')]).toEqual([20, 8]);
    expect(drawCold({ itemIds: [...itemIds].reverse() }, protocol, null)).toEqual(cold);
    expect(drawCold({ itemIds }, parseProtocol('cold-items:seed=2'), null)).not.toEqual(cold);
  });

  test('a file names those of the test', () => {
    const cold = drawCold({ itemIds }, protocol, new Set(['i3', 'i4', 'elsewhere']));
    expect([...cold].filter(([, kind]) => kind === 'test').map(([id]) => id)).toEqual(['i3', 'i4']);
    expect(count(cold, 'valid')).toBe(10);
    expect(() => drawCold({ itemIds }, protocol, new Set(['x']))).toThrow(/none of its items is in the log/);
    expect(() => drawCold({ itemIds }, protocol, new Set(itemIds))).toThrow(/leaves too few to train/);
  });
});

test('a split: cold items train nowhere, and the whole history speaks at the test', async () => {
  const all = await dataset([
    ...(['a', 'T', 'b', 'V', 'c', 'T2'].map((item, i) => ['u', item, i]) as [string, string, number][]),
    ...(['b', 'a', 'c'].map((item, i) => ['w', item, i]) as [string, string, number][]),
    ...([['x', 'T', 0]] as [string, string, number][]),
    ...[['y', 'V', 0] as [string, string, number], ['y', 'T', 1] as [string, string, number]],
  ]);
  const cold = new Map([
    ['T', 'test'],
    ['T2', 'test'],
    ['V', 'valid'],
  ] as const);
  const split = new ColdSplit(all, protocol, cold);
  const names = (rows: Uint32Array) => Array.from(rows, (row) => split.dataset.itemIds[row]);
  const user = (id: string) => split.dataset.userIds.indexOf(id);
  expect(split.dataset.itemIds).toEqual(['a', 'b', 'c', 'V', 'T', 'T2']);
  expect([split.warm, split.candidates('valid'), split.candidates('test')]).toEqual([3, [3, 4], [4, 6]]);
  expect(names(split.history(user('u'), 'train'))).toEqual(['a', 'b', 'c']);
  expect(names(split.targets(user('u'), 'valid'))).toEqual(['V']);
  expect(names(split.targets(user('u'), 'test'))).toEqual(['T', 'T2']);
  expect(names(split.history(user('u'), 'test'))).toEqual(['a', 'b', 'V', 'c']);
  expect([...(split.times(user('u'), 'test') ?? [])]).toEqual([0, 2, 3, 4]);
  expect(split.targets(user('w'), 'test').length).toBe(0);
  // Nothing is known of x; of y only that it met V, which the validation cannot know.
  expect(split.targets(user('x'), 'test').length).toBe(0);
  expect(split.targets(user('y'), 'valid').length).toBe(0);
  expect(names(split.history(user('y'), 'test'))).toEqual(['V']);
  expect(names(split.targets(user('y'), 'test'))).toEqual(['T']);
});
