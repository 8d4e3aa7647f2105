/** Lists of stored users are kept until something changes them, and never longer. */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fixture, startServer, type TestServer } from './server.ts';

async function counts({ call }: TestServer): Promise<{ hit: number; miss: number }> {
  const { body } = await call('GET', '/metrics');
  const of = (result: string): number =>
    Number(new RegExp(`^attune_list_cache_total\\{result="${result}"\\} (\\d+)$`, 'm').exec(body)?.[1] ?? 0);
  return { hit: of('hit'), miss: of('miss') };
}

describe('the cache of lists', () => {
  let server: TestServer;
  let models: string;
  beforeAll(async () => {
    models = mkdtempSync(path.join(tmpdir(), 'attune-cache-'));
    cpSync(fixture('sequence'), path.join(models, 'other'), { recursive: true });
    server = await startServer({ models });
    const events = ['i1', 'i2', 'i3'].map((item) => ({ user: 'ann', item }));
    expect((await server.call('POST', '/v1/events', events)).status).toBe(201);
  });
  afterAll(async () => {
    await server.close();
    rmSync(models, { recursive: true });
  });

  /** The list, and whether the cache had it. */
  const ask = async (query = 'k=5', user = 'ann'): Promise<{ ids: string[]; from: string }> => {
    const before = await counts(server);
    const ids = await server.ids('GET', `/v1/users/${user}/recommendations?${query}`);
    const after = await counts(server);
    const [hit, miss] = [after.hit - before.hit, after.miss - before.miss];
    expect([hit, miss].sort()).toEqual(hit + miss === 0 ? [0, 0] : [0, 1]);
    return { ids, from: hit > 0 ? 'cache' : miss > 0 ? 'model' : 'neither' };
  };

  it('answers the same request again, and another one from the model', async () => {
    const first = await ask();
    expect(first.from).toBe('model');
    expect(await ask()).toEqual({ ids: first.ids, from: 'cache' });
    expect(await ask('k=6')).toMatchObject({ from: 'model' });
    const without = await ask(`k=5&exclude=${first.ids[0]}`);
    expect(without.from).toBe('model');
    expect(without.ids).not.toContain(first.ids[0]);
    expect(await ask('k=5&diversity=0.9')).toMatchObject({ from: 'model' });
    expect(await ask()).toEqual({ ids: first.ids, from: 'cache' });
  });

  it('an event of the user makes another list, one of another user does not', async () => {
    const { ids } = await ask();
    await server.call('POST', '/v1/events', { user: 'bob', item: ids[1] });
    expect((await ask()).from).toBe('cache');
    await server.call('POST', '/v1/events', { user: 'ann', item: ids[0] });
    const after = await ask();
    expect(after.from).toBe('model');
    expect(after.ids).not.toContain(ids[0]);
    await server.call('PUT', '/v1/users', { id: 'ann', columns: {} });
    expect((await ask()).from).toBe('model');
  });

  it('items that are put or deleted change lists at once', async () => {
    const { ids } = await ask();
    expect((await ask()).from).toBe('cache');
    await server.call('DELETE', `/v1/items/${ids[0]}`);
    const without = await ask();
    expect(without).toMatchObject({ from: 'model' });
    expect(without.ids).not.toContain(ids[0]);
    await server.call('PUT', '/v1/items', { id: ids[1], title: 'A new title' });
    expect((await ask()).from).toBe('model');
    const { body } = await server.call('GET', '/v1/users/ann/recommendations?k=5');
    expect(body.items.find(({ id }: { id: string }) => id === ids[1])).toMatchObject({ title: 'A new title' });
  });

  it('another model makes its own lists', async () => {
    await ask();
    expect((await ask()).from).toBe('cache');
    const swap = await server.call('POST', '/v1/models', { folder: 'other', force: true });
    expect(swap.body).toMatchObject({ swapped: true });
    expect((await ask()).from).toBe('model');
    expect((await ask()).from).toBe('cache');
  });

  it('a request that names its time, and users who are not in the store, are answered by the model', async () => {
    const time = Date.now() + 1000;
    for (let i = 0; i < 2; i++) expect((await ask(`k=5&now=${time}`)).from).toBe('neither');
    for (let i = 0; i < 2; i++) expect((await ask('k=5', 'nobody')).from).toBe('model');
  });

  it('a deleted user who comes back starts anew', async () => {
    const { ids } = await ask();
    expect((await ask()).from).toBe('cache');
    await server.call('DELETE', '/v1/users/ann');
    const unknown = await ask();
    expect(unknown.from).toBe('model');
    expect(unknown.ids).not.toEqual(ids);
    await server.call('POST', '/v1/events', { user: 'ann', item: 'i9' });
    expect(await ask()).toMatchObject({ from: 'model' });
  });

  it('lists grow old, and the config turns it off', async () => {
    for (const [cache, from] of [
      [{ seconds: 0.001 }, 'miss'],
      [{ lists: 0 }, 'neither'],
    ] as const) {
      const other = await startServer({}, { cache });
      try {
        await other.call('POST', '/v1/events', { user: 'eve', item: 'i1' });
        for (let i = 0; i < 3; i++) {
          await other.ids('GET', '/v1/users/eve/recommendations');
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
        expect(await counts(other)).toEqual({ hit: 0, miss: from === 'miss' ? 3 : 0 });
      } finally {
        await other.close();
      }
    }
  });
});
