/** Side features of rating models: item attributes, user features, event context. */
import { describe, expect, it } from 'vitest';
import { seeded } from '../../data/random.ts';
import {
  inferRatingEvents,
  inferRatingItems,
  RatingEncoder,
  RatingSideFeatures,
} from '../../data/ratings/side-features.ts';
import { ratingsOf } from '../../data/ratings/ratings.ts';
import { SideFeatureWriter } from '../../data/features/side-rows.ts';
import { addItems } from '../../model/storage/add-items.ts';
import { packModel } from '../../model/storage/pack.ts';
import { loadRatingModel } from '../../model/ratings/folder.ts';
import { RatingPredictor } from '../../recommend/rating-predictor.ts';
import { logOf, type TrainingEvent } from '../../train/events.ts';
import { AttributeRegression } from '../../train/ratings/attribute-regression.ts';
import { trainRatingModel } from '../../train/ratings/train-rating-model.ts';
import { openDevice } from '../device.ts';

const ITEMS: { id: string; title: string; attributes: Record<string, string> }[] = [
  { id: 'a', title: 'Heat (1995)', attributes: { kind: 'crime', price: '3' } },
  { id: 'b', title: 'Alien (1979)', attributes: { kind: 'horror', price: '9' } },
  { id: 'c', title: 'c', attributes: { kind: 'horror' } },
];

describe('side features of ratings', () => {
  it('is inferred; words of titles are read on demand', () => {
    expect(inferRatingItems(ITEMS)?.columns.map(({ name, type }) => `${name} ${type}`)).toEqual([
      'kind category',
      'price category',
      'year category',
      'title skip',
    ]);
    const read = inferRatingItems(ITEMS, [{ name: 'title', type: 'text' }]);
    expect(read?.columns.at(-1)).toMatchObject({ name: 'title', type: 'text' });
    expect(inferRatingItems([{ id: 'a', title: 'Heat', attributes: {} }])).toBeUndefined();
  });

  it('is a bag of the event, the user and the item, each of which can be hidden', () => {
    const schema = {
      items: inferRatingItems(ITEMS),
      users: inferRatingItems([{ id: 'u', title: '', attributes: { city: 'Ulm' } }]),
      events: [{ name: 'device', kind: 'column' as const, values: ['phone'], absent: 0 }],
    };
    const encoder = new RatingEncoder(schema);
    const unseen = new Map<string, number>();
    const events = encoder.events([{ context: { device: 'phone' } }, { context: { device: 'abacus' } }], unseen);
    const side = new RatingSideFeatures(encoder, encoder.items(ITEMS), encoder.users([{ city: 'Ulm' }, null]), events);
    const rows = (of: { item: number; user: number; row: number }, hide = { user: false, event: false }) => {
      const writer = new SideFeatureWriter();
      side.write(writer, of, hide);
      return [...writer.finish().columns];
    };
    const [all, hidden] = [
      { item: 0, user: 0, row: 0 },
      { user: true, event: true },
    ];
    // Rows of the event: missing, unknown, phone; of the user: any, city, missing, unknown, Ulm.
    expect(rows(all).slice(0, 3)).toEqual([2, 3, 7]);
    expect(rows({ item: 0, user: 1, row: 1 }).slice(0, 3)).toEqual([1, 3, 5]);
    expect(rows(all, hidden).slice(0, 3)).toEqual([0, 3, 5]);
    expect(Math.max(...rows(all))).toBeLessThan(encoder.rows);
    expect(side.maxEntries).toBe(rows(all).length);
    expect(unseen.get('device')).toBe(1);
  });

  it('leaves out what ratings tell in any case', () => {
    const ratings = ratingsOf(
      logOf(
        [1, 2].map((rating) => ({ user: 'u', item: 'i', rating, time: 9e8, context: { device: 'x' } })),
        'log',
        ['device'],
      ),
      'rating',
    );
    expect(inferRatingEvents(ratings, ['hour', 'device']).map(({ kind }) => kind)).toEqual(['hour', 'column']);
    expect(() => inferRatingEvents(ratings, ['rating'])).toThrow('`reads: rating`: ratings are what is predicted');
    expect(() => inferRatingEvents(ratings, ['gap'])).toThrow(/`reads: gap`: .*in any case/);
  });
});

