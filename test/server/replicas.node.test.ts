/** PostgreSQL under several replicas of the server: they start at once, write at once, and outlive the database's restart. */
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { importLog, importState } from '../../server/store/import.ts';
import { MIGRATIONS } from '../../server/store/migrations.ts';
import { openStore } from '../../server/store/open.ts';
import { StoreUnavailable, type Store, type StoredEvent } from '../../server/store/store.ts';
import { logOf } from '../../train/index.ts';
import { startPostgres } from '../../scripts/postgres.mjs';
import { startServer, type TestServer } from './server.ts';

const postgres = await startPostgres();
afterAll(() => postgres?.stop());

const event = (user: string, item: string, id: string | null = null): StoredEvent => ({
  user,
  item,
  type: 'view',
  time: 1000,
  rating: null,
  context: null,
  id,
});

/** A statement of another session. */
async function query(address: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: address });
  await client.connect();
  return (await client.query(sql).finally(() => client.end())).rows;
}

describe.skipIf(!postgres)('replicas on PostgreSQL', () => {
  const database = (more?: string) => (postgres as NonNullable<typeof postgres>).database(more);
  const replicas = (address: string, count: number): Promise<Store[]> =>
    Promise.all(Array.from({ length: count }, () => openStore(address)));
  const close = (stores: readonly Store[]) => Promise.all(stores.map((store) => store.close()));

  it('start at once on an empty database', async () => {
    const address = await database();
    const stores = await replicas(address, 5);
    await Promise.all(stores.map((store, i) => store.addEvents([event('a', `${i}`)])));
    for (const store of stores) expect((await store.user('a', 10))?.events).toHaveLength(5);
    await close(stores);
    expect(await query(address, 'SELECT version FROM attune.schema_version')).toEqual([
      { version: `${MIGRATIONS.length}` },
    ]);
  });

  it('leave the tables of others alone, whatever their names', async () => {
    const address = await database();
    await query(address, "CREATE TABLE users (id text); INSERT INTO users VALUES ('theirs')");
    const store = await openStore(address);
    await store.putUsers([{ id: 'ours', columns: {} }]);
    await store.close();
    expect(await query(address, 'SELECT * FROM public.users')).toEqual([{ id: 'theirs' }]);
  });

  it('add the same ids and the same users at once: each event once, every revision seen', async () => {
    const stores = await replicas(await database(), 4);
    const users = Array.from({ length: 20 }, (_, i) => `u${i}`);
    const added = await Promise.all(
      Array.from({ length: 120 }, (_, i) => {
        // In opposite orders, so that rows are locked crosswise if their order is not kept.
        const order = i % 2 ? users : [...users].reverse();
        return stores[i % 4].addEvents(order.map((user) => event(user, `${i}`, `${user}:${i % 30}`)));
      }),
    );
    expect(added.flat().filter(Boolean)).toHaveLength(20 * 30);
    for (const store of stores) {
      expect(await store.sizes()).toMatchObject({ users: 20, events: 600 });
      for (const user of users) expect((await store.user(user, 100))?.events).toHaveLength(30);
    }
    await close(stores);
  });

  it('a user who is deleted while others write has all or nothing', async () => {
    const stores = await replicas(await database(), 4);
    for (let round = 0; round < 20; round++) {
      await Promise.all([
        ...stores.map((store, i) => store.addEvents([event('x', `${round}-${i}`), event('y', 'z')])),
        stores[round % 4].deleteUser('x'),
        stores[0].putShown([
          { user: 'x', time: 1, model: 'm', items: [] },
          { user: 'y', time: 1, model: 'm', items: [] },
        ]),
        stores[1].putUsers([{ id: 'x', columns: {} }]),
      ]);
    }
    await stores[0].deleteUser('x');
    expect(await stores[1].user('x', 10)).toBeNull();
    expect((await stores[1].user('y', 1000))?.events).toHaveLength(80);
    expect((await stores[2].sizes()).events).toBe(80);
    await close(stores);
  });

  it('a schema of a later version, and a database that is not in UTF-8, are refused in one line', async () => {
    const address = await database();
    await (await openStore(address)).close();
    await query(address, 'UPDATE attune.schema_version SET version = version + 1');
    await expect(openStore(address)).rejects.toThrow(/a store of version \d+, made by a later Attune; upgrade Attune/);
    const latin = await database("ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0");
    await expect(openStore(latin)).rejects.toThrow('expected a database in UTF8, got LATIN1');
  });

  it('a connection that breaks is reported as such, and the next one is used', async () => {
    const address = await database();
    const store = await openStore(address);
    await store.addEvents([event('a', '1')]);
    const end = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'attune' AND datname = current_database()`;
    const writing = Array.from({ length: 50 }, (_, i) =>
      store.addEvents([event('a', 'again', `${i}`)]).catch((error) => {
        expect(error).toBeInstanceOf(StoreUnavailable);
        return null;
      }),
    );
    await query(address, end);
    await Promise.all(writing);
    // What was not acknowledged is sent again, under the same ids.
    for (let i = 0; i < 50; i++)
      await store.addEvents([event('a', 'again', `${i}`)]).catch(() => store.addEvents([event('a', 'again', `${i}`)]));
    expect((await store.user('a', 100))?.events).toHaveLength(51);
    await store.close();
  });
});

describe.skipIf(!postgres)('two servers on one store', () => {
  let here: TestServer;
  let there: TestServer;
  beforeAll(async () => {
    const store = await (postgres as NonNullable<typeof postgres>).database();
    [here, there] = [await startServer({ store }), await startServer({ store })];
    const events = ['i1', 'i2', 'i3'].flatMap((item) => ['ann', 'bob'].map((user) => ({ user, item })));
    expect((await here.call('POST', '/v1/events', events)).status).toBe(201);
  });
  afterAll(async () => {
    await here?.close();
    await there?.close();
  });

  const counter = async ({ call }: TestServer, name: string): Promise<number> => {
    const { body } = await call('GET', '/metrics');
    return Number(
      body
        .split('\n')
        .find((line: string) => line.startsWith(`${name} `))
        ?.slice(name.length + 1) ?? 0,
    );
  };
  /** The list of the other server, which has it in its cache from then on. */
  const cached = async (user: string): Promise<string[]> => {
    const path = `/v1/users/${user}/recommendations?k=8`;
    const list = await there.ids('GET', path);
    const hits = await counter(there, 'attune_list_cache_total{result="hit"}');
    expect(await there.ids('GET', path)).toEqual(list);
    expect(await counter(there, 'attune_list_cache_total{result="hit"}')).toBe(hits + 1);
    return list;
  };
  const listOf = (server: TestServer, user: string) => server.ids('GET', `/v1/users/${user}/recommendations?k=8`);

  it('a list that one has in its cache is not served after an event that the other took, not even once', async () => {
    const before = await cached('ann');
    const other = await cached('bob');
    for (const item of before.slice(0, 5)) {
      await cached('ann');
      expect((await here.call('POST', '/v1/events', { user: 'ann', item })).status).toBe(201);
      const after = await listOf(there, 'ann');
      expect(after).not.toContain(item);
      expect(after).toEqual(await listOf(here, 'ann'));
    }
    expect(await listOf(there, 'bob')).toEqual(other);
  });

  it('nor after a dislike, other columns, or the end of the user', async () => {
    const [disliked] = await cached('bob');
    await here.call('POST', '/v1/events', { user: 'bob', item: disliked, type: 'dislike' });
    expect(await cached('bob')).not.toContain(disliked);
    const misses = await counter(there, 'attune_list_cache_total{result="miss"}');
    await here.call('PUT', '/v1/users', { id: 'bob', columns: { segment: 'regular' } });
    await listOf(there, 'bob');
    expect(await counter(there, 'attune_list_cache_total{result="miss"}')).toBe(misses + 1);
    await here.call('DELETE', '/v1/users/bob');
    expect(await listOf(there, 'bob')).toEqual(await listOf(there, 'nobody'));
  });

  it('an item that one deleted or put is soon gone from the lists of the other, or in them, cached or not', async () => {
    const until = async (done: (list: string[]) => boolean): Promise<string[]> => {
      const started = performance.now();
      for (;;) {
        const list = await listOf(there, 'ann');
        if (done(list)) return list;
        if (performance.now() - started > 30_000) throw new Error('the other server does not see it');
      }
    };
    const [first] = await cached('ann');
    await here.call('DELETE', `/v1/items/${first}`);
    const without = await until((list) => !list.includes(first));
    expect(without).toEqual(await listOf(here, 'ann'));
    expect(await there.ids('GET', '/v1/popular?k=128')).not.toContain(first);
    await here.call('PUT', '/v1/items', { id: first, title: 'Back', attributes: { genre: 'Drama' } });
    await until((list) => list.includes(first));
    const { body } = await there.call('GET', '/v1/users/ann/recommendations?k=8');
    expect(body.items.find(({ id }: { id: string }) => id === first)).toMatchObject({ title: 'Back' });
  });

  it('an event that one takes is judged by the list that the other showed, and both add up', async () => {
    await here.call('POST', '/v1/events', { user: 'eve', item: 'i9' });
    const [hit] = await listOf(there, 'eve');
    await new Promise((resolve) => setTimeout(resolve, 1000)); // lists that were shown are saved a moment later
    const { version } = here.context.models.current;
    const judged = async (): Promise<number[]> =>
      Promise.all(
        [here, there].flatMap((server) =>
          ['events', 'hits'].map((name) => counter(server, `attune_online_${name}_total{model="${version}"}`)),
        ),
      );
    const before = await judged();
    await here.call('POST', '/v1/events', { user: 'eve', item: hit });
    // It is judged after it was answered.
    await vi.waitFor(async () => expect((await judged()).map((value, i) => value - before[i])).toEqual([1, 1, 0, 0]), {
      timeout: 30_000,
    });
  });
});

it.skipIf(!postgres)('servers that start at once with a log fill the empty store once', async () => {
  const store = await (postgres as NonNullable<typeof postgres>).database();
  const events = Array.from({ length: 30_000 }, (_, i) => ({
    user: `u${i % 700}`,
    item: `i${i % 30}`,
    time: 1.6e9 + i,
  }));
  const log = logOf(events, 'log.csv', []);
  let imports = 0;
  const fill = async (empty: Store) => {
    if ((await importState(empty)) === 'filled') return;
    imports++;
    await importLog(empty, { log, items: null, users: null, minRating: null }, () => {});
  };
  const servers = await Promise.all(Array.from({ length: 3 }, () => startServer({ store, fill })));
  expect(imports).toBe(1);
  for (const server of servers) {
    expect((await server.context.store.sizes()).events).toBe(30_000);
    await server.close();
  }
});
