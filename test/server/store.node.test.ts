/** The contract of the store (server/store/store.ts), on both databases. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { InputError } from '../../data/errors.ts';
import { openStore } from '../../server/store/open.ts';
import type { Store, StoredEvent } from '../../server/store/store.ts';
import { startPostgres } from '../../scripts/postgres.mjs';
import { event } from './events.ts';

const postgres = await startPostgres();
const folder = mkdtempSync(join(tmpdir(), 'attune-store-'));
afterAll(async () => {
  await postgres?.stop();
  rmSync(folder, { recursive: true, force: true });
});

let made = 0;
const sqlite = async () => join(folder, `${++made}.db`);

/** Any text but what no store holds. */
const text = fc
  .oneof(
    fc.string({ unit: 'binary', minLength: 1, maxLength: 20 }),
    fc.constantFrom(
      '__proto__',
      "'; DROP TABLE users; --",
      'ß',
      'ẞ',
      'é',
      'e\u0301',
      ' a',
      'a ',
      '%_',
      '\\',
      '$1',
      '?',
      '\u{10ffff}',
      '\ufeff',
      '\u0001',
    ),
  )
  .filter((own) => !own.includes('\0'));
const columns = fc.dictionary(text, text, { maxKeys: 3, noNullPrototype: true });

