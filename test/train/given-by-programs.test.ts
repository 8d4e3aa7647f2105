/** What a program may give to a training and to what comes of it: hostile names, long histories, wrong types. */
import { beforeAll, describe, expect, it } from 'vitest';
import { InputError } from '../../data/errors.ts';
import type { Files } from '../../model/storage/files.ts';
import { Recommender } from '../../recommend/recommender.ts';
import { RatingPredictor } from '../../recommend/rating-predictor.ts';
import { logOf, type TrainingEvent } from '../../train/events.ts';
import { trainModel } from '../../train/train-model.ts';
import { trainRatingModel } from '../../train/ratings/train-rating-model.ts';
import { openDevice } from '../device.ts';

const NAMES = [
  'constructor',
  'toString',
  'valueOf',
  'hasOwnProperty',
  '__proto__',
  'isPrototypeOf',
  '__defineGetter__',
];
/** Names of Object.prototype as IDs, columns and values alike; the first columns are missing in every other record. */
const record = (i: number, others = true): Record<string, string> =>
  Object.fromEntries(
    NAMES.flatMap((name, c) => (others && c < 3 && i % 2 ? [] : [[name, NAMES[(i + c) % NAMES.length]]])),
  );
const items = NAMES.map((id, i) => ({ id, title: id, attributes: record(i) }));
const users = Array.from({ length: 24 }, (_, u) => ({ id: u < 7 ? NAMES[u] : `u${u}`, attributes: record(u) }));
const events: TrainingEvent[] = users.flatMap(({ id }, u) =>
  Array.from({ length: 8 }, (_, t) => {
    const context = t % 2 ? record(u + t) : {};
    return { user: id, item: NAMES[(u + t) % NAMES.length], rating: 1 + ((u + t) % 5), time: 1000 * t + u, context };
  }),
);
const small = { d: '8', ff: '16', heads: '1', blocks: '1', window: '16', budget: '64' };

const device = await openDevice({ backend: 'cpu' });
let files: Files;
beforeAll(async () => {
  const settings = { ...small, memory: 'off' };
  const reads = ['rating', ...NAMES];
  ({ files } = await trainModel(events, {
    device,
    items,
    users,
    reads,
    settings,
    recipe: 'sasrec',
    minInteractions: 1,
    epochs: 1,
  }));
});

describe('names of Object.prototype', () => {
  it('are IDs, columns and values like any other', async () => {
    const recommender = await Recommender.load(files, { device });
    const { schema } = recommender.loaded.config;
    expect(schema.users?.columns.map(({ name }) => name).sort()).toEqual([...NAMES].sort());
    expect(schema.events?.map(({ name }) => name)).toEqual(['rating', ...NAMES]);
    const query = { history: ['constructor', '__proto__'], includeSeen: true, k: 7 };
    const all = await recommender.recommend(query);
    expect(all.items.map(({ id }) => id).sort()).toEqual([...NAMES].sort());
    for (const name of NAMES) {
      const has = items.filter(({ attributes }) => Object.hasOwn(attributes, name)).map(({ id }) => id);
      const where = `"${name}" is not missing`;
      expect((await recommender.recommend({ ...query, where })).items.map(({ id }) => id).sort()).toEqual(has.sort());
      const capped = await recommender.recommend({ ...query, caps: Object.fromEntries([[name, 1]]) });
      const values = capped.items.flatMap(({ attributes }) =>
        Object.hasOwn(attributes, name) ? [attributes[name]] : [],
      );
      expect(new Set(values).size).toBe(values.length);
      // A value of its own for each item, and those without one are not capped.
      expect(capped.items).toHaveLength(7);
    }
    const session = recommender.session({ user: record(1) });
    session.add({ item: 'toString', context: record(2, false) });
    await expect(session.recommend({ k: 1 })).resolves.toMatchObject({ unknown: [] });
    // What is not given is unknown: a plain read would find a function under `constructor`.
    expect((await recommender.recommend({ ...query, user: {}, context: {} })).unseen).toEqual({});
    await expect(recommender.recommend({ ...query, where: 'nothing=1' })).rejects.toThrow('there is constructor');
    recommender.close();
  });

  it('rate and are rated', async () => {
    const trained = await trainRatingModel(events, {
      device,
      items,
      users,
      reads: NAMES,
      epochs: 1,
      split: { name: 'random', test: 0.2 },
      settings: { d: 8, heads: 1, ff: 8, window: 8, budget: 64, factors: 2, sweeps: 2, parts: 2 },
    });
    const predictor = await RatingPredictor.load(trained.files, { device });
    const history = [{ item: 'constructor', rating: 4, context: record(1) }];
    const { items: rated, unseen } = await predictor.predict({ history, user: {}, context: {} });
    expect(rated.map(({ id }) => id).sort()).toEqual(NAMES.filter((name) => name !== 'constructor').sort());
    expect(unseen).toEqual({});
    const strange = (n: number) => Object.fromEntries(NAMES.slice(3, 3 + n).map((name) => [name, 'never met']));
    const asked = [2, 0, 4].map((n) => predictor.predict({ history, items: ['toString'], user: strange(n) }));
    const counts = (await Promise.all(asked)).map((answer) => Object.keys(answer.unseen).length);
    expect(counts).toEqual([2, 0, 4]);
    for (const rating of [0.9, 5.1, Number.NaN]) {
      const asked = predictor.predict({ history: [{ item: 'constructor', rating }] });
      await expect(asked).rejects.toThrow(rating > 0 ? 'expected 1 to 5' : 'expected a number');
    }
    predictor.close();
  });
});

