/** Side features: user features and event context, as bags of rows. */
import type { UnseenCounts } from '../../data/features/encoder.ts';
import { describe, expect, test } from 'vitest';
import { batches } from '../../data/batching/batches.ts';
import { readUsers } from '../../data/formats/catalog.ts';
import { prepare } from '../../data/dataset.ts';
import { readLog } from '../../data/formats/reader.ts';
import { inferSchema } from '../../data/features/schema.ts';
import { inferEvents, milliseconds, SideFeatureEncoder, sideFeatureRows } from '../../data/features/event-encoder.ts';
import { SideFeatures } from '../../data/features/side-features.ts';
import { splitDataset } from '../../data/splits/split.ts';
import { chunked } from './bytes.ts';

const NOON = Date.UTC(2026, 10, 21, 12) / 1000; // a Saturday
const LOG = `user,item,rating,timestamp,device
ann,a,5,${NOON},phone
ann,b,3,${NOON + 60},
ann,c,,${NOON + 3600},desk
ann,d,4,${NOON + 86400},phone
bob,a,4,${NOON},tv
bob,b,5,,phone
bob,d,1,${NOON + 10},phone
`;
const USERS = 'user_id,sex,age\nann,f,20\nbob,m,\ncyd,f,60\n';

async function split(context: string[] = []) {
  const log = await readLog(chunked(LOG), 'log.csv', { context });
  return splitDataset(prepare(log, { minInteractions: 1 }));
}

describe('side features', () => {
  test('users come from CSV, RecBole and users.dat', async () => {
    expect((await readUsers(chunked(USERS), 'users.csv')).get('bob')).toEqual({ sex: 'm' });
    const recbole = await readUsers(chunked('user_id:token\tage:token\n7\t24\n'), 'x.user');
    expect(recbole.get('7')).toEqual({ age: '24' });
    const dat = await readUsers(chunked('1::F::1::10::48067\n'), 'users.dat');
    expect(dat.get('1')).toEqual({ gender: 'F', age: '1', occupation: '10', zip: '48067' });
    await expect(readUsers(chunked('name,age\nx,1\n'), 'u.csv')).rejects.toThrow(
      'u.csv: no column of user IDs among name, age; call it user_id',
    );
  });

  test('events are read by rating, gap, hour, weekday and columns of the log', async () => {
    const { dataset } = await split(['device']);
    const events = inferEvents(dataset, ['rating', 'gap', 'hour', 'weekday', 'device'], 'log.csv');
    expect(events.map(({ name, values, absent }) => [name, values ?? null, Math.round(absent * 7)])).toEqual([
      ['rating', ['1', '3', '4', '5'], 1],
      ['gap', null, 1],
      ['hour', null, 1],
      ['weekday', null, 1],
      ['device', ['phone', 'desk', 'tv'], 1],
    ]);
    const encoder = new SideFeatureEncoder({ events });
    const facts = { rating: 4, gap: 60, ms: NOON * 1000, context: { device: 'desk' } };
    const unseen: UnseenCounts = new Map();
    const bag = new Map(encoder.eventBag(facts, unseen));
    // rating: missing, unknown, 1, 3, 4, 5; then 2 + 32 of the gap: ⌊log2 61⌋ = 5
    expect(bag.get(4)).toBe(1);
    expect(bag.get(6 + 2 + 5)).toBe(1);
    const hour = 6 + 34 + 2;
    // Noon: half of the circle.
    expect([0, 1, 2, 3].map((w) => Math.round(1e6 * (bag.get(hour + w) ?? 0)) / 1e6 + 0)).toEqual(
      [0, -1, -0, 1].map((x) => x + 0),
    );
    expect(bag.get(hour + 4 + 12)).toBe(1);
    expect(encoder.eventBag(null, unseen)).toHaveLength(5);
    expect(unseen.size).toBe(0);
    encoder.eventBag({ rating: 2, context: { device: 'watch' } }, unseen);
    expect(Object.fromEntries(unseen)).toEqual({ rating: 1, device: 1 });
  });

  test('a log without ratings, times or the column says so in one line', async () => {
    const log = await readLog(chunked('user,item\na,x\na,y\n'), 'log.csv');
    const dataset = prepare(log, { minInteractions: 1 });
    expect(() => inferEvents(dataset, ['rating'], 'log.csv')).toThrow('`reads: rating`: log.csv has no ratings');
    expect(() => inferEvents(dataset, ['gap'], 'log.csv')).toThrow('`reads: gap`: log.csv has no times');
    await expect(readLog(chunked(LOG), 'log.csv', { context: ['shop'] })).rejects.toThrow(
      'log.csv: no column "shop" (`reads: shop`); its columns are user, item, rating, timestamp, device',
    );
    expect(milliseconds([3, 4, 5])).toBe(0);
    expect(milliseconds([NOON])).toBe(1000);
  });

  test('each token has its event and its user; hidden ones are encoded as unknown', async () => {
    const plain = await split(['device']);
    const users = await readUsers(chunked(USERS), 'users.csv');
    const rows = ['ann', 'bob'].map((id) => ({ id, title: '', attributes: users.get(id) ?? {} }));
    const schema = { users: inferSchema(rows), events: inferEvents(plain.dataset, ['rating', 'device'], 'log.csv') };
    const encoder = new SideFeatureEncoder(schema);
    const side = new SideFeatures(encoder, plain.dataset, users);
    const of = plain.withSide(side);
    expect(encoder.rows).toBe(sideFeatureRows(schema));
    const tokens = of.sideFeatures(0, 'test');
    expect(tokens?.starts).toHaveLength(4);
    expect(Math.max(...(tokens?.columns ?? []))).toBeLessThan(encoder.rows);
    const first = (rows: typeof tokens) => [...(rows?.columns.subarray(0, rows.starts[1]) ?? [])];
    const user = [...(side.userRow(0)?.columns ?? [])];
    expect(first(tokens).slice(2)).toEqual(user);
    // A stranger's bag is that of the missing values.
    const stranger = new SideFeatures(encoder, { ...of.dataset, userIds: ['x', 'y'] }, users);
    expect(stranger.userRow(0)).toEqual(stranger.userRow(1));
    const hidden = [...batches(of, { maxTokens: 8, window: 4, seed: 1, epoch: 0, sideDropout: 1 })][0];
    const open = [...batches(of, { maxTokens: 8, window: 4, seed: 1, epoch: 0 })][0];
    expect(hidden.side?.starts).toHaveLength(hidden.tokens + 1);
    expect(first(hidden.side).slice(2)).toEqual([...(stranger.userRow(0)?.columns ?? [])]);
    expect(open.side).not.toEqual(hidden.side);
    expect([...batches(of, { maxTokens: 8, window: 4, seed: 1, epoch: 0 })][0]).toEqual(open);
  });
});
