/** The record of a training: held-out targets that were trained on are found in any log, and no others. */
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { ColdSplit, drawCold } from '../../data/splits/cold.ts';
import { type Dataset, prepare } from '../../data/dataset.ts';
import { InputError } from '../../data/errors.ts';
import type { Log } from '../../data/log.ts';
import { parseProtocol } from '../../data/splits/protocol.ts';
import { ratingRounds, type RatingSplit } from '../../data/ratings/split.ts';
import { ratingsOf } from '../../data/ratings/ratings.ts';
import { type Split, splitDataset } from '../../data/splits/split.ts';
import { MemoryFiles } from '../../model/storage/files.ts';
import { commit, Snapshot } from '../../model/storage/manifest.ts';
import {
  loadTraining,
  recordRatings,
  recordTraining,
  TRAINING,
  type TrainingRecord,
} from '../../model/storage/training-record.ts';
import { TimeBudget } from '../../train/loop/time-budget.ts';
import { recordStage } from '../../train/stages/record.ts';
import { runStages } from '../../train/stages/stage.ts';

type Event = [user: string, item: string, time: number | null];

/** Seconds of a common clock in 2001. */
const T0 = 1e9;

function logOf(events: readonly Event[], ratings: readonly number[] | null = null): Log {
  const number = (names: string[]) => {
    const ids = [...new Set(names)];
    const rows = new Map(ids.map((id, row) => [id, row]));
    return { ids, rows: Uint32Array.from(names, (name) => rows.get(name) as number) };
  };
  const [users, items] = [number(events.map(([user]) => user)), number(events.map(([, item]) => item))];
  const timed = events.some(([, , time]) => time !== null);
  return {
    userIds: users.ids,
    itemIds: items.ids,
    user: users.rows,
    item: items.rows,
    rating: ratings && Float64Array.from(ratings),
    size: events.length,
    source: 'log',
    notes: [],
    time: timed ? Float64Array.from(events, ([, , time]) => time ?? Number.NaN) : null,
  } as Log;
}

const datasetOf = (events: readonly Event[]): Dataset => prepare(logOf(events), { minInteractions: 1 });

/** Users who come back for what they had, each beginning at a time of their own. */
function shoppers(users: number, length: number, name = 'u'): Event[] {
  return Array.from({ length: users }, (_, u) =>
    Array.from({ length: length + (u % 5) }, (__, i): Event => {
      return [`${name}${u}`, `i${(u * 7 + i * i * 3 + i) % 13}`, T0 + 1000 * i + 977 * u];
    }),
  ).flat();
}

const without = (events: readonly Event[], last: number): Event[] => {
  const left = new Map<string, number>();
  for (const [user] of events) left.set(user, (left.get(user) ?? 0) + 1);
  return events.filter(([user]) => {
    const n = left.get(user) as number;
    left.set(user, n - 1);
    return n > last;
  });
};

async function recordOf(split: Split, seed = 1): Promise<TrainingRecord> {
  const files = new MemoryFiles();
  await recordTraining(files, split, seed);
  return (await loadTraining(files)) as TrainingRecord;
}

const today = shoppers(40, 25);
const PROTOCOLS = ['leave-one-out', 'sampled-100', 'last-n:n=3', 'ratio:valid=0.1,test=0.2', 'temporal'];
const under = (events: readonly Event[], protocol: string) => splitDataset(datasetOf(events), parseProtocol(protocol));

