import { PassThrough } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { EXIT, InterruptedError, reportError, UsageError } from '../../cli/errors.ts';
import {
  createProgress,
  metricsTable,
  formatBytes,
  formatCount,
  formatDuration,
  lossPlot,
  printable,
  table,
  TimeLeft,
} from '../../cli/output/ui.ts';
import { InputError } from '../../data/errors.ts';

describe('formats', () => {
  test('counts, durations, bytes', () => {
    expect([0, 7.25, 1234567].map(formatCount)).toEqual(['0', '7.3', '1,234,567']);
    expect([0.44, 12, 59.6, 185, 3599.7, 7800, Number.NaN].map(formatDuration)).toEqual([
      '0.4 s',
      '12 s',
      '1 min 00 s',
      '3 min 05 s',
      '1 h 00 min',
      '2 h 10 min',
      '?',
    ]);
    expect([512, 1536, 300 * 2 ** 20].map(formatBytes)).toEqual(['512 B', '1.5 KB', '300 MB']);
  });

  test('titles cannot move the cursor: control characters are visible, long ones are cut', () => {
    expect(printable('a\u001b[2Jb\nc\u0007')).toBe('a\\x1b[2Jb\\nc\\x07');
    const long = printable('x'.repeat(5000));
    expect(long.length).toBeLessThan(250);
    expect(long).toMatch(/^x+… \(4,800 characters left out\) …x+$/);
  });

  test('tables are plain text, numbers to the right', () => {
    const text = table(
      ['item', 'score'],
      [
        ['Tea', '0.5'],
        ['A longer title', '12.25'],
      ],
    );
    expect(text.split('\n')).toEqual(['item            score', 'Tea               0.5', 'A longer title  12.25']);
    expect(metricsTable({ model: { 'NDCG@10': 0.5 } })).toContain('0.5000');
  });

  test('loss plot: averages to the width, leaves out values that are not numbers', () => {
    const losses = Array.from({ length: 500 }, (_, i) => 8 - i / 100);
    losses[3] = Number.NaN;
    const lines = lossPlot(losses, { width: 40, height: 5 }).split('\n');
    expect(lines[0]).toBe('loss over 499 points');
    expect(lines.length).toBe(7);
    expect(lines[1]).toContain('7.9');
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(52);
    expect(lossPlot([1])).toBe('');
    expect(lossPlot([2, 2, 2]).split('\n').length).toBeGreaterThan(1);
  });
});

describe('progress', () => {
  const run = (isTTY: boolean, force: boolean) => {
    const stream = Object.assign(new PassThrough(), { isTTY, columns: 100 });
    const progress = createProgress({ total: 10, force, stream });
    progress.update(5, { phase: 'epoch 1', loss: 7.1234, tokensPerSecond: 12345.6, secondsLeft: 90 });
    progress.note('hello');
    progress.stop();
    progress.update(6);
    return (stream.read() as Buffer | null)?.toString() ?? '';
  };

  test('knows the time left of a phase from its own pace', () => {
    const left = new TimeLeft();
    expect(left.of('reading', 0, 0)).toBeUndefined();
    expect(left.of('reading', 0.1, 1000)).toBeUndefined();
    expect(left.of('reading', 0.2, 4000)).toBe(16);
    expect(left.of('sorting', 0.5, 5000)).toBeUndefined();
    expect(left.of('sorting', 0.75, 9000)).toBe(4);
    // The next pass over the rows.
    expect(left.of('sorting', 0.1, 10_000)).toBeUndefined();
  });

  test('is silent without a terminal, unless forced', () => {
    expect(run(false, false)).toBe('');
    expect(run(false, true)).toContain('50%');
    expect(run(true, false)).toMatch(/epoch 1 \[.*50% · loss 7\.123 · 12,346 tokens\/s · 1 min 30 s left/);
  });
});

describe('errors', () => {
  const print = (error: unknown) => {
    let text = '';
    const code = reportError(error, { stream: { write: (part: string) => (text += part) } });
    return { code, text };
  };

  test.each([
    [
      new InputError('invalid-data', 'a.csv:3: expected 3 fields,\n  got 2'),
      1,
      'attune: a.csv:3: expected 3 fields, got 2\n',
    ],
    [new UsageError('--k needs a number'), 2, 'attune: --k needs a number (see attune --help)\n'],
    [new InterruptedError('saved; go on with --resume'), 130, 'attune: saved; go on with --resume\n'],
    [new Error('device: it was lost'), 3, 'attune: device: it was lost (ATTUNE_DEBUG=1 shows where)\n'],
    [new TypeError('x is undefined'), 3, 'attune: internal error: x is undefined (ATTUNE_DEBUG=1 shows where)\n'],
    [
      Object.assign(new Error('ENOENT'), { code: 'ENOENT', path: 'x.csv' }),
      1,
      'attune: x.csv: no such file or folder\n',
    ],
    [Object.assign(new Error('help'), { code: 'commander.helpDisplayed', exitCode: 0 }), 0, ''],
    [Object.assign(new Error('bad'), { code: 'commander.unknownOption', exitCode: 1 }), 2, ''],
    ['text', 3, 'attune: internal error: text (ATTUNE_DEBUG=1 shows where)\n'],
  ])('%s', (error, code, text) => {
    expect(print(error)).toEqual({ code, text });
  });

  test('exit codes are the documented ones', () => {
    expect(EXIT).toEqual({ ok: 0, input: 1, usage: 2, failure: 3, interrupted: 130 });
  });
});
