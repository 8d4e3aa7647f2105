/** PostgreSQL under several replicas of the server: they start at once, write at once, and outlive the database's restart. */
import pg from 'pg';
import { afterAll, describe, expect, it } from 'vitest';
import { MIGRATIONS } from '../../server/store/migrations.ts';
import { openStore } from '../../server/store/open.ts';
import { StoreUnavailable, type Store, type StoredEvent } from '../../server/store/store.ts';
import { startPostgres } from '../../scripts/postgres.mjs';

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
