import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Dataset, prepare } from '../../data/dataset.ts';
import { describeTask, parseProtocol, protocolFlag, sameProtocol, storedProtocol } from '../../data/splits/protocol.ts';
import { type Split, splitDataset } from '../../data/splits/split.ts';
import { requiredHistory, requireUnseen } from '../../data/splits/checks.ts';
import { sampleNegatives } from '../../train/evaluation/candidates.ts';
import { datasetOf, logOf } from './bytes.ts';

/** Histories of events at times: `3@10 5@20`. */
function dated(histories: readonly string[]): Dataset {
  const events = histories.map((history) => history.split(' ').map((event) => event.split('@')));
  const log = logOf(events.map((history) => history.map(([item]) => item)));
  log.time = Float64Array.from(events.flat(), ([, time]) => Number(time));
  return prepare(log, { minInteractions: 1 });
}

const ids = (split: Split, rows: Uint32Array) => Array.from(rows, (row) => Number(split.dataset.itemIds[row]));
/** What trains, and what is predicted from what, of user u. */
const view = (split: Split, u: number) => ({
  train: ids(split, split.history(u, 'train')),
  valid: [ids(split, split.history(u, 'valid')), ids(split, split.targets(u, 'valid'))],
  test: [ids(split, split.history(u, 'test')), ids(split, split.targets(u, 'test'))],
});

describe('names', () => {
  test('with defaults, with parameters, and back', () => {
    expect(parseProtocol('leave-one-out')).toEqual({ name: 'leave-one-out', parameters: {} });
    expect(parseProtocol('temporal').parameters).toEqual({ valid: 0.1, test: 0.1, targets: 'first' });
    const all = parseProtocol('temporal:test=0.3,targets=all');
    expect(all.parameters).toEqual({ valid: 0.1, test: 0.3, targets: 'all' });
    expect(protocolFlag(all)).toBe('temporal:test=0.3,targets=all');
    for (const text of ['ratio', 'ratio:test=0.1', 'sampled-100:seed=7', 'temporal:validFrom=5,testFrom=9']) {
      expect(protocolFlag(parseProtocol(text))).toBe(text);
      const { name, parameters } = parseProtocol(text);
      expect(sameProtocol(storedProtocol(name, JSON.parse(JSON.stringify(parameters)), 'm'), parseProtocol(text))).toBe(
        true,
      );
    }
    expect(sameProtocol(parseProtocol('ratio'), parseProtocol('ratio:test=0.1'))).toBe(false);
    expect(sameProtocol(parseProtocol('sampled-100'), parseProtocol('leave-one-out'))).toBe(false);
  });

  test.each([
    ['random', 'unknown protocol; there is leave-one-out, temporal, ratio, last-n, sampled-100'],
    ['__proto__', 'unknown'],
    ['ratio:', 'expected ratio:key=value'],
    ['ratio:tests=0.1', 'ratio has no parameter tests; there is valid, test'],
    ['leave-one-out:k=1', 'leave-one-out has no parameter k; there is none'],
    ['ratio:test=1', 'test=1: expected a share between 0 and 1'],
    ['ratio:test=', 'test=: expected a share'],
    ['ratio:test=0.6,valid=0.4', 'leave nothing to train on'],
    ['temporal:targets=last', 'targets=last: expected first or all'],
    ['temporal:testFrom=5', 'validFrom requires testFrom'],
    ['temporal:validFrom=9,testFrom=5', 'validFrom=9 is later than testFrom=5'],
    ['sampled-100:seed=x', 'seed=x: expected an integer >= 0'],
  ])('%s is refused', (text, message) => {
    expect(() => parseProtocol(text)).toThrow(message);
  });

  test('describe what is predicted', () => {
    expect(describeTask(parseProtocol('leave-one-out'), 'valid', 1234)).toBe(
      "each user's last but one interaction among all 1,234 items",
    );
    expect(describeTask(parseProtocol('sampled-100'), 'test', 1234)).toBe(
      "each user's last interaction among 100 sampled items",
    );
    expect(describeTask(parseProtocol('ratio'), 'test', 9)).toBe(
      "the last 20 % of each user's interactions among all 9 items",
    );
    expect(describeTask(parseProtocol('temporal:validFrom=1e9,testFrom=1.1e9'), 'test', 9)).toBe(
      "each user's first interaction from 2004-11-09 11:33 UTC on among all 9 items",
    );
  });
});

