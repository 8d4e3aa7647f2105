import { describe, expect, it } from 'vitest';
import { BatchQueue, type BatchReport } from '../../recommend/batch-queue.ts';
import { SerialQueue } from '../../recommend/serial-queue.ts';

describe('queries that wait together', () => {
  it('run in one batch, of bounded size, while other work waits its turn', async () => {
    const serial = new SerialQueue();
    const reports: BatchReport[] = [];
    const batches: number[][] = [];
    let release = (): void => {};
    const held = new Promise<void>((resolve) => (release = resolve));
    const busy = serial.run(() => held);
    const queue = new BatchQueue<number, number>(
      serial,
      3,
      async (queries) => {
        batches.push(queries);
        return queries.map((n) => (n === 4 ? { error: new Error('four') } : { answer: 10 * n }));
      },
      (report) => reports.push(report),
    );
    const answers = [1, 2, 3, 4, 5].map((n) => queue.add(n));
    const after = serial.run(async () => batches.length);
    expect(batches).toEqual([]);
    release();
    await busy;
    // A query's own fault fails no other.
    await expect(answers[3]).rejects.toThrow('four');
    expect(await Promise.all(answers.filter((_, i) => i !== 3))).toEqual([10, 20, 30, 50]);
    expect(batches).toEqual([
      [1, 2, 3],
      [4, 5],
    ]);
    expect(await after).toBe(1);
    expect(reports.map(({ queries }) => queries)).toEqual([3, 2]);
    for (const { queries, waitedMs } of reports) expect(waitedMs).toHaveLength(queries);
  });

  it('all fail where the batch fails, and the next runs', async () => {
    let failing = true;
    const queue = new BatchQueue<number, number>(new SerialQueue(), 8, async (queries) => {
      if (failing) throw new Error('lost');
      return queries.map((answer) => ({ answer }));
    });
    const first = [queue.add(1), queue.add(2)];
    for (const answer of first) await expect(answer).rejects.toThrow('lost');
    failing = false;
    expect(await queue.add(3)).toBe(3);
  });
});
