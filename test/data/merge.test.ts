/** Two logs as one: each event once, late ones in their position, what is new marked. */
import { describe, expect, it } from 'vitest';
import { batches } from '../../data/batching/batches.ts';
import { prepare } from '../../data/dataset.ts';
import type { Log } from '../../data/log.ts';
import { mergeLogs } from '../../data/merge.ts';
import { FINAL } from '../../data/splits/protocol.ts';
import { splitDataset } from '../../data/splits/split.ts';
import { logOf, type TrainingEvent } from '../../train/events.ts';

const events = (text: string): TrainingEvent[] =>
  text.split(' ').map((event) => {
    const [user, item, time] = event.split('/');
    return { user, item, ...(time !== undefined && { time: Number(time) }) };
  });
const log = (text: string, name = 'log'): Log => logOf(events(text), name);

/** Histories in time order, new events in capitals. */
function histories(merged: Log): Record<string, string> {
  const { userIds, itemIds, offsets, items, fresh } = prepare(merged, { minInteractions: 1 });
  return Object.fromEntries(
    userIds.map((id, u) => [
      id,
      Array.from(items.subarray(offsets[u], offsets[u + 1]), (item, i) =>
        fresh?.[offsets[u] + i] ? itemIds[item].toUpperCase() : itemIds[item],
      ).join(''),
    ]),
  );
}

describe('mergeLogs', () => {
  it('counts duplicates once, puts late events in their position and marks what is new', () => {
    const merged = mergeLogs(log('u/a/1 u/b/5 v/a/2'), log('u/b/5 u/c/3 w/d/9 w/d/9 v/a/2 v/a/7'));
    expect(histories(merged)).toEqual({ u: 'aCb', v: 'aA', w: 'D' });
    expect(merged.duplicates).toBe(3);
  });

  it('brings times of another unit into that of the first log', () => {
    const seconds = log('u/a/1700000000 u/b/1700000100');
    const milliseconds = log('u/c/1700000050000 u/b/1700000100000', 'new');
    expect(histories(mergeLogs(seconds, milliseconds))).toEqual({ u: 'aCb' });
  });

  it('appends without times, where nothing tells a duplicate from a repetition', () => {
    expect(histories(mergeLogs(log('u/a u/b'), log('u/b u/c')))).toEqual({ u: 'abBC' });
  });

  it('refuses times in one log alone, and times of two kinds', () => {
    expect(() => mergeLogs(log('u/a/1'), log('u/b', 'new'))).toThrow(/^new: no time column, and log has one/);
    expect(() => mergeLogs(log('u/a/1700000000'), log('u/b/7', 'new'))).toThrow(
      /^new: its times are no times since 1970/,
    );
  });

  it('keeps ratings and columns of both, unknown where one log has none', () => {
    const old = logOf([{ user: 'u', item: 'a', time: 1, rating: 4, context: { device: 'phone' } }], 'log', ['device']);
    const added = logOf([{ user: 'u', item: 'b', time: 2, context: { device: 'desk' } }], 'new', ['device']);
    const { rating, context } = mergeLogs(old, added);
    expect(rating).toEqual(Float64Array.of(4, Number.NaN));
    const [{ values, rows }] = context ?? [];
    expect(Array.from(rows, (row) => values[row])).toEqual(['phone', 'desk']);
  });
});

describe('batches of an update', () => {
  const users = 40;
  const old = Array.from({ length: users }, (_, u) => Array.from({ length: 9 }, (_, t) => `u${u}/i${t}/${t}`)).flat();
  const added = ['u3/i1/20', 'u7/i2/21', 'new/i1/20', 'new/i2/21'];
  const split = splitDataset(
    prepare(mergeLogs(log(old.join(' ')), log(added.join(' '))), { minInteractions: 1 }),
    FINAL,
  );
  const epoch = (replay: number | undefined, n = 0) =>
    Array.from(batches(split, { maxTokens: 512, window: 16, seed: 1, epoch: n, replay }));
  const tokens = (replay: number | undefined, n = 0) => epoch(replay, n).reduce((sum, batch) => sum + batch.tokens, 0);
  const fresh = 9 + 9 + 1;

  it('hold the windows with new events alone without replay, and all of them as a training does', () => {
    expect(tokens(0)).toBe(fresh);
    expect(tokens(undefined)).toBe(fresh + 38 * 8);
    expect(tokens(1e9)).toBe(tokens(undefined));
  });

  it('replay the others alike, as many as asked for on average, and others in each epoch', () => {
    const extra = Array.from({ length: 200 }, (_, n) => tokens(2, n) - fresh);
    const mean = extra.reduce((sum, x) => sum + x, 0) / extra.length;
    expect(mean).toBeGreaterThan(2 * fresh * 0.85);
    expect(mean).toBeLessThan(2 * fresh * 1.15);
    expect(new Set(extra).size).toBeGreaterThan(2);
    expect(tokens(2, 5)).toBe(tokens(2, 5));
  });
});
