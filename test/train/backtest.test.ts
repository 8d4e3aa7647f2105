/** Backtests: periods and questions follow from the log alone, and on a log with drift an update beats standing still. */
import { describe, expect, it } from 'vitest';
import { seeded } from '../../data/random.ts';
import { backtest } from '../../train/backtest/backtest.ts';
import { periodsOf } from '../../train/backtest/periods.ts';
import { logOf, type TrainingEvent } from '../../train/events.ts';
import { letterPlot } from '../../cli/output/letter-plot.ts';
import { openDevice } from '../device.ts';
import { set } from '../set.ts';

const device = await openDevice({ backend: 'cpu' });
const DAY = 86_400;
const START = 1_700_000_000;
const at = (day: number): number => START + day * DAY;

describe('periodsOf', () => {
  const events: TrainingEvent[] = [
    ...['a', 'b', 'c', 'd', 'e', 'f'].map((item, t) => ({ user: 'u', item, time: at(t) })),
    // In the judged period: an item that u had, one twice, and a user of whom nothing was known.
    { user: 'u', item: 'a', time: at(7) },
    { user: 'u', item: 'g', time: at(7.1) },
    { user: 'u', item: 'g', time: at(7.2) },
    { user: 'new', item: 'a', time: at(7) },
    { user: 'new', item: 'b', time: at(7.5) },
    { user: 'u', item: 'h', time: at(8) },
  ];
  const log = logOf(events, 'log');
  const options = { every: 3 * DAY, start: 0.34, targets: 5, users: 10, seed: 1 };
  const asked = (more = {}) =>
    periodsOf(log, { ...options, ...more }).map(({ from, to, before, questions }) => ({
      days: [(from - START) / DAY, (to - START) / DAY],
      before: before.length,
      questions: questions.map(({ user, target, history, warm }) => {
        const names = (rows: Iterable<number>) => Array.from(rows, (row) => log.itemIds[log.item[row]]).join('');
        return `${log.userIds[user]} ${names(history)}>${names([target])} ${warm ? 'warm' : 'cold'}`;
      }),
    }));

  it('asks for the first items of a period that are new to a user, after all that came before', () => {
    expect(asked()).toEqual([
      { days: [7, 10], before: 6, questions: ['u abcdefa>g warm', 'u abcdefagg>h warm', 'new a>b cold'] },
    ]);
    expect(asked({ targets: 1 })[0].questions).toEqual(['u abcdefa>g warm', 'new a>b cold']);
    expect(asked({ includeSeen: true })[0].questions).toEqual([
      ...['u abcdef>a warm', 'u abcdefa>g warm', 'u abcdefag>g warm', 'u abcdefagg>h warm', 'new a>b cold'],
    ]);
  });

  it('refuses logs without days', () => {
    expect(() =>
      periodsOf(
        logOf(
          events.map(({ user, item }) => ({ user, item })),
          'log',
        ),
        options,
      ),
    ).toThrow(/^log: no time column/);
    expect(() =>
      periodsOf(
        logOf(
          events.map((e, time) => ({ ...e, time })),
          'log',
        ),
        options,
      ),
    ).toThrow(/no times since/);
    expect(() => periodsOf(log, { ...options, every: 30 * DAY })).toThrow(/span less than two periods/);
  });
});

/** Shoppers who come and go; what follows an item turns round half-way, and new items appear then. */
function drifting(): TrainingEvent[] {
  const random = seeded(7, 0);
  const old = Array.from({ length: 20 }, (_, i) => `i${i}`);
  const late = [...old, ...Array.from({ length: 6 }, (_, i) => `new${i}`)];
  return Array.from({ length: 160 }, (_, u) => {
    const first = 1 + random.below(80);
    let place = random.below(20);
    return Array.from({ length: 14 }, (_, t) => {
      const day = first + t;
      const turned = day > 45;
      const ring = turned ? late : old;
      place = random.chance(0.9) ? (place + (turned ? ring.length - 1 : 1)) % ring.length : random.below(ring.length);
      return { user: `u${u}`, item: ring[place], time: at(day) + u };
    });
  }).flat();
}

describe('backtest', () => {
  const source = { log: logOf(drifting(), 'log'), name: 'log' };
  const settings = set('d=16 ff=32 blocks=1 window=12 budget=256 learningRate=0.01 dropout=0.1 memory=on ema=0');
  const training = { recipe: 'sasrec', settings: { ...settings }, minInteractions: 1, includeSeen: true, epochs: 8 };
  const common = { device, every: 12 * DAY, start: 0.4, targets: 3, training };

  it('finds that an update beats the first model where tastes turn, in a tenth of the tokens', async () => {
    const lines: string[] = [];
    const { periods, strategies, tests, first } = await backtest(source, {
      ...common,
      strategies: ['static', 'append', 'update'],
      log: (line) => lines.push(line),
    });
    expect(periods.length).toBeGreaterThanOrEqual(3);
    expect(lines).toHaveLength(periods.length + 1);
    expect(first).toBeGreaterThan(0);
    const { static: still, append, update } = strategies;
    expect([still?.tokens, append?.tokens, still?.trainings, update?.trainings]).toEqual([0, 0, 0, periods.length]);
    expect(update?.all?.['NDCG@10']).toBeGreaterThan((still?.all?.['NDCG@10'] ?? 1) + 0.1);
    for (const { b, mean, error, p } of tests) {
      expect(b).toBe('update');
      expect(mean).toBeGreaterThan(2 * error);
      expect(p).toBeLessThan(0.01);
    }
    // New items are targets that the first model cannot name.
    expect(append?.unknown).toBeGreaterThan(update?.unknown ?? 0);
    expect(update?.warm?.users).toBe(still?.warm?.users);
    expect(update?.cold?.users).toBeGreaterThan(0);
  }, 120_000);

  it('gives the same answers from the same seed, and refuses a time in which nothing can be learned', async () => {
    const short = {
      ...common,
      every: 20 * DAY,
      training: { ...training, epochs: 1 },
      strategies: ['retrain'] as const,
    };
    const [a, b] = [await backtest(source, short), await backtest(source, short)];
    expect(a.strategies.retrain?.all).toEqual(b.strategies.retrain?.all);
    await expect(backtest(source, { ...short, strategies: ['update', 'retrain'], maxMinutes: 0.1 })).rejects.toThrow(
      /`maxMinutes: 0.1`: \d periods leave 0\.\d s to an update; give 2 or more/,
    );
  }, 120_000);
});

describe('letterPlot', () => {
  it('draws each series by its letter, and a star where they meet', () => {
    const plot = letterPlot({ update: [0.1, 0.3, null], append: [0.1, 0.2, 0.2] }, ['2024-01-01', '2024-01-08', 'now']);
    const lines = plot.split('\n');
    expect(lines).toHaveLength(12);
    expect(lines[0]).toBe('0.3000 ┤     u');
    expect(lines[9]).toBe('0.1000 ┤ *');
    expect(lines[11]).toContain('u update, a append');
    expect(letterPlot({ update: [0.1] }, ['now'])).toBe('');
  });
});
