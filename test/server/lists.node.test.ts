/** What users of recommenders complain of, as they would meet it: over HTTP, against a running server. */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { startServer, type TestServer } from './server.ts';

describe('lists', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startServer(
      {},
      {
        events: { view: 0 },
        feedback: { neighbors: 2 },
        scenarios: {
          comedies: { where: 'genre=Comedy', k: 3 },
          mixed: { caps: { genre: 1 }, k: 6 },
          own: { calibrate: { genre: 1 } },
        },
      },
    );
  });
  afterAll(() => server.close());

  const add = async (...events: object[]): Promise<void> => {
    expect((await server.call('POST', '/v1/events', events)).status).toBe(201);
  };
  const listOf = (user: string, query = ''): Promise<string[]> =>
    server.ids('GET', `/v1/users/${user}/recommendations?${query}`);

  it('the answer to the next request reflects the last event', async () => {
    const before = await listOf('fresh');
    expect(before).toHaveLength(10); // sensible before the first event: what is popular
    expect(before).toEqual((await server.ids('GET', '/v1/popular')).slice(0, 10));
    await add({ user: 'fresh', item: 'i7' });
    const after = await listOf('fresh');
    expect(after).not.toEqual(before);
    await add({ user: 'fresh', item: 'i9' });
    expect(await listOf('fresh')).not.toEqual(after);
    expect(await listOf('fresh')).toEqual(await server.ids('POST', '/v1/recommendations', { history: ['i7', 'i9'] }));
  });

  it('an event counts at once by whatever clock it has its time, and not before it where the request names one', async () => {
    const ahead = Date.now() + 3_600_000;
    const before = await listOf('hasty', 'k=128');
    await add({ user: 'hasty', item: 'i7', time: ahead });
    const after = await listOf('hasty', 'k=128');
    expect(after).not.toContain('i7');
    expect(after).not.toEqual(before.filter((id) => id !== 'i7'));
    expect(await listOf('hasty', `k=128&now=${ahead - 1}`)).toEqual(before);
    const continued = (now?: number) => server.call('POST', '/v1/continuations', { user: 'hasty', steps: 2, now });
    expect((await continued()).status).toBe(200);
    expect(await continued(ahead - 1)).toMatchObject({ status: 422, body: { code: 'unknown-id' } });
  });

  it('seen items never come back unless asked', async () => {
    const seen = Array.from({ length: 12 }, (_, i) => `i${2 * i}`);
    await add(...seen.map((item, i) => ({ user: 'avid', item, time: 1000 + i })));
    for (const query of ['k=128', 'k=128&diversity=0.5', 'k=128&explore=thompson', 'k=128&caps=genre:9']) {
      const list = await listOf('avid', query);
      expect(list.length).toBeGreaterThan(0);
      expect(list.filter((id) => seen.includes(id))).toEqual([]);
    }
    expect(await listOf('avid', 'k=128&includeSeen=true')).toHaveLength(30);
  });

  it('two users with different histories get different lists', async () => {
    await add({ user: 'one', item: 'i1' }, { user: 'one', item: 'i2' }, { user: 'two', item: 'i20' });
    expect(await listOf('one')).not.toEqual(await listOf('two'));
  });

  it('exclude holds for its request alone', async () => {
    const [first, second] = await listOf('one');
    const without = await listOf('one', `exclude=${first}&exclude=${second}`);
    expect(without).not.toContain(first);
    expect(without).not.toContain(second);
    expect((await listOf('one'))[0]).toBe(first);
  });

  it('pages go on without repeats, also when events come in between', async () => {
    const all = await listOf('two', 'k=128');
    const seen: string[] = [];
    let query = 'k=7';
    for (let page = 0; ; page++) {
      const { body } = await server.call('GET', `/v1/users/two/recommendations?${query}`);
      seen.push(...body.items.map(({ id }: { id: string }) => id));
      if (page === 1) await add({ user: 'two', item: all[25] });
      if (body.cursor === null) break;
      query = `k=7&cursor=${body.cursor}`;
    }
    expect(new Set(seen).size).toBe(seen.length);
    expect([...seen, all[25]].sort()).toEqual([...all].sort());
    const bad = await server.call('GET', '/v1/users/two/recommendations?cursor=abc');
    expect(bad).toMatchObject({ status: 400, body: { field: 'cursor', code: 'invalid-request' } });
  });

  it('negative feedback removes the item and its neighbors for a while', async () => {
    const now = Date.now();
    await add({ user: 'picky', item: 'i3', time: now - 1000 });
    const before = await listOf('picky', 'k=128');
    const [disliked] = before;
    const near = (await server.ids('GET', `/v1/items/${disliked}/similar?k=2`)).filter((id) => id !== 'i3');
    await add({ user: 'picky', item: disliked, type: 'not-interested', time: now });
    const after = await listOf('picky', 'k=128');
    for (const id of [disliked, ...near]) expect(after).not.toContain(id);
    expect(after.length).toBe(before.length - 1 - near.length);
    const later = await listOf('picky', `k=128&now=${now + 31 * 86_400_000}`);
    expect(later).toContain(disliked);
    // It is not held against others.
    expect(await server.ids('POST', '/v1/recommendations', { history: ['i3'], k: 128 })).toContain(disliked);
  });

  it('the config weighs types of events: views are stored, and do not count as interest', async () => {
    await add({ user: 'viewer', item: 'i5', type: 'view' });
    expect(await listOf('viewer')).toEqual(await listOf('nobody'));
    await add({ user: 'viewer', item: 'i5', type: 'purchase' });
    expect(await listOf('viewer')).not.toContain('i5');
  });

  it('a scenario is a named set of options, and the request overrides it', async () => {
    const { body } = await server.call('GET', '/v1/users/one/recommendations?scenario=comedies');
    expect(body.items).toHaveLength(3);
    for (const { attributes } of body.items) expect(attributes.genre).toBe('Comedy');
    expect(await listOf('one', 'scenario=comedies&k=2')).toHaveLength(2);
    expect(await listOf('one', 'scenario=mixed')).toHaveLength(3); // one of each genre
    expect(await listOf('one', 'scenario=mixed&caps=genre:2')).toHaveLength(6);
    const unknown = await server.call('GET', '/v1/users/one/recommendations?scenario=none');
    expect(unknown).toMatchObject({ status: 404, body: { code: 'unknown-scenario', field: 'scenario' } });
  });

  it('lists follow the mix of the history, and floors show what they name, alike in addresses, bodies and scenarios', async () => {
    const history = ['i0', 'i3', 'i6'];
    await add(...history.map((item, time) => ({ user: 'fan', item, time: 1000 + time })));
    const genreOf = new Map<string, string>();
    const plain = await server.call('POST', '/v1/recommendations', { history, k: 128, includeSeen: true });
    for (const { id, attributes } of plain.body.items) genreOf.set(id, attributes.genre);
    const genres = (ids: readonly string[]) => ids.map((id) => genreOf.get(id));
    const own = genreOf.get('i0');
    expect(new Set(genres(history))).toEqual(new Set([own]));
    const calibrated = await listOf('fan', 'k=4&calibrate=genre:1');
    expect(genres(calibrated)).toEqual([own, own, own, own]);
    expect(await listOf('fan', 'k=4&scenario=own')).toEqual(calibrated);
    const body = { history, k: 4, calibrate: { genre: 1 } };
    expect(await server.ids('POST', '/v1/recommendations', body)).toEqual(calibrated);
    const other = Array.from(new Set(genreOf.values())).find((genre) => genre !== own) as string;
    const floor = encodeURIComponent(`genre:${other}>=1`);
    expect(genres(await listOf('fan', `k=4&expose=${floor}`))).toEqual([other, other, other, other]);
    const expose = [{ attribute: 'genre', value: other, share: 0.5 }];
    const mixed = await server.ids('POST', '/v1/recommendations', { history, k: 4, expose });
    expect(genres(mixed).filter((genre) => genre === other).length).toBeGreaterThanOrEqual(2);
    // What is popular has no history to follow, and floors hold there, too.
    expect(await server.ids('GET', '/v1/popular?k=4&calibrate=genre:1')).toEqual(
      await server.ids('GET', '/v1/popular?k=4'),
    );
    expect(genres(await server.ids('GET', `/v1/popular?k=3&expose=${floor}`))).toEqual([other, other, other]);
  });

  it('a user does not get the own listings where they are excluded', async () => {
    await server.call('PUT', '/v1/items', [
      { id: 'i4', title: 'Title 4', attributes: { genre: 'Comedy', seller: 'one' } },
      { id: 'i13', title: 'Title 13', attributes: { genre: 'Comedy', seller: 'two words' } },
    ]);
    const where = encodeURIComponent('seller != $user');
    expect(await listOf('one', 'k=128')).toContain('i4');
    expect(await listOf('one', `k=128&where=${where}`)).not.toContain('i4');
    expect(await listOf('one', `k=128&where=${where}`)).toContain('i13');
    expect(await listOf(encodeURIComponent('two words'), `k=128&where=${where}`)).not.toContain('i13');
    const session = await server.call('POST', '/v1/recommendations', { history: ['i1'], where: 'seller != $user' });
    expect(session).toMatchObject({ status: 400 });
    expect(session.body.detail).toContain('$user is not known here');
  });

  it('a deleted item is never recommended again, at once, until it is put again', async () => {
    const [first] = await listOf('two');
    expect((await server.call('DELETE', `/v1/items/${first}`)).status).toBe(200);
    expect(await listOf('two', 'k=128')).not.toContain(first);
    expect(await listOf('two', 'k=128&includeSeen=true')).not.toContain(first);
    expect(await server.ids('GET', '/v1/popular?k=128')).not.toContain(first);
    expect(await server.ids('POST', '/v1/recommendations', { history: ['i1'], k: 128 })).not.toContain(first);
    await server.call('PUT', '/v1/items', { id: first, title: 'Back', attributes: { genre: 'Drama' } });
    expect(await listOf('two', 'k=128')).toContain(first);
    expect((await server.call('DELETE', '/v1/items/none')).status).toBe(404);
  });

  it('an item without a row in the model is listed among the latest, with its attributes', async () => {
    await server.call('PUT', '/v1/items', { id: 'new', title: 'New', attributes: { genre: 'Comedy' } });
    expect((await server.ids('GET', '/v1/latest'))[0]).toBe('new');
    expect(await server.ids('GET', '/v1/latest?where=genre%3DDrama')).not.toContain('new');
    expect(await server.call('GET', '/v1/items/new/similar')).toMatchObject({ status: 422 });
    await add({ user: 'early', item: 'new' });
    expect(await listOf('early')).toHaveLength(10);
  });

  it('a poor list can be traced: explain names the stage and the events', async () => {
    const { body } = await server.call('GET', '/v1/users/one/recommendations?explain=true&k=30');
    for (const { explanation } of body.items) {
      expect(['transformer', 'transitions']).toContain(explanation.stage);
      expect(explanation.events.length).toBeGreaterThan(0);
    }
    const cold = await server.call('GET', '/v1/users/never/recommendations?explain=true');
    expect(cold.body.items.map((i: { explanation: { stage: string } }) => i.explanation.stage)).toEqual(
      Array(10).fill('prior'),
    );
    const filtered = await server.call('GET', '/v1/users/one/recommendations?explain=true&k=5&where=genre%3DHorror');
    const plain = await listOf('one', 'k=5');
    for (const { id, explanation } of filtered.body.items)
      expect(explanation.stage === 'filter', id).toBe(!plain.includes(id));
    const explored = await server.call('GET', '/v1/users/one/recommendations?explain=true&k=5&explore=ucb');
    for (const { id, explanation } of explored.body.items)
      expect(explanation.stage === 'exploration', id).toBe(!plain.includes(id));
  });

  it('continues a history, of a user or of a session', async () => {
    const { body } = await server.call('POST', '/v1/continuations', { history: ['i1', 'i2'], steps: 3 });
    expect(body.items).toHaveLength(3);
    const own = await server.call('POST', '/v1/continuations', { user: 'one', steps: 3 });
    expect(own.body).toEqual(body);
    const long = await server.call('POST', '/v1/continuations', { history: ['i1'], steps: 100 });
    expect(long).toMatchObject({ status: 422, body: { code: 'too-large', field: '/steps' } });
    const neither = await server.call('POST', '/v1/continuations', { steps: 3 });
    expect(neither).toMatchObject({ status: 400, body: { field: '/user' } });
  });

  it('erases a user', async () => {
    await add({ user: 'gone', item: 'i1' });
    expect(await listOf('gone')).not.toEqual(await listOf('nobody'));
    expect((await server.call('DELETE', '/v1/users/gone')).body).toEqual({ deleted: true });
    expect(await listOf('gone')).toEqual(await listOf('nobody'));
    expect((await server.call('DELETE', '/v1/users/gone')).status).toBe(404);
  });

  it('what is popular follows the events of the last days, by the weights of their types', async () => {
    const [first] = await server.ids('GET', '/v1/popular');
    const chosen = first === 'i28' ? 'i27' : 'i28';
    const past = Date.now() - 5 * 86_400_000;
    const popular = (query = '') => server.ids('GET', `/v1/popular?${query}`);
    const crowd = Array.from({ length: 50 }, (_, i) => ({ user: `crowd${i}`, time: past }));
    await add(...crowd.map((own) => ({ ...own, item: 'i26', type: 'view' }))); // weighs nothing
    await add(...crowd.map((own) => ({ ...own, item: chosen })));
    // What was counted a moment ago may be kept for a moment.
    await vi.waitFor(async () => expect((await popular())[0]).toBe(chosen), { timeout: 30_000 });
    expect((await popular('days=6'))[0]).toBe(chosen);
    expect((await popular('days=4'))[0]).not.toBe(chosen);
    expect((await popular(`now=${past - 1}`))[0]).not.toBe(chosen);
    const counted = vi.spyOn(server.context.store, 'counts');
    await Promise.all(Array.from({ length: 10 }, () => popular('days=9')));
    expect(counted.mock.calls.length).toBeLessThan(10);
    counted.mockRestore();
  });

  it('says what to do about ratings without a model of ratings', async () => {
    const answer = await server.call('POST', '/v1/ratings', { user: 'one', items: ['i1'] });
    expect(answer).toMatchObject({ status: 422, body: { code: 'unsupported' } });
  });
});
