/** When the next event is asked for: what is read of it, and that nothing else of a target is. */
import { type ValueColumn, inMemory, type ColumnValues } from '../../data/column.ts';
import { describe, expect, it } from 'vitest';
import { batches } from '../../data/batching/batches.ts';
import { type Dataset, prepare } from '../../data/dataset.ts';
import { inferEvents, requestColumns, SideFeatureEncoder } from '../../data/features/event-encoder.ts';
import { SideFeatures } from '../../data/features/side-features.ts';
import { seeded, shuffle } from '../../data/random.ts';
import { type Protocol, parseProtocol, REQUEST_TIMES } from '../../data/splits/protocol.ts';
import { type Split, splitDataset } from '../../data/splits/split.ts';
import { SequenceModel } from '../../model/encoders/sequence-model.ts';
import { encodeQuery, type QueryModel, splitQuery } from '../../model/inference/query.ts';
import { Scorer } from '../../model/inference/scorer.ts';
import { logOf } from '../../train/events.ts';
import { openDevice } from '../device.ts';
import { small } from '../train/small.ts';

const [USERS, LENGTH, ITEMS] = [12, 14, 20];
const DAY = 86_400;

/** Visits at irregular times, some at the same second, with ratings and a column. */
function visits(): Dataset {
  const random = seeded(7, 1);
  const events = Array.from({ length: USERS }, (_, u) => {
    let time = 1_700_000_000 + 1000 * u;
    return Array.from({ length: LENGTH }, () => {
      time += random.below(3) === 0 ? 0 : random.below(5 * DAY);
      const context = { device: random.chance(0.5) ? 'phone' : 'desk' };
      return { user: `u${u}`, item: `i${random.below(ITEMS)}`, time, rating: 1 + random.below(5), context };
    });
  }).flat();
  return prepare(logOf(events, 'visits', ['device']), { minInteractions: 1 });
}

/** The split with everything that a model can read of it. */
function read(dataset: Dataset, protocol: Protocol): Split {
  const split = splitDataset(dataset, protocol);
  const events = [
    ...inferEvents(visits(), ['rating', 'gap', 'hour', 'weekday', 'device'], 'visits'),
    ...requestColumns(dataset),
  ];
  return split.withSide(new SideFeatures(new SideFeatureEncoder({ events }), dataset, null));
}

/** The same log, but for what the targets are: their items, ratings and columns are exchanged, and, if asked, their times. */
function shuffled(dataset: Dataset, protocol: Protocol, part: 'valid' | 'test', times: boolean): Dataset {
  const split = splitDataset(dataset, protocol);
  const at: number[] = [];
  for (let u = 0; u < split.users; u++) {
    const [first, end] = split.range(u);
    const [from, to] = split.targetRange(u, part);
    // What comes after the first target is no more known than the target is.
    if (to > from) for (let i = first + from; i < end; i++) at.push(i);
  }
  expect(at.length).toBeGreaterThan(8);
  const moved = <A extends ColumnValues>(column: ValueColumn<A>, change: (value: number) => number): A => {
    const values = inMemory(column);
    const out = values.slice() as A;
    const order = shuffle(Uint32Array.from(at), seeded(3, at.length));
    at.forEach((to, i) => {
      out[to] = change(values[order[i]]);
    });
    return out;
  };
  return {
    ...dataset,
    items: moved(dataset.items, (item) => (item + 1) % ITEMS),
    ratings: dataset.ratings && moved(dataset.ratings, (rating) => 6 - rating),
    context: dataset.context?.map((column) => ({ ...column, rows: moved(column.rows, (row) => 1 - row) })),
    ...(times && {
      times: dataset.times && moved(dataset.times, (time) => time + 12_345),
      clock: dataset.clock && moved(dataset.clock, (time) => time + 12_345),
    }),
  };
}

const PROTOCOLS = ['leave-one-out', 'ratio', 'last-n:n=2', 'temporal:valid=0.2,test=0.2', 'sampled-100'].map(
  parseProtocol,
);
const SETTINGS = small({ requestTime: 'on', bias: 'both' });