describe.each(PROTOCOLS)('trained under %s', (protocol) => {
  const split = under(today, protocol);

  it('the held-out targets of its own log, of longer ones and of other people are free', async () => {
    const record = await recordOf(split);
    for (const part of ['valid', 'test'] as const) {
      const { targets, known, grown } = record.overlap(split, part);
      expect(targets).toBeGreaterThan(0);
      expect({ known, grown: [...grown] }, part).toEqual({ known: 0, grown: [] });
    }
    // The same log in another order of its rows, without its times, and in another unit of time.
    const sorted = today.toSorted((a, b) => (a[1] < b[1] ? -1 : a[1] > b[1] ? 1 : 0));
    const ms = today.map(([user, item, time]): Event => [user, item, 1000 * (time as number)]);
    const newer = [
      ...today,
      ...shoppers(40, 4).map(([user, item, time]): Event => [user, item, (time as number) + 1e6]),
    ];
    const others = shoppers(40, 25, 'v');
    const logs = { sorted, ms, newer, others };
    for (const [name, events] of Object.entries(logs)) {
      expect(record.overlap(under(events, protocol), 'test').known, name).toBe(0);
    }
    if (protocol !== 'temporal') {
      const timeless = today.map(([user, item]): Event => [user, item, null]);
      expect(record.overlap(under(timeless, protocol), 'test').known).toBe(0);
    }
  });

  it('an older log is found out, whatever became of its times', async () => {
    const record = await recordOf(split);
    const older =
      protocol === 'temporal' ? today.filter(([, , time]) => (time as number) < T0 + 24_000) : without(today, 8);
    const { known, targets, users, example } = record.overlap(under(older, protocol), 'test');
    expect(known / targets).toBeGreaterThan(0.5);
    expect(users).toBeGreaterThan(10);
    expect(example).toMatch(/^u\d+$/);
    if (protocol === 'temporal') return;
    const timeless = older.map(([user, item]): Event => [user, item, null]);
    expect(record.overlap(under(timeless, protocol), 'test').known).toBeGreaterThan(targets / 2);
    const fewer = older.filter(([user]) => Number(user.slice(1)) < 20);
    expect(record.overlap(under(fewer, protocol), 'test').known).toBeGreaterThan(0);
  });
});

it('what the validation chose the model by is no test', async () => {
  const record = await recordOf(under(today, 'leave-one-out'));
  const yesterday = under(without(today, 1), 'leave-one-out');
  expect(record.overlap(yesterday, 'test')).toMatchObject({ known: 40, targets: 40, users: 40 });
});

it('cold items: free under their own protocol, known under another', async () => {
  const dataset = datasetOf(today);
  const protocol = parseProtocol('cold-items');
  const split = new ColdSplit(dataset, protocol, drawCold(dataset, protocol, null));
  const record = await recordOf(split);
  for (const part of ['valid', 'test'] as const) expect(record.overlap(split, part).known).toBe(0);
  expect(record.overlap(under(today, 'leave-one-out'), 'test').known).toBeGreaterThan(20);
});

it('users whose targets trained because they had done too little then are named, to be left out', async () => {
  const short = without(today, 20); // five to nine events: last-n:n=3 needs eight to hold any out
  const record = await recordOf(under(short, 'last-n:n=3'));
  const { known, grown } = record.overlap(under(without(today, 18), 'last-n:n=3'), 'test');
  expect(known).toBe(0);
  expect(grown.length).toBeGreaterThan(0);
  const split = under(without(today, 18), 'last-n:n=3');
  split.leaveOut(grown[0], 'test');
  expect(split.targets(grown[0], 'test')).toHaveLength(0);
});

it('a log without its oldest events, whose users buy the same again, is free where there are times', async () => {
  const weekly = Array.from({ length: 30 }, (_, u) =>
    Array.from({ length: 20 }, (__, i): Event => [`u${u}`, `i${(u + i) % 4}`, T0 + 600_000 * i]),
  ).flat();
  const first = weekly.filter(([, , time]) => (time as number) < T0 + 600_000 * 14);
  const rolling = weekly.filter(([, , time]) => (time as number) >= T0 + 600_000 * 8);
  const record = await recordOf(under(first, 'leave-one-out'));
  expect(record.overlap(under(rolling, 'leave-one-out'), 'test').known).toBe(0);

  // Without times in either log it may as well be an older log: both hold the same events, counted from their start.
  const untimed = (events: readonly Event[]) => events.map(([user, item]): Event => [user, item, null]);
  const older = weekly.filter(([, , time]) => (time as number) < T0 + 600_000 * 10);
  for (const [trained, evaluated] of [
    [first, untimed(rolling)],
    [untimed(first), rolling],
    [untimed(first), untimed(older)],
  ]) {
    const { known, untimed: unsure } = (await recordOf(under(trained, 'leave-one-out'))).overlap(
      under(evaluated, 'leave-one-out'),
      'test',
    );
    expect(known).toBeGreaterThan(0);
    expect(unsure).toBe(true);
  }
  expect(record.overlap(under(older, 'leave-one-out'), 'test')).toMatchObject({ known: 30, untimed: false });
});