describe('ratio', () => {
  const history = (n: number) => Array.from({ length: n }, (_, i) => i);
  const split = splitDataset(datasetOf([history(10), history(3), history(2), history(20)]), parseProtocol('ratio'));

  test('cuts each history by its length', () => {
    expect(view(split, 0)).toEqual({
      train: history(7),
      valid: [history(7), [7]],
      test: [history(8), [8, 9]],
    });
    expect(view(split, 1)).toEqual({ train: [0], valid: [[0], [1]], test: [[0, 1], [2]] });
    expect(view(split, 2)).toEqual({ train: [0, 1], valid: [[0, 1], []], test: [[0, 1], []] });
    expect(view(split, 3).valid[1]).toEqual([14, 15]);
    expect(view(split, 3).test[1]).toEqual([16, 17, 18, 19]);
    expect(split.manyTargets).toBe(true);
  });

  test('always leaves something to train on', () => {
    fc.assert(
      fc.property(fc.integer({ min: 3, max: 40 }), fc.double({ min: 0.01, max: 0.98, noNaN: true }), (n, share) => {
        const dataset = datasetOf([history(n)]);
        const one = splitDataset(
          dataset,
          parseProtocol(`ratio:test=${share},valid=${Math.min(0.01, (1 - share) / 2)}`),
        );
        expect(one.trainLength(0)).toBeGreaterThanOrEqual(1);
        expect(one.targets(0, 'valid').length).toBeGreaterThanOrEqual(1);
        expect(one.targets(0, 'test').length).toBeGreaterThanOrEqual(1);
        expect(one.trainLength(0) + one.targets(0, 'valid').length + one.targets(0, 'test').length).toBe(n);
      }),
    );
  });
});

describe('last-n', () => {
  const history = (n: number) => Array.from({ length: n }, (_, i) => i);
  const dataset = datasetOf([history(9), history(8), history(7), history(2)]);
  const split = splitDataset(dataset, parseProtocol('last-n:n=3'));

  test('keeps the last n and the n before them; short histories only train', () => {
    expect(view(split, 0)).toEqual({
      train: [0, 1, 2],
      valid: [
        [0, 1, 2],
        [3, 4, 5],
      ],
      test: [history(6), [6, 7, 8]],
    });
    expect(view(split, 1).train).toEqual([0, 1]);
    expect(view(split, 2)).toEqual({ train: history(7), valid: [history(7), []], test: [history(7), []] });
    expect(split.manyTargets).toBe(true);
  });

  test('describes its targets', () => {
    expect(describeTask(parseProtocol('last-n:n=3'), 'test', 9)).toBe(
      "the last 3 of each user's interactions among all 9 items",
    );
    expect(requiredHistory(parseProtocol('last-n:n=3'))).toBe('8 interactions');
    for (const n of ['0', '1.5', '129', 'x'])
      expect(() => parseProtocol(`last-n:n=${n}`)).toThrow(`n=${n}: expected a`);
  });
});

