import { describe, expect, it } from 'vitest';
import { prepare } from '../../data/dataset.ts';
import { inferEvents, SideFeatureEncoder } from '../../data/features/event-encoder.ts';
import { SideFeatures } from '../../data/features/side-features.ts';
import { inferSchema } from '../../data/features/schema.ts';
import { readLog } from '../../data/formats/reader.ts';
import { splitDataset } from '../../data/splits/split.ts';
import {
  encodeQuery,
  nextEventFeatures,
  type Query,
  type QueryModel,
  splitQuery,
} from '../../model/inference/query.ts';
import { chunked } from '../data/bytes.ts';

const LOG = `user,item,rating,timestamp,device
ann,a,1,1709208000,phone
ann,b,4,1709208060,desk
ann,c,5,1709294400,phone
bob,c,3,1709208000,
bob,a,2,1709209000,desk
bob,b,4,1709210000,desk
`;
const USERS = new Map([
  ['ann', { city: 'Ulm' }],
  ['bob', { city: 'Bonn' }],
]);

async function trained() {
  const log = await readLog(chunked(LOG), 'log.csv', { context: ['device'] });
  const plain = splitDataset(prepare(log, { minInteractions: 1 }));
  const schema = {
    users: inferSchema([...USERS].map(([id, attributes]) => ({ id, title: '', attributes }))),
    events: inferEvents(plain.dataset, ['rating', 'gap', 'hour', 'device'], 'log.csv'),
  };
  const encoder = new SideFeatureEncoder(schema);
  const split = plain.withSide(new SideFeatures(encoder, plain.dataset, USERS));
  const model: QueryModel = { rows: new Map(plain.dataset.itemIds.map((id, row) => [id, row])), encoder };
  return { split, model };
}

const ANN: Query = {
  history: ['a', 'b'],
  times: [1709208000, 1709208060],
  ratings: [1, 4],
  context: { device: ['phone', 'desk'] },
  user: { city: 'Ulm' },
};

describe('a query', () => {
  it('is encoded from IDs and columns as the split encodes the same events', async () => {
    const { split, model } = await trained();
    const ann = split.dataset.userIds.indexOf('ann');
    const { history, times, features } = encodeQuery(model, ANN);
    const expected = splitQuery(split, ann, 'test');
    expect(history).toEqual(expected.history);
    expect(features).toEqual(expected.features);
    expect(times?.map((time) => time - (times?.[0] ?? 0))).toEqual(
      expected.times?.map((time) => time - (expected.times?.[0] ?? 0)),
    );
    expect(nextEventFeatures(model, ANN.user)).toEqual(split.side?.next(ann));
  });

  it('changes nothing: again, in any order, it is the same, and it counts its own unseen values only', async () => {
    const { model } = await trained();
    const strange: Query = {
      ...ANN,
      history: ['a', 'nothing'],
      ratings: [2.5, 4],
      context: { device: ['watch', 'watch'] },
      user: { city: 'Oz' },
    };
    const first = encodeQuery(model, strange);
    expect(first).toMatchObject({
      positions: [0],
      unknown: ['nothing'],
      unseen: { rating: 1, device: 1, city: 1 },
    });
    expect(encodeQuery(model, ANN).unseen).toEqual({});
    expect(encodeQuery(model, strange)).toEqual(first);
    expect(encodeQuery({ ...model, encoder: null }, strange)).toMatchObject({ features: undefined, unseen: {} });
  });

  it('is refused where it does not fit', async () => {
    const { model } = await trained();
    const refused = (query: Query) => expect(() => encodeQuery(model, query));
    refused({ ...ANN, times: [1] }).toThrow('times: expected one for each of the 2 items of the history, got 1');
    refused({ ...ANN, ratings: [1, 2, 3] }).toThrow('ratings: expected one for each of the 2 items');
    // Columns may have any name.
    refused({ history: ['a'], times: [1], context: { times: ['x', 'y'] } }).toThrow(
      'times: expected one for each of the 1',
    );
    refused({ history: ['x', 'y'] }).toThrow('none of the 2 items of the history is known to the model (x, y)');
    expect(encodeQuery(model, { history: [] }).history).toHaveLength(0);
  });
});