describe('concurrent queries', () => {
  it('each count the values of their own that the model does not know', async () => {
    const recommender = await Recommender.load(files, { device });
    const strange = (n: number) => Object.fromEntries(NAMES.slice(3, 3 + n).map((name) => [name, 'never met']));
    const query = (n: number) =>
      recommender.recommend({ history: ['constructor'], user: strange(n), k: 1, explain: 'occlusion' });
    const answers = await Promise.all([0, 3, 1, 4, 0, 2].map(query));
    expect(answers.map(({ unseen }) => Object.keys(unseen).length)).toEqual([0, 3, 1, 4, 0, 2]);
    expect(answers.every(({ unseen }) => Object.values(unseen).every((count) => count === 1))).toBe(true);
    recommender.close();
  });
});

describe('a history of 150,000 events', () => {
  const history = Array.from({ length: 150_000 }, (_, i) => NAMES[i % 3]);
  const times = history.map((_, i) => i);
  const ratings = history.map(() => 3);
  const context = Object.fromEntries(NAMES.map((name) => [name, history]));

  it('is recommended for, continued and kept by a session', async () => {
    const recommender = await Recommender.load(files, { device });
    const others = NAMES.slice(3).sort();
    const ids = (list: readonly { id: string }[]) => list.map(({ id }) => id).sort();
    const given = { history, times, ratings, context };
    expect(ids((await recommender.recommend({ ...given, k: 7, exclude: history })).items)).toEqual(others);
    const narrow = { deny: history, allow: [...history, 'valueOf', ...others] };
    expect(ids((await recommender.recommend({ ...given, ...narrow, k: 7 })).items)).toEqual(others);
    expect((await recommender.generate(history, { steps: 2, times, ratings, context })).items).toHaveLength(2);
    const session = recommender.session(given);
    expect(ids((await session.recommend({ k: 7 })).items)).toEqual(others);
    expect(session.history).toHaveLength(150_000);
    recommender.close();
  });

  it('trains', async () => {
    const long = history.map((item, i): TrainingEvent => ({ user: 'one', item, time: i }));
    const { result } = await trainModel([...events.map(({ user, item, time }) => ({ user, item, time })), ...long], {
      device,
      recipe: 'sasrec',
      minInteractions: 1,
      maxMinutes: 0.05,
      settings: { ...small, memory: 'off' },
    });
    expect(result.step).toBeGreaterThan(0);
  });
});

describe('wrong types', () => {
  const event = { user: 'u', item: 'i' };
  it.each([
    [{ time: '2024-01-01' }, 'events: event 2: expected a number as time, got "2024-01-01"'],
    [{ time: '17' }, 'expected a number as time, got "17"'],
    [{ time: new Date(0) }, 'expected a number as time, got'],
    [{ time: Number.POSITIVE_INFINITY }, 'expected a number as time, got Infinity'],
    [{ rating: '5' }, 'expected a number as rating, got "5"'],
    [{ user: 7 }, 'event 2 needs a user and an item, both text'],
  ])('%j is refused', (wrong, message) => {
    const call = () => logOf([{ ...event, time: 1, rating: 1 }, { ...event, ...wrong } as TrainingEvent], 'events');
    expect(call).toThrow(InputError);
    expect(call).toThrow(message);
  });

  it('null and NaN are unknown', () => {
    const log = logOf(
      [
        { ...event, time: null as unknown as number },
        { ...event, time: Number.NaN },
        { ...event, time: 3 },
      ],
      'x',
    );
    expect(log.time).toEqual(Float64Array.of(Number.NaN, Number.NaN, 3));
    expect(logOf([{ ...event, time: null as unknown as number }], 'x').time).toBeNull();
  });

  it.each([
    [{ epochs: 0 }, '`epochs`: expected an integer >= 1, got 0'],
    [{ epochs: 1.5 }, '`epochs`: expected an integer >= 1, got 1.5'],
    [{ maxMinutes: 0 }, '`maxMinutes`: expected a number > 0, got 0'],
    [{ seed: -1 }, '`seed`: expected an integer >= 0, got -1'],
  ])('%j is refused by every training', async (wrong, message) => {
    await expect(trainModel(events, { device, ...wrong })).rejects.toThrow(message);
    await expect(trainRatingModel(events, { device, ...wrong })).rejects.toThrow(message);
  });
});