it('factors are expected from the attributes of other entities', () => {
  // 40 entities of two kinds, whose one factor is 1 or −1; the constant is the second number.
  const kind = (e: number) => e % 3 === 0;
  const bags = {
    starts: Uint32Array.from({ length: 41 }, (_, e) => e),
    columns: Uint32Array.from({ length: 40 }, (_, e) => Number(kind(e))),
    values: new Float32Array(40).fill(1),
  };
  const regression = new AttributeRegression({ rows: 2, bags }, 2, 1);
  const means = Float32Array.from({ length: 80 }, (_, i) => (i % 2 ? 1 : kind(i >> 1) ? 1 : -1));
  means[0] = 8; // an entity of its own
  const starts = Uint32Array.from({ length: 41 }, (_, e) => e * 50);
  for (const _ of regression.fit(means, starts)) expect(regression.expected[1]).toBe(1);
  const { expected, coefficients } = regression;
  expect(expected[0]).toBeGreaterThan(0.4);
  expect(expected[0]).toBeLessThan(1);
  expect(expected[2]).toBeGreaterThan(-1);
  expect(expected[2]).toBeLessThan(-0.7);
  expect([expected[1], expected[3]]).toEqual([1, 1]);
  // Of all entities, that one as well: Σ w mean / (Σ w + λ).
  const w = 50 / 55;
  expect(coefficients[2]).toBeCloseTo(((8 + 13) * w) / (14 * w + 3), 4);
});