describe('temporal', () => {
  // Ten events: validation begins at the time of the ninth (80), test at that of the tenth (90).
  const dataset = dated(['0@10 1@20 2@80 3@95', '4@30 5@40 6@50 7@90 8@96', '9@85 10@97 11@98', '12@99']);
  const at = (text: string) => splitDataset(dataset, parseProtocol(text));

  test('the same moments for everybody, nothing of the future before them', () => {
    const split = at('temporal:validFrom=80,testFrom=90');
    expect(view(split, 0)).toEqual({ train: [0, 1], valid: [[0, 1], [2]], test: [[0, 1, 2], [3]] });
    // No event in between: no validation target; an event at the cut comes after it.
    expect(view(split, 1)).toEqual({ train: [4, 5, 6], valid: [[4, 5, 6, 7, 8], []], test: [[4, 5, 6], [7]] });
    // Cold: the only event before the test is its history.
    expect(view(split, 2)).toEqual({ train: [], valid: [[9, 10, 11], []], test: [[9], [10]] });
    // A single event has nothing to be predicted from.
    expect(view(split, 3)).toEqual({ train: [], valid: [[12], []], test: [[12], []] });
  });

  test('targets=all asks for the whole part at once', () => {
    const split = at('temporal:validFrom=80,testFrom=90,targets=all');
    expect(view(split, 1).test).toEqual([
      [4, 5, 6],
      [7, 8],
    ]);
    expect(view(split, 2).test).toEqual([[9], [10, 11]]);
    expect(at('temporal:validFrom=90,testFrom=99,targets=all').targets(2, 'valid')).toHaveLength(2);
    expect(split.manyTargets).toBe(true);
  });

  test('a cold user without anything before the cut is known by the first event after it', () => {
    expect(view(at('temporal:validFrom=60,testFrom=82'), 2).test).toEqual([[9], [10]]);
    expect(view(at('temporal:validFrom=82,testFrom=99'), 2).valid).toEqual([[9], [10]]);
  });

  test('cuts are quantiles of time, stored with the protocol, and hold on a longer log', () => {
    const events = Array.from({ length: 100 }, (_, i) => `${i % 7}@${1000 + i}`);
    const split = splitDataset(
      dated([events.slice(0, 50).join(' '), events.slice(50).join(' ')]),
      parseProtocol('temporal'),
    );
    expect(split.protocol.parameters).toMatchObject({ validFrom: 1080, testFrom: 1090 });
    const longer = dated([[...events.slice(0, 50), '1@1200 2@1300'].join(' '), events.slice(50).join(' ')]);
    expect(splitDataset(longer, split.protocol).protocol).toEqual(split.protocol);
    expect(splitDataset(longer, split.protocol).trainLength(1)).toBe(30);
  });

  test('nothing that trains is as late as any target', () => {
    const history = fc.array(fc.tuple(fc.nat(9), fc.nat(40)), { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(
        fc.array(history, { minLength: 2, maxLength: 8 }),
        fc.constantFrom('first', 'all'),
        (made, targets) => {
          const own = dated(made.map((history) => history.map((event) => event.join('@')).join(' ')));
          const split = splitDataset(own, parseProtocol(`temporal:validFrom=20,testFrom=30,targets=${targets}`));
          const times = own.clock as Float64Array;
          for (let u = 0; u < split.users; u++) {
            const from = own.offsets[u];
            for (let i = 0; i < split.trainLength(u); i++) expect(times[from + i]).toBeLessThan(20);
            for (const [part, begin, end] of [
              ['valid', 20, 30],
              ['test', 30, 99],
            ] as const) {
              const [first, last] = split.targetRange(u, part);
              for (let i = first; i < last; i++) {
                expect(times[from + i]).toBeGreaterThanOrEqual(begin);
                expect(times[from + i]).toBeLessThan(end);
              }
              if (last > first) expect(split.history(u, part).length).toBe(first);
              if (last > first) expect(first).toBeGreaterThanOrEqual(1);
            }
          }
        },
      ),
    );
  });

  test('unknown times train', () => {
    const split = splitDataset(
      dated(['0@NaN 1@10 2@90', '3@95 4@96 0@97']),
      parseProtocol('temporal:validFrom=50,testFrom=80'),
    );
    expect(view(split, 0).train).toEqual([0, 1]);
  });

  test('needs a clock that all share, and times to cut at', () => {
    const plain = datasetOf(['1 2 3', '2 3 4']);
    const refused = (dataset: Dataset) => () => splitDataset(dataset, parseProtocol('temporal'), 'log.csv');
    expect(refused(plain)).toThrow(
      /^`protocol: temporal`: log\.csv: no time column, .*; name it with `columns\.time: NAME`/,
    );
    const counted = dated(['1@0 2@1 3@2', '2@0 3@1', '1@1 3@2 2@3']);
    expect(refused(counted)).toThrow("the time column counts each user's own interactions");
    const flat = dated(['1@5 2@5', '2@5 3@5']);
    expect(refused(flat)).toThrow('there are no two times to cut at');
  });
});

describe('sampled-100', () => {
  const many = datasetOf([Array.from({ length: 600 }, (_, i) => i), [0, 1, 2, 3], [5, 4, 3]]);
  const few = datasetOf([Array.from({ length: 130 }, (_, i) => i), [0, 1, 2, 3]]);

  test.each([
    ['a large catalog', many, 100],
    ['a small one', few, 100],
  ])('draws 100 distinct items that the user never had, from %s', (_, dataset, count) => {
    const split = splitDataset(dataset, parseProtocol('sampled-100'));
    const drawn = sampleNegatives(split, 'test', 1);
    expect(new Set(drawn).size).toBe(count);
    const own = new Set(dataset.items.subarray(dataset.offsets[1], dataset.offsets[2]));
    for (const item of drawn) expect(own.has(item)).toBe(false);
    expect([...drawn]).toEqual([...sampleNegatives(split, 'test', 1)]);
    expect([...drawn]).not.toEqual([...sampleNegatives(split, 'valid', 1)]);
    expect([...drawn]).not.toEqual([
      ...sampleNegatives(splitDataset(dataset, parseProtocol('sampled-100:seed=2')), 'test', 1),
    ]);
  });

  test('takes all items if there are fewer', () => {
    const tiny = splitDataset(datasetOf(['0 1 2 3 4 5', '0 1 2']), parseProtocol('sampled-100'));
    expect([...sampleNegatives(tiny, 'test', 1)].sort()).toEqual([3, 4, 5]);
    expect([...sampleNegatives(tiny, 'test', 0)]).toEqual([]);
  });
});

describe('a model is judged by nothing that it was trained on', () => {
  const dataset = dated(['0@10 1@20 2@30 3@40 4@50', '1@60 2@70 3@80 0@90 4@99']);
  const under = (text: string) => splitDataset(dataset, parseProtocol(text));
  const judge =
    (trained: string, evaluated: string, part: 'valid' | 'test' = 'test') =>
    () =>
      requireUnseen(under(trained), under(evaluated), part, 'm');

  test('leave-one-out leaks into a cut in time and into longer test parts', () => {
    expect(judge('leave-one-out', 'temporal:validFrom=65,testFrom=75')).toThrow(
      /^m: trained under leave-one-out, and its training or validation part holds 1 of the 1 test targets of temporal; evaluate it with `protocol: leave-one-out`, or train one with `protocol: temporal`$/,
    );
    expect(judge('leave-one-out', 'ratio:test=0.4')).toThrow('holds 2 of the 4 test targets of ratio');
    // No target is known, but what happened after the cut was learned from.
    expect(judge('ratio:test=0.2,valid=0.2', 'temporal:validFrom=62,testFrom=85')).toThrow('of temporal');
  });

  test('the same training part under another name, or a shorter one, does not', () => {
    expect(judge('leave-one-out', 'sampled-100')).not.toThrow();
    expect(judge('sampled-100', 'leave-one-out', 'valid')).not.toThrow();
    expect(judge('ratio', 'leave-one-out')).not.toThrow();
    expect(judge('temporal:validFrom=5,testFrom=9', 'leave-one-out')).not.toThrow();
  });

  test('validation targets are known to the test, not to validation', () => {
    expect(judge('ratio:test=0.2,valid=0.4', 'ratio:test=0.4,valid=0.2')).toThrow('test targets');
    expect(judge('ratio:test=0.2,valid=0.4', 'ratio:test=0.4,valid=0.2', 'valid')).not.toThrow();
  });
});