describe('a split', async () => {
  const device = await openDevice({ backend: 'cpu' });
  const dataset = visits();

  describe.each(PROTOCOLS)('$name', (protocol) => {
    const split = read(dataset, protocol);
    const model = SequenceModel.create(device, SETTINGS, ITEMS, 1, { side: split.side?.encoder.rows });
    const listsOf = async (of: Split, part: 'valid' | 'test', request: (typeof REQUEST_TIMES)[number]) => {
      const users = Array.from({ length: of.users }, (_, u) => u).filter((u) => of.history(u, part).length > 0);
      const scorer = new Scorer(model, { k: 10 });
      const scored = await scorer.score(users.map((u) => splitQuery(of, u, part, SETTINGS.window, request)));
      scorer.dispose();
      return scored.map(({ items, scores }) => ({ items, scores }));
    };

    it.each(['valid', 'test'] as const)(
      'gives away nothing of the %s targets but their times, if at all',
      async (part) => {
        const queries = (of: Split, request: (typeof REQUEST_TIMES)[number]) =>
          Array.from({ length: of.users }, (_, u) => splitQuery(of, u, part, undefined, request));
        for (const request of REQUEST_TIMES) {
          const other = read(shuffled(dataset, protocol, part, request === 'unknown'), protocol);
          if (protocol.name !== 'temporal' || request === 'known') {
            expect(queries(other, request)).toEqual(queries(split, request));
            expect(await listsOf(other, part, request)).toEqual(await listsOf(split, part, request));
          }
        }
        // The times themselves are read where they are known, and only there.
        const later = { ...dataset, ...times(shuffled(dataset, protocol, part, true)) };
        if (protocol.name === 'temporal') return; // the cuts would be others
        const moved = read(later, protocol);
        expect(queries(moved, 'known')).not.toEqual(queries(split, 'known'));
        expect(await listsOf(moved, part, 'known')).not.toEqual(await listsOf(split, part, 'known'));
      },
    );
  });

  it('has the time of a training target on its own position alone', () => {
    const split = read(dataset, parseProtocol('leave-one-out'));
    const options = { maxTokens: 256, window: 16, seed: 1, epoch: 0, requestDropout: 0 };
    const [batch] = [...batches(split, options)];
    const [unasked] = [...batches(split, { ...options, requestDropout: 1 })];
    for (let i = 0; i < batch.tokens; i++) {
      const last = i + 1 === batch.end[i];
      const target = last ? targetTime(split, batch, i) : batch.times?.[i + 1];
      expect(batch.requestTimes?.[i]).toBe(target);
      expect(unasked.requestTimes?.[i]).toBe(unasked.times?.[i]);
    }
    // The last training event of a user is a target and no input: of it nothing but the time is in the batch.
    const at = split.range(0)[0] + split.trainLength(0) - 1;
    const other = {
      ...dataset,
      items: inMemory(dataset.items).slice(),
      ratings: (dataset.ratings as Float64Array).slice(),
    };
    other.items[at] = (other.items[at] + 1) % ITEMS;
    other.ratings[at] = 6 - other.ratings[at];
    const [changed] = [...batches(read(other, parseProtocol('leave-one-out')), options)];
    const { targets: a, ...inputs } = batch;
    const { targets: b, ...same } = changed;
    expect(same).toEqual(inputs);
    expect(b).not.toEqual(a);
  });
});

const times = ({ times, clock }: Dataset) => ({ times, clock });

/** The time of the target of a window's last token: that of the event after it. */
function targetTime({ dataset }: Split, batch: { times?: Uint32Array; items: Uint32Array }, i: number) {
  const items = inMemory(dataset.items);
  const times = dataset.times && inMemory(dataset.times);
  const at = times?.findIndex((time, e) => time === batch.times?.[i] && items[e] === batch.items[i]) as number;
  return times?.[at + 1];
}

describe('a query', () => {
  const dataset = visits();
  const split = read(dataset, parseProtocol('leave-one-out'));
  const model: QueryModel = {
    rows: new Map(dataset.itemIds.map((id, row) => [id, row])),
    encoder: split.side?.encoder ?? null,
  };
  const asked = (u: number, more = {}) => {
    const positions = split.positions(u, 'test');
    const of = (values: ValueColumn<ColumnValues>): number[] => Array.from(positions, (at) => values.at(at) as number);
    return {
      history: of(dataset.items).map((row) => dataset.itemIds[row]),
      times: of(dataset.clock as Float64Array),
      ratings: of(dataset.ratings as Float64Array),
      context: { device: of((dataset.context ?? [])[0].rows).map((row) => (dataset.context ?? [])[0].values[row]) },
      ...more,
    };
  };
  const targetOf = (u: number) => (dataset.clock as Float64Array)[split.range(u)[1] - 1];

  it('with a time is encoded as the split encodes a target of that time, in any unit since 1970', () => {
    for (const u of [0, 3]) {
      const expected = splitQuery(split, u, 'test', undefined, 'known');
      for (const now of [targetOf(u), 1000 * targetOf(u)]) {
        const { features, times } = encodeQuery(model, asked(u, { now }));
        expect(features).toEqual(expected.features);
        const offset = (expected.times?.[0] ?? 0) - (times?.[0] ?? 0);
        expect(times?.map((time) => time + offset)).toEqual(expected.times);
      }
      const { features, times } = encodeQuery(model, asked(u, { now: null }));
      expect(features).toEqual(splitQuery(split, u, 'test').features);
      expect(times).toHaveLength(split.history(u, 'test').length);
    }
  });

  it('without times knows the hour and the day that it is asked on', () => {
    const { history } = asked(0);
    const [none, some] = [null, targetOf(0)].map((now) => encodeQuery(model, { history, now }).features);
    expect(some).not.toEqual(none);
    expect(encodeQuery(model, { history, now: targetOf(0) }).times).toBeUndefined();
  });

  it('is refused with a time before its last event, or of another kind', () => {
    expect(() => encodeQuery(model, asked(0, { now: 1_600_000_000 }))).toThrow(
      /now: 1600000000`?: expected a time after the last event of the history/,
    );
    expect(() => encodeQuery(model, asked(0, { now: 17 }))).toThrow(
      /now: 17`?: expected a time like those of the history/,
    );
  });
});
