import fc from 'fast-check';
import { expect, it } from 'vitest';
import { groupRows, rowGroupLayout } from '../engine/index.ts';
import { NO_SLOT } from '../engine/rows.ts';

/** Row → positions, read back from the packed arrays the way the kernels do. */
function unpack(g: ReturnType<typeof groupRows>): Map<number, number[]> {
  const rows = new Map<number, number[]>();
  const bySlot = new Map<number, number[]>();
  for (let s = 0; s < g.counts[0]; s++) {
    const [row, begin, end, slot] = g.segments.subarray(4 * s, 4 * s + 4);
    expect(end - begin).toBeGreaterThan(0);
    expect(end - begin).toBeLessThanOrEqual(64);
    const list = [...g.positions.subarray(begin, end)];
    if (slot === NO_SLOT) {
      expect(rows.has(row)).toBe(false);
      rows.set(row, list);
    } else {
      expect(slot).toBeLessThan(g.layout.maxSlots);
      expect(bySlot.has(slot)).toBe(false);
      bySlot.set(slot, list);
    }
  }
  for (let s = 0; s < g.counts[1]; s++) {
    const [row, first, last] = g.splits.subarray(4 * s, 4 * s + 3);
    expect(rows.has(row)).toBe(false);
    rows.set(row, []);
    for (let slot = first; slot < last; slot++) rows.get(row)?.push(...(bySlot.get(slot) as number[]));
  }
  expect(bySlot.size).toBe(g.counts[2]);
  return rows;
}

it('every used position is in its row once, in order, within the capacities', () => {
  const ids = fc.oneof(
    fc.array(fc.nat(5), { maxLength: 400 }),
    fc.array(fc.nat(300), { maxLength: 400 }),
    // Rows of exactly 65 positions need the most slots.
    fc.integer({ min: 1, max: 8 }).map((rows) => Array.from({ length: 65 * rows }, (_, i) => i % rows)),
    fc.array(fc.constantFrom(0, 0xffffffff), { maxLength: 200 }),
  );
  fc.assert(
    fc.property(ids, fc.nat(10), fc.nat(5), (list, spare, tail) => {
      const used = Math.max(0, list.length - tail);
      const expected = new Map<number, number[]>();
      for (let i = 0; i < used; i++) expected.set(list[i], [...(expected.get(list[i]) ?? []), i]);
      const g = groupRows(Uint32Array.from(list), used, list.length + spare);
      expect(unpack(g)).toEqual(new Map([...expected].sort((a, b) => a[0] - b[0])));
    }),
  );
});

it('an array of an earlier batch is overwritten', () => {
  const layout = rowGroupLayout(100);
  const out = new Uint32Array(layout.words).fill(77);
  const g = groupRows(new Uint32Array(100), 3, 100, out);
  expect(g.data).toBe(out);
  expect(unpack(g)).toEqual(new Map([[0, [0, 1, 2]]]));
  expect([layout.segments, layout.splits, layout.positions].every((at) => at % 64 === 0)).toBe(true);
});

it('wrong sizes are named', () => {
  expect(() => groupRows(new Uint32Array(4), 5, 10)).toThrow('expected at most 4 positions, got 5');
  expect(() => groupRows(new Uint32Array(4), 4, 4, new Uint32Array(7))).toThrow(/words, got 7/);
  expect(() => rowGroupLayout(-1)).toThrow('budget');
});