it('no event is found that was not recorded, none is missed: any IDs, any repeats', async () => {
  const ids = fc.string({ unit: 'binary', minLength: 1, maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(ids, { minLength: 1, maxLength: 5 }),
      fc.array(fc.constantFrom('a', 'b', '__proto__', 'c,"d"', ''), { minLength: 30, maxLength: 60 }),
      fc.nat(),
      async (users, items, seed) => {
        const events = items.map((item, i): Event => [users[i % users.length], item, null]);
        const split = under(events, 'leave-one-out');
        const record = await recordOf(split, seed);
        for (const part of ['valid', 'test'] as const) expect(record.overlap(split, part).known).toBe(0);
        const before = under(without(events, 2), 'leave-one-out');
        const targets = Array.from({ length: before.users }, (_, u) => before.targets(u, 'test').length);
        expect(record.overlap(before, 'test').known).toBe(targets.reduce((a, b) => a + b, 0));
      },
    ),
    { seed: 7, numRuns: 60 },
  );
});

const stored = async (files: MemoryFiles) => (await (await Snapshot.open(files)).read(TRAINING)) as Uint8Array;

describe('the file', () => {
  it('is small, the same for the same training, and tells nothing without its salt', async () => {
    const split = under(today, 'leave-one-out');
    const write = async (seed: number) => {
      const files = new MemoryFiles();
      await recordTraining(files, split, seed);
      return stored(files);
    };
    const bytes = await write(1);
    expect(await write(1)).toEqual(bytes);
    expect(await write(2)).not.toEqual(bytes);
    const events = today.length - 40; // all but the test targets
    expect(bytes.length).toBe(32 + 28 * 40 + 5 * events);
    expect(new TextDecoder('latin1').decode(bytes)).not.toMatch(/u1|i1/);
  });

  it('stays as it is when a training is resumed', async () => {
    const files = new MemoryFiles();
    const write = vi.fn(() => recordTraining(files, under(today, 'leave-one-out'), 1));
    const stage = recordStage(write);
    const start = (resume: boolean) =>
      runStages([stage], { files, plan: { resume }, report: () => {} }, new TimeBudget());
    await start(true); // made by an earlier version
    const bytes = await stored(files);
    await start(true);
    expect(write).toHaveBeenCalledOnce();
    expect(await stored(files)).toEqual(bytes);
    await start(false);
    expect(write).toHaveBeenCalledTimes(2);
  });

  it.each([
    ['cut short', (bytes: Uint8Array) => bytes.subarray(0, bytes.length - 1)],
    ['something else', () => new TextEncoder().encode('{"a": "model that is not ours at all"}')],
    ['empty', () => new Uint8Array(0)],
    [
      'with other counts',
      (bytes: Uint8Array) => {
        new DataView(bytes.buffer).setUint32(32 + 16, 1e6, true);
        return bytes;
      },
    ],
  ])('is refused where it is %s', async (_, damage) => {
    const files = new MemoryFiles('my-model');
    await recordTraining(files, under(today, 'leave-one-out'), 1);
    await commit(files, { [TRAINING]: damage(await stored(files)) });
    await expect(loadTraining(files)).rejects.toBeInstanceOf(InputError);
    await expect(loadTraining(files)).rejects.toThrow(/^my-model\/training-\d+\.bin: [^\n]+$/);
  });

  it('may be missing', async () => {
    expect(await loadTraining(new MemoryFiles())).toBeNull();
  });
});

describe('ratings: the folds decide', () => {
  const events = today.slice(0, 300);
  const rated = (some: readonly Event[]) =>
    ratingsOf(
      logOf(
        some,
        some.map((_, i) => 1 + (i % 5)),
      ),
      'rating',
    );
  const splits: RatingSplit[] = [{ name: 'folds', k: 5 }, { name: 'random', test: 0.2 }, { name: 'last' }];
  it.each(splits)('$name', async (by) => {
    const ratings = rated(events);
    const rounds = ratingRounds(ratings, by, 1);
    const files = new MemoryFiles();
    await recordRatings(files, ratings, rounds, 1);
    const record = (await loadTraining(files)) as TrainingRecord;
    const round = new Uint32Array(ratings.size);
    rounds.forEach(({ test }, r) => {
      for (const row of test) round[row] = r + 1;
    });
    expect(record.untested(ratings, round)).toBe(0);
    // The same ratings in the same order, of users who were swapped.
    const swapped = events.map(
      ([user, item, time]): Event => [user === 'u1' ? 'u2' : user === 'u2' ? 'u1' : user, item, time],
    );
    expect(record.untested(rated(swapped), round)).toBeGreaterThan(0);
    // Another fold for each: those rows trained the model that would be judged by them.
    const moved = round.map((r) => (r === 0 ? 1 : (r % 5) + 1));
    expect(record.untested(ratings, moved)).toBeGreaterThan(200);
  });
});