describe.each([
  ['sqlite', sqlite, true],
  ['postgres', async () => (postgres ? postgres.database() : ''), false],
] as const)('the store on %s', (kind, address, embedded) => {
  const there = embedded || postgres !== null;
  let where: string;
  let store: Store;
  const reopen = async () => {
    await store.close();
    store = await openStore(where);
  };
  const items = async (id: string) => (await store.user(id, 1e6))?.events.map(({ item }) => item);

  describe.skipIf(!there)('holds its contract:', () => {
    beforeAll(async () => {
      where = await address();
      store = await openStore(where);
    });
    afterAll(() => store.close());

    it('its name is for people', () => {
      expect(store.name).toBe(
        embedded ? `sqlite: ${where}` : `postgres: ${new URL(where).host}${new URL(where).pathname}`,
      );
    });

    it('events come back as they were given, over a restart, too', async () => {
      const whole = event('whole', 'i', {
        type: 'buy',
        time: 1_700_000_000_000.25,
        rating: 0.1 + 0.2,
        context: { device: 'phone', ключ: '' },
        id: 'whole-1',
      });
      const bare = event('whole', 'j', { time: 0 });
      expect(await store.addEvents([whole, bare])).toEqual([true, true]);
      await reopen();
      const user = await store.user('whole', 10);
      const seen = ({ item, type, time, rating, context }: StoredEvent) => ({ item, type, time, rating, context });
      expect(user).toEqual({ columns: {}, revision: expect.any(Number), events: [seen(bare), seen(whole)] });
    });

    it('an unknown user is null, without a list', async () => {
      expect(await store.user('nobody', 10)).toBeNull();
      expect(await store.shown(['nobody'])).toEqual(new Map());
      expect(await store.deleteUser('nobody')).toBe(false);
    });

    it('events are in the order of time, then of arrival', async () => {
      await store.addEvents([
        event('order', 'c', { time: 30 }),
        event('order', 'a', { time: 10 }),
        event('order', 'b1', { time: 20 }),
        event('order', 'b2', { time: 20 }),
      ]);
      await store.addEvents([event('order', 'b3', { time: 20 }), event('order', 'early', { time: -5 })]);
      expect(await items('order')).toEqual(['early', 'a', 'b1', 'b2', 'b3', 'c']);
    });

    it('a limit keeps the newest events', async () => {
      await store.addEvents(Array.from({ length: 20 }, (_, i) => event('limit', `${i}`, { time: i })));
      expect((await store.user('limit', 3))?.events.map(({ item }) => item)).toEqual(['17', '18', '19']);
      expect((await store.user('limit', 0))?.events).toEqual([]);
    });

    it('an event whose id is there is not added again: in one request, in several at once, in a later one', async () => {
      const one = (item: string, id: string | null) => event('again', item, { id });
      expect(await store.addEvents([one('a', 'k1'), one('b', 'k1'), one('c', null), one('c', null)])).toEqual([
        true,
        false,
        true,
        true,
      ]);
      const at = await Promise.all(Array.from({ length: 20 }, (_, i) => store.addEvents([one(`d${i}`, 'k2')])));
      expect(at.flat().filter(Boolean)).toHaveLength(1);
      expect(await store.addEvents([one('e', 'k2'), one('f', 'k3')])).toEqual([false, true]);
      expect(await items('again')).toHaveLength(5);
    });

    it('a repeated event of a new user makes no user', async () => {
      await store.addEvents([event('first', 'a', { id: 'taken' })]);
      expect(await store.addEvents([event('second', 'a', { id: 'taken' })])).toEqual([false]);
      expect(await store.user('second', 1)).toBeNull();
    });

    it('a revision grows with every change of its user, and with no other', async () => {
      const revision = async (id: string) => (await store.user(id, 0))?.revision as number;
      const seen: number[] = [];
      await store.putUsers([{ id: 'other', columns: {} }]);
      const other = await revision('other');
      for (const change of [
        () => store.addEvents([event('grows', 'a')]),
        () => store.addEvents([event('grows', 'a')]),
        () => store.putUsers([{ id: 'grows', columns: { age: '3' } }]),
        () => store.addEvents([event('grows', 'a'), event('grows', 'b')]),
      ]) {
        await change();
        seen.push(await revision('grows'));
      }
      await store.deleteUser('grows');
      await store.addEvents([event('grows', 'a')]);
      seen.push(await revision('grows'));
      expect(seen).toEqual([...new Set(seen)].sort((a, b) => a - b));
      expect(await revision('other')).toBe(other);
    });

    it('users are put and replaced, before and after their events; the last of one request counts', async () => {
      await store.putUsers([
        { id: 'put', columns: { age: '1' } },
        { id: 'put', columns: { age: '2', sex: 'F' } },
      ]);
      await store.addEvents([event('put', 'a')]);
      expect(await store.user('put', 5)).toMatchObject({ columns: { age: '2', sex: 'F' }, events: [{ item: 'a' }] });
      await store.putUsers([{ id: 'put', columns: {} }]);
      expect(await store.user('put', 5)).toMatchObject({ columns: {}, events: [{ item: 'a' }] });
    });

    it('a deleted user is gone with events, columns and list; the id of an event is free again', async () => {
      await store.putUsers([{ id: 'gone', columns: { age: '1' } }]);
      await store.addEvents([event('gone', 'a', { id: 'gone-1' }), event('stays', 'a')]);
      await store.putShown([{ user: 'gone', time: 5, model: 'm', items: ['a'] }]);
      expect(await store.deleteUser('gone')).toBe(true);
      expect(await store.deleteUser('gone')).toBe(false);
      expect(await store.user('gone', 5)).toBeNull();
      expect(await store.shown(['gone'])).toEqual(new Map());
      expect((await store.eventsAfter(0, 1e6)).filter(({ user }) => user === 'gone')).toEqual([]);
      expect(await items('stays')).toEqual(['a']);
      expect(await store.addEvents([event('gone', 'b', { id: 'gone-1' })])).toEqual([true]);
      expect(await store.user('gone', 5)).toMatchObject({ columns: {}, events: [{ item: 'b' }] });
    });

    it('items are put, replaced, deleted and put again; every change has a later revision', async () => {
      const info = (id: string, title: string | null) => ({ id, title, attributes: { price: title ?? '' } });
      const start = (await store.itemsSince(0)).revision;
      await store.putItems([info('x', 'X'), info('y', null), info('x', 'X2')], 100);
      const one = await store.itemsSince(start);
      expect(one.items).toEqual([
        { ...info('x', 'X2'), created: 100, deleted: false },
        { ...info('y', null), created: 100, deleted: false },
      ]);
      await store.deleteItem('x', 200);
      const two = await store.itemsSince(one.revision);
      expect(two.items).toEqual([{ id: 'x', title: null, attributes: {}, created: 100, deleted: true }]);
      await store.putItems([info('x', 'X3')], 300);
      const three = await store.itemsSince(two.revision);
      expect(three.items).toEqual([{ ...info('x', 'X3'), created: 100, deleted: false }]);
      await store.deleteItem('only the model knows it', 400);
      expect((await store.itemsSince(three.revision)).items).toMatchObject([
        { id: 'only the model knows it', deleted: true },
      ]);
      const last = (await store.itemsSince(0)).revision;
      expect(last).toBeGreaterThan(three.revision);
      expect(await store.itemsSince(last)).toEqual({ revision: last, items: [] });
    });

    it('a reader of items misses no change of many writers', async () => {
      const { revision: start } = await store.itemsSince(0);
      const others = embedded ? [store] : [store, await openStore(where)];
      const seen = new Set<string>();
      let revision = start;
      let writing = true;
      const read = async () => {
        do {
          const next = await store.itemsSince(revision);
          for (const { id } of next.items) seen.add(id);
          expect(next.revision).toBeGreaterThanOrEqual(revision);
          ({ revision } = next);
          await nextTurn();
        } while (writing);
      };
      const reading = read();
      const ids = Array.from({ length: 150 }, (_, i) => `many-${i}`);
      await Promise.all(
        ids.map((id, i) => others[i % others.length].putItems([{ id, title: null, attributes: {} }], i)),
      );
      writing = false;
      await reading;
      await Promise.all(others.slice(1).map((other) => other.close()));
      const { items: rest } = await store.itemsSince(revision);
      for (const { id } of rest) seen.add(id);
      expect([...seen].filter((id) => id.startsWith('many-')).sort()).toEqual(ids.sort());
    });

    it('counts many events in parts, each once, whatever their times', async () => {
      const late = 5e12;
      // More at one time than a part has; parts that end anywhere.
      const times = Array.from({ length: 9000 }, (_, i) => late + (i < 3000 ? 1 : i < 6000 ? i : 7000 + (i % 7)));
      await store.addEvents(times.map((time, i) => event('counter', `${i % 3}`, { time })));
      let turns = 0;
      const turning = setInterval(() => turns++, 0);
      const counts = await store.counts(late, Number.POSITIVE_INFINITY);
      clearInterval(turning);
      expect(counts.map(({ count }) => count)).toEqual([3000, 3000, 3000]);
      expect(turns).toBeGreaterThan(0);
      await store.deleteUser('counter');
    });

    it('counts, events after a time, sizes', async () => {
      const before = await store.sizes();
      const late = 4e12;
      await store.addEvents([
        event('counts', 'a', { time: late }),
        event('counts', 'a', { time: late + 2, type: 'buy' }),
        event('counts2', 'a', { time: late + 1, id: 'late' }),
        event('counts', 'b', { time: late + 1 }),
      ]);
      const counts = (await store.counts(late - 1, late + 2)).sort((a, b) =>
        a.item + a.type < b.item + b.type ? -1 : 1,
      );
      expect(counts).toEqual([
        { item: 'a', type: 'buy', count: 1 },
        { item: 'a', type: 'view', count: 2 },
        { item: 'b', type: 'view', count: 1 },
      ]);
      expect(await store.counts(late + 2, Number.POSITIVE_INFINITY)).toEqual([]);
      expect(await store.counts(late, late + 1)).toEqual([
        { item: 'a', type: 'view', count: 1 },
        { item: 'b', type: 'view', count: 1 },
      ]);
      const after = await store.eventsAfter(late, 10);
      expect(after).toEqual([
        event('counts2', 'a', { time: late + 1, id: 'late' }),
        event('counts', 'b', { time: late + 1 }),
        event('counts', 'a', { time: late + 2, type: 'buy' }),
      ]);
      expect(await store.eventsAfter(late, 1)).toEqual(after.slice(0, 1));
      const { users, items, events } = await store.sizes();
      expect({ users, items, events }).toEqual({
        users: before.users + 2,
        items: before.items,
        events: before.events + 4,
      });
    });

    it('the list that a user saw last; none for an unknown user', async () => {
      await store.putUsers([{ id: 'sees', columns: {} }]);
      await store.putShown([
        { user: 'sees', time: 1, model: 'm', items: ['a'] },
        { user: 'not stored', time: 1, model: 'm', items: ['a'] },
      ]);
      await store.putShown([{ user: 'sees', time: 2, model: 'n', items: ['b', '__proto__'] }]);
      const others = ["'); --", '"\\\u0001', 'ß', '\u{10ffff}', '__proto__'];
      await store.addEvents(others.map((user) => event(user, 'a')));
      await store.putShown(others.map((user, i) => ({ user, time: i, model: 'm', items: [user] })));
      const shown = await store.shown(['sees', 'not stored', ...others, 'nobody']);
      expect(shown.get('sees')).toEqual({ time: 2, model: 'n', items: ['b', '__proto__'] });
      expect([...shown.keys()].sort()).toEqual(['sees', ...others].sort());
      others.forEach((user, i) => {
        expect(shown.get(user)).toEqual({ time: i, model: 'm', items: [user] });
      });
      expect(await store.shown([])).toEqual(new Map());
    });

    it('what must be alone, whose errors are its own', async () => {
      expect(await store.exclusively(async () => 7)).toBe(7);
      await expect(store.exclusively(() => Promise.reject(new RangeError('mine')))).rejects.toThrow(RangeError);
      await store.exclusively(() => store.putUsers([{ id: 'alone', columns: {} }]));
      expect(await store.user('alone', 0)).not.toBeNull();
    });

    it('an import, which is known until it ends', async () => {
      expect(await store.importing()).toBeNull();
      await store.startImport('a log');
      await reopen();
      expect(await store.importing()).toBe('a log');
      await store.startImport('a log'); // it goes on
      await store.addEvents([event('imported', 'a', { time: 2 }), event('imported', 'b', { time: 1 })]);
      expect(await items('imported')).toEqual(['b', 'a']);
      await store.endImport();
      expect(await store.importing()).toBeNull();
      expect(await items('imported')).toEqual(['b', 'a']);
    });

    it.each([1, 2, 63, 64, 65, 1000])('%i events, users and items at once, as many times', async (count) => {
      const ids = Array.from({ length: count }, (_, i) => `many-${count}-${i}`);
      const events = ids.map((id, i) => event(id, `${i}`, { id: i % 3 ? id : null, time: i }));
      expect(await store.addEvents(events)).toEqual(ids.map(() => true));
      expect(await store.addEvents(events)).toEqual(ids.map((_, i) => i % 3 === 0));
      await store.putUsers(ids.map((id, i) => ({ id, columns: { n: `${i}` } })));
      await store.putItems(
        ids.map((id, i) => ({ id, title: `${i}`, attributes: {} })),
        5,
      );
      for (const i of new Set([0, count >> 1, count - 1]))
        expect(await store.user(ids[i], 10)).toMatchObject({
          columns: { n: `${i}` },
          events: [...(i % 3 ? [] : [{ item: `${i}` }]), { item: `${i}`, time: i }],
        });
      const put = new Map((await store.itemsSince(0)).items.map(({ id, title }) => [id, title]));
      expect(ids.map((id) => put.get(id))).toEqual(ids.map((_, i) => `${i}`));
    });

    it('a bad event is refused with its own request, and with no other that waits', async () => {
      const refused = (own: Partial<StoredEvent>) =>
        expect(store.addEvents([event('bad', 'ok'), event('bad', 'a', own)])).rejects.toBeInstanceOf(InputError);
      await Promise.all([
        expect(store.addEvents([event('good', 'a')])).resolves.toEqual([true]),
        refused({ time: Number.NaN }),
        refused({ rating: Number.POSITIVE_INFINITY }),
        refused({ user: 'a\0b' }),
        refused({ item: '\ud800' }),
        refused({ context: { '\udc00': 'a' } }),
        refused({ id: 'x\0' }),
        // What the checks do not know of: the database refuses it.
        expect(store.addEvents([event('bad', 'a', { type: null as never })])).rejects.toThrow(),
        expect(store.addEvents([event('good', 'b')])).resolves.toEqual([true]),
      ]);
      expect(await items('good')).toEqual(['a', 'b']);
      expect(await items('bad')).toBeUndefined();
      await expect(store.putUsers([{ id: 'bad', columns: { a: '\0' } }])).rejects.toBeInstanceOf(InputError);
      await expect(store.putItems([{ id: 'bad', title: '\ud800', attributes: {} }], 0)).rejects.toBeInstanceOf(
        InputError,
      );
    });

    it('any text comes back as it was', async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.uniqueArray(text, { minLength: 1, maxLength: 4 }),
          fc.array(fc.record({ item: text, type: text, context: fc.option(columns) }), { minLength: 1, maxLength: 3 }),
          columns,
          async (users, events, own) => {
            const ids = users.map((id) => `~${id}`);
            const given = ids.flatMap((user) => events.map((e) => event(user, e.item, e)));
            expect(await store.addEvents(given)).toEqual(given.map(() => true));
            await store.putUsers(ids.map((id) => ({ id, columns: own })));
            for (const id of ids) {
              const found = await store.user(id, 10);
              expect(found?.columns).toEqual(own);
              expect(found?.events).toEqual(events.map((e) => ({ time: 1000, rating: null, ...e })));
              expect(await store.deleteUser(id)).toBe(true);
              expect(await store.user(id, 10)).toBeNull();
            }
          },
        ),
        { numRuns: embedded ? 20 : 60 },
      );
    });

    it('any finite time and rating comes back exactly', async () => {
      const number = fc.double({ noNaN: true, noDefaultInfinity: true }).map((x) => x + 0 || 0);
      await fc.assert(
        fc.asyncProperty(fc.array(fc.record({ time: number, rating: number }), { minLength: 1 }), async (given) => {
          await store.addEvents(given.map((own, i) => event('numbers', `${i}`, own)));
          const found = await store.user('numbers', 1e4);
          const at = (item: string) => found?.events.find((own) => own.item === item);
          for (const [i, own] of given.entries()) expect(at(`${i}`)).toMatchObject(own);
          await store.deleteUser('numbers');
        }),
        { numRuns: 20 },
      );
    });

    it('a history of 150,000 events: added at once, read, limited, deleted', async () => {
      const given = Array.from({ length: 150_000 }, (_, i) => event('long', `item ${i % 1000}`, { time: i }));
      for (let from = 0; from < given.length; from += 10_000) {
        expect(await store.addEvents(given.slice(from, from + 10_000))).not.toContain(false);
      }
      const found = await store.user('long', 1e6);
      expect(found?.events.length).toBe(given.length);
      expect(found?.events.every(({ time, item }, i) => time === i && item === given[i].item)).toBe(true);
      expect((await store.user('long', 2))?.events.map(({ time }) => time)).toEqual([149_998, 149_999]);
      await store.deleteUser('long');
      expect(await store.user('long', 1)).toBeNull();
    });

    it('everything is there after it was closed while writing', async () => {
      const writing = Array.from({ length: 30 }, (_, i) => store.addEvents([event('closing', `${i}`)]));
      await reopen();
      expect((await Promise.all(writing)).flat()).toHaveLength(30);
      expect(await items('closing')).toHaveLength(30);
      await store.ping();
    });
  });

  it.runIf(there)(`${kind}: an empty store has nothing`, async () => {
    const empty = await openStore(await address());
    expect(await empty.sizes()).toEqual({ users: 0, items: 0, events: 0 });
    expect(await empty.itemsSince(0)).toEqual({ revision: 0, items: [] });
    expect(await empty.counts(0, Number.POSITIVE_INFINITY)).toEqual([]);
    expect(await empty.addEvents([])).toEqual([]);
    await empty.close();
  });
});
