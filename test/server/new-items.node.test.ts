/** Items that are put after the training, and predicted ratings. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { NodeFiles, RatingPredictor } from '../../recommend/node.ts';
import { trainModel } from '../../train/index.ts';
import { Device } from '../../engine/index.ts';
import { fixture, startServer, type TestServer } from './server.ts';

describe('a model that reads attributes', () => {
  let server: TestServer;
  let folder: string;
  beforeAll(async () => {
    folder = mkdtempSync(path.join(tmpdir(), 'attune-tower-'));
    // Those who like one kind like it all along.
    const items = Array.from({ length: 24 }, (_, i) => ({
      id: `i${i}`,
      attributes: { kind: i % 2 ? 'tea' : 'coffee' },
    }));
    const events = Array.from({ length: 40 }, (_, u) =>
      Array.from({ length: 8 }, (_, t) => ({
        user: `u${u}`,
        item: `i${(2 * (t + (u >> 1)) + (u % 2)) % 24}`,
        time: t,
      })),
    ).flat();
    const device = await Device.open({ backend: 'cpu' });
    await trainModel(events, {
      items,
      files: await NodeFiles.create(path.join(folder, 'model')),
      recipe: 'sasrec',
      settings: { items: 'tower', d: 8, ff: 16, blocks: 1, window: 8, budget: 128, learningRate: 0.02, memory: 'off' },
      epochs: 12,
      minInteractions: 1,
      device,
    });
    device.close();
    // As trainings write it today: with the scale of its ratings.
    const ratings = path.join(folder, 'ratings');
    cpSync(fixture('ratings'), ratings, { recursive: true });
    const config = JSON.parse(readFileSync(path.join(ratings, 'config.json'), 'utf8'));
    writeFileSync(path.join(ratings, 'config.json'), JSON.stringify({ ...config, ratingRange: { least: 1, most: 5 } }));
    server = await startServer({ model: path.join(folder, 'model'), ratings });
  });
  afterAll(async () => {
    await server.close();
    rmSync(folder, { recursive: true });
  });

  const listOf = (history: string[]): Promise<string[]> =>
    server.ids('POST', '/v1/recommendations', { history, k: 128 });

  it('an item that is new to the model is served by its attributes, from the answer to its PUT on', async () => {
    const [tea, coffee] = [
      ['i1', 'i3', 'i5'],
      ['i0', 'i2', 'i4'],
    ];
    expect(await listOf(tea)).not.toContain('oolong');
    await server.call('PUT', '/v1/items', { id: 'oolong', title: 'Oolong', attributes: { kind: 'tea' } });
    const [liked, other] = [await listOf(tea), await listOf(coffee)];
    expect(liked).toContain('oolong');
    expect(liked.indexOf('oolong')).toBeLessThan(other.indexOf('oolong'));
    // It counts as history, has neighbors, and is gone when it is deleted.
    await server.call('POST', '/v1/events', { user: 'drinker', item: 'oolong' });
    const drinker = await server.ids('GET', '/v1/users/drinker/recommendations?k=5');
    expect(drinker).not.toEqual(await server.ids('GET', '/v1/users/nobody/recommendations?k=5'));
    const near = await server.ids('GET', '/v1/items/oolong/similar?k=3');
    expect(near.every((id) => Number(id.slice(1)) % 2 === 1)).toBe(true);
    await server.call('DELETE', '/v1/items/oolong');
    expect(await listOf(tea)).not.toContain('oolong');
    await server.call('PUT', '/v1/items', [
      { id: 'oolong', title: 'Oolong', attributes: { kind: 'tea' } },
      { id: 'mocha', title: 'Mocha', attributes: { kind: 'coffee' } },
    ]);
    expect(await listOf(tea)).toEqual(expect.arrayContaining(['oolong', 'mocha']));
  });

  it('the model reads the catalog anew where a title or an attribute has changed, and not for what is deleted', async () => {
    const read = vi.spyOn(server.context.models.current.recommender, 'updateCatalog');
    const reads = async (method: string, path: string, body?: object): Promise<number> => {
      read.mockClear();
      expect((await server.call(method, path, body)).status).toBe(200);
      return read.mock.calls.length;
    };
    const item = { id: 'i7', title: 'Seven', attributes: { kind: 'tea' } };
    expect(await reads('DELETE', '/v1/items/i7')).toBe(0);
    expect(await listOf(['i1'])).not.toContain('i7');
    expect(await reads('PUT', '/v1/items', item)).toBe(1);
    expect(await listOf(['i1'])).toContain('i7');
    expect(await reads('PUT', '/v1/items', { ...item, attributes: { kind: 'coffee' } })).toBe(1);
    expect(await reads('PUT', '/v1/items', { ...item, id: 'seven' })).toBe(1);
    expect(await reads('DELETE', '/v1/items/seven')).toBe(0);
    read.mockRestore();
  });

  it('queries that are asked while items are put are answered', async () => {
    const asked = Array.from({ length: 20 }, (_, i) => listOf([`i${i % 24}`]));
    const put = Array.from({ length: 5 }, (_, i) =>
      server.call('PUT', '/v1/items', { id: `more${i}`, attributes: { kind: 'tea' } }),
    );
    for (const list of await Promise.all(asked)) expect(list.length).toBeGreaterThan(20);
    for (const { status } of await Promise.all(put)) expect(status).toBe(200);
    expect(await listOf(['i1'])).toEqual(expect.arrayContaining(['more0', 'more4']));
  });

  it('predicts ratings as the library does, of a session and of a stored user', async () => {
    const history = [
      { item: 'i1', rating: 5 },
      { item: 'i2', rating: 1 },
    ];
    const { body } = await server.call('POST', '/v1/ratings', { history, items: ['i3', 'i4', 'none'] });
    const device = await Device.open({ backend: 'cpu' });
    const predictor = await RatingPredictor.load(fixture('ratings'), { device });
    const expected = await predictor.predict({ history, items: ['i3', 'i4'] });
    predictor.close();
    device.close();
    expect(body.unknown).toEqual(['none']);
    expect(body.items.map(({ prediction }: { prediction: number }) => prediction)).toEqual(
      expected.items.map(({ prediction }) => prediction),
    );
    await server.call(
      'POST',
      '/v1/events',
      history.map((event, i) => ({ ...event, user: 'rater', time: 1000 + i })),
    );
    const own = await server.call('POST', '/v1/ratings', { user: 'rater', items: ['i3', 'i4', 'none'] });
    expect(own.body.items.map(({ id }: { id: string }) => id)).toEqual(['i3', 'i4']);
  });

  it('predicts ratings whatever off the scale is stored, and refuses it in a request', async () => {
    const rated = [
      { item: 'i1', rating: 5, time: 1000 },
      { item: 'i2', rating: 1, time: 1001 },
    ];
    const stored = [...rated, { item: 'i5', rating: 90, time: 1002 }];
    await server.call(
      'POST',
      '/v1/events',
      stored.map((event) => ({ ...event, user: 'odd' })),
    );
    const of = (who: object) => server.call('POST', '/v1/ratings', { ...who, items: ['i3'] });
    expect((await of({ user: 'odd' })).body).toEqual((await of({ history: rated })).body);
    expect(await of({ history: stored })).toMatchObject({ status: 400, body: { field: '/history' } });
    const later = {
      history: rated.map((event) => ({ ...event, time: 1.7e12 })),
      now: 1.7e12 + 1e9,
      context: { device: 'tv' },
    };
    expect((await of(later)).status).toBe(200);
    expect(await of({ ...later, now: 'soon' })).toMatchObject({ status: 400, body: { field: '/now' } });
  });
});
