import { describe, expect, test } from 'vitest';
import { InputError } from '../../data/errors.ts';
import {
  drawSettings,
  type Halving,
  openJobs,
  parseRange,
  type Ranges,
  rangesFor,
  standings,
  type Trial,
} from '../../train/search/search.ts';

const ranges: Ranges = { x: { low: 0, high: 1, log: false, whole: false } };
const halving: Halving = { trials: 9, epochs: 2, eta: 3 };
const draw = (id: number) => drawSettings(ranges, 5, id, () => {});
/** What one process trains next. */
const nextJob = (trials: readonly Trial[]) => openJobs(trials, halving, draw)[0];
/** Best near 0.7, and longer training helps a little. */
const objective = ({ set }: Trial, epochs: number) => 1 - Math.abs(Number(set.x ?? 0) - 0.7) + epochs / 1000;

/** Runs so many jobs; `after` sees the state as it would be saved. */
function run(jobs: number, after: (trials: Trial[]) => Trial[] = (trials) => trials, score = objective) {
  let trials: Trial[] = [];
  const log: string[] = [];
  for (let i = 0; i < jobs; i++) {
    const { trial, epochs } = nextJob(trials);
    log.push(`${trial.id}@${epochs}`);
    if (!trials.some(({ id }) => id === trial.id)) trials.push(trial);
    trials[trial.id].outcomes.push({ epochs, ndcg: score(trials[trial.id], epochs) });
    trials = after(trials);
  }
  return { trials, log };
}

describe('successive halving', () => {
  test('nine trials, then the best three, then the best one; then another nine', () => {
    const { trials, log } = run(14);
    expect(log.slice(0, 9)).toEqual(Array.from({ length: 9 }, (_, id) => `${id}@2`));
    const order = trials
      .slice(0, 9)
      .toSorted((a, b) => objective(b, 0) - objective(a, 0))
      .map(({ id }) => id);
    expect(log.slice(9, 12).sort()).toEqual(
      order
        .slice(0, 3)
        .map((id) => `${id}@6`)
        .sort(),
    ); // prettier-ignore
    expect(log[12]).toBe(`${order[0]}@18`);
    expect(log[13]).toBe('9@2');
    expect(trials[9].bracket).toBe(1);
    expect(standings(trials)[0]).toMatchObject({ trial: { id: order[0] }, epochs: 18 });
  });

  test('whole rungs at once lead to the same trials and metrics, in whatever order they end', () => {
    let trials: Trial[] = [];
    for (let round = 0; round < 9; round++) {
      const jobs = openJobs(trials, halving, draw);
      expect(jobs).toHaveLength([9, 3, 1][round % 3]);
      for (const { trial } of jobs) if (trial.id === trials.length) trials = [...trials, trial];
      for (const { trial, epochs } of jobs.toReversed())
        trials[trial.id].outcomes.push({ epochs, ndcg: objective(trials[trial.id], epochs) });
    }
    expect(trials).toEqual(run(39).trials);
  });

  test('finds what is good, and begins with the recipe as it is', () => {
    const { trials } = run(39);
    expect(trials[0].set).toEqual({});
    expect(Math.abs(Number(standings(trials)[0].trial.set.x) - 0.7)).toBeLessThan(0.1);
  });

  test('goes on from a saved state as if it had not been stopped', () => {
    const saved = (trials: Trial[]): Trial[] => JSON.parse(JSON.stringify(trials));
    expect(run(30, saved)).toEqual(run(30));
    // Killed between beginning a trial and measuring it.
    const { trials } = run(4);
    const job = nextJob(trials);
    expect(nextJob([...trials, job.trial])).toEqual(job);
  });

  test('failed trainings go no further, and a bracket of nothing else ends', () => {
    let trials: Trial[] = [];
    for (let i = 0; i < 9; i++) {
      const { trial } = nextJob(trials);
      trials = [
        ...trials,
        i < 7 ? { ...trial, failure: 'not finite' } : { ...trial, outcomes: [{ epochs: 2, ndcg: i }] },
      ];
    }
    expect(nextJob(trials)).toMatchObject({ trial: { id: 8 }, epochs: 6 });
    const failed = trials.map((trial) => ({ ...trial, outcomes: [], failure: 'x' }));
    expect(nextJob(failed).trial).toMatchObject({ id: 9, bracket: 1 });
    expect(standings(failed)).toEqual([]);
  });
});

describe('settings', () => {
  test('are drawn from their ranges, by seed and number alone', () => {
    const all: Ranges = {
      rate: { low: 1e-4, high: 1e-2, log: true, whole: false },
      d: { values: [32, 64] },
      blocks: { low: 1, high: 3, log: false, whole: true },
    };
    const drawn = Array.from({ length: 200 }, (_, id) => drawSettings(all, 1, id, () => {}));
    for (const { rate, d, blocks } of drawn) {
      expect(Number(rate)).toBeGreaterThanOrEqual(1e-4);
      expect(Number(rate)).toBeLessThanOrEqual(1e-2);
      expect(['32', '64']).toContain(d);
      expect(['1', '2', '3']).toContain(blocks);
    }
    const below = drawn.filter(({ rate }) => Number(rate) < 1e-3).length;
    expect(below).toBeGreaterThan(70);
    expect(below).toBeLessThan(130);
    expect(drawSettings(all, 1, 7, () => {})).toEqual(drawn[7]);
    expect(drawSettings(all, 2, 7, () => {})).not.toEqual(drawn[7]);
  });

  test('that make no model are drawn again; where none does, the reason is given', () => {
    const heads: Ranges = { heads: { values: [1, 2, 3] } };
    const refuse = (wrong: string) => (set: Record<string, string>) => {
      if (set.heads !== wrong) throw new InputError('invalid-value', `heads=${set.heads}`);
    };
    expect(drawSettings(heads, 1, 1, refuse('3'))).toEqual({ heads: '3' });
    expect(() => drawSettings(heads, 1, 1, refuse('none'))).toThrow(/^heads=/);
  });

  test('ranges follow the recipe, less what is fixed, and the user', () => {
    const settings = { d: 64, dropout: 0.2, window: 200 };
    expect(Object.keys(rangesFor(settings, ['window']))).toEqual(['dropout', 'd']);
    const own = Object.fromEntries([parseRange('d=8,16')]);
    expect(rangesFor(settings, [], own).d).toEqual({ values: [8, 16] });
  });

  test.each([
    ['rate=0.0001..0.01', { low: 0.0001, high: 0.01, log: true, whole: false }],
    ['blocks=1..4', { low: 1, high: 4, log: false, whole: true }],
    ['dropout=0..0.5', { low: 0, high: 0.5, log: false, whole: false }],
    ['activation=gelu,relu', { values: ['gelu', 'relu'] }],
  ])('%s', (text, range) => {
    expect(parseRange(text)).toEqual([text.split('=')[0], range]);
  });

  test.each(['d', '=1', 'd=', 'd=1,,2', 'd=2..1', 'd=..3', 'd=1..x'])('--range %s is refused', (text) => {
    expect(() => parseRange(text)).toThrow(`\`range: ${text}\`: expected key=low..high`);
  });
});