describe('a training that reads', async () => {
  const device = await openDevice({ backend: 'cpu' });
  const settings = { d: 8, heads: 1, ff: 16, budget: 128, window: 16, factors: 2, sweeps: 6, parts: 2, idDropout: 0.3 };

  it('attributes and columns rates unseen items', async () => {
    const random = seeded(5, 0);
    const kinds = ['tea', 'coffee', 'milk'];
    const items = Array.from({ length: 30 }, (_, i) => ({ id: `i${i}`, attributes: { kind: kinds[i % 3] } }));
    const users = Array.from({ length: 60 }, (_, u) => ({ id: `u${u}`, attributes: { town: u % 2 ? 'Ulm' : 'Bonn' } }));
    // Everybody likes one kind: milk in Ulm, tea or coffee in Bonn.
    const taste = users.map((_, u) => (u % 2 ? 2 : random.below(2)));
    const rate = (u: number, i: number) => (i % 3 === taste[u] ? 5 : 2) - Number(random.chance(0.2));
    const events: TrainingEvent[] = users.flatMap((user, u) =>
      Array.from({ length: 16 }, (_, t) => {
        const i = random.below(30);
        return { user: user.id, item: items[i].id, rating: rate(u, i), time: t };
      }),
    );
    const trained = await trainRatingModel(events, {
      device,
      items,
      users,
      settings: { ...settings, learningRate: 0.01 },
      epochs: 12,
      split: { name: 'random', test: 0.1 },
    });
    const { files } = trained;
    const { loaded } = await loadRatingModel(files);
    expect(loaded.config.schema.items?.columns.map(({ name }) => name)).toEqual(['kind']);
    expect(loaded.config.schema.users?.columns.map(({ name }) => name)).toEqual(['town']);
    const predictor = await RatingPredictor.load(files, { device });
    const described = kinds.map((kind) => ({ id: `new ${kind}`, attributes: { kind } }));
    const history = events
      .filter(({ user }) => user === 'u1')
      .map(({ item, rating, time }) => ({ item, rating: rating as number, time }));
    const query = { history, items: described.map(({ id }) => id), described, user: users[1].attributes };
    const rated = (await predictor.predict(query)).items.map(({ prediction }) => prediction);
    for (const [k, prediction] of rated.entries()) {
      // The mean of all ratings is about 3.
      if (k === taste[1]) expect(prediction).toBeGreaterThan(4);
      else expect(prediction).toBeLessThan(2.8);
    }
    // A user without ratings, of whom the town alone is known.
    const milk = async (town: string) => {
      const { items: found } = await predictor.predict({ history: [], items: ['i2'], user: { town } });
      return found[0].prediction;
    };
    expect(await milk('Ulm')).toBeGreaterThan((await milk('Bonn')) + 0.3);
    const strange = { id: 'x', attributes: { kind: 'sand' } };
    const { unseen, unknown } = await predictor.predict({ history, items: ['x', 'y'], described: [strange] });
    expect([unseen, unknown.items]).toEqual([{ kind: 1 }, ['y']]);
    predictor.close();
    // The same for items that are added to the folder.
    const { added } = await addItems(files, [{ id: 'new tea', title: 'New', attributes: { kind: 'tea' } }]);
    expect(added).toBe(1);
    const larger = await RatingPredictor.load(files, { device });
    const [tea] = (await larger.predict({ history, items: ['new tea'], user: users[1].attributes })).items;
    expect(tea.prediction).toBeCloseTo(rated[0], 5);
    expect(tea.title).toBe('New');
    larger.close();
    // And packed into one file, as pages load it.
    const bytes = new Uint8Array(await new Blob(await packModel(files)).arrayBuffer());
    const unpacked = await RatingPredictor.load(bytes, { device });
    const again = await unpacked.predict({ history, items: ['new tea'], user: users[1].attributes });
    expect(again.items[0].prediction).toBe(tea.prediction);
    unpacked.close();
  });

  it('event context learns clicks that the moment decides', async () => {
    const random = seeded(7, 0);
    const HOUR = 3600;
    // Some ads work on phones in the evening, the others at a desk by day.
    const events: TrainingEvent[] = Array.from({ length: 60 * 20 }, (_, n) => {
      const [hour, phone, ad] = [random.below(24), random.chance(0.5), random.below(8)];
      const works = ad % 2 ? phone && hour >= 16 : !phone && hour < 16;
      const clicked = random.chance(works ? 0.9 : 0.05);
      const time = 1.6e9 - (1.6e9 % (24 * HOUR)) + 24 * HOUR * Math.floor(n / 60) + HOUR * hour;
      return {
        user: `u${n % 60}`,
        item: `ad${ad}`,
        rating: Number(clicked),
        time,
        context: { device: phone ? 'phone' : 'desk' },
      };
    });
    const run = async (reads: string[], epochs: number) => {
      const { report, files } = await trainRatingModel(events, {
        task: 'ctr',
        device,
        reads,
        settings: { ...settings, learningRate: 0.02 },
        epochs,
        split: { name: 'random', test: 0.2 },
      });
      const { AUC } = (report?.metrics ?? expect.fail('interrupted')) as { AUC: number };
      return { files, AUC };
    };
    const [blind, seeing] = [await run([], 8), await run(['hour', 'device'], 50)];
    expect(blind.AUC).toBeLessThan(0.62);
    expect(seeing.AUC).toBeGreaterThan(0.85);
    const predictor = await RatingPredictor.load(seeing.files, { device });
    const chance = async (hour: number, thing: string) => {
      const moment = { time: 1.61e9 - (1.61e9 % (24 * HOUR)) + HOUR * hour, context: { device: thing } };
      return (await predictor.predict({ history: [], items: ['ad1'], ...moment })).items[0].prediction;
    };
    expect(await chance(20, 'phone')).toBeGreaterThan(0.6);
    expect(await chance(9, 'phone')).toBeLessThan(0.4);
    expect(await chance(20, 'desk')).toBeLessThan(0.4);
    predictor.close();
  });
});
