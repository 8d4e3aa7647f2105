/** `attune serve --data`: an empty store is filled from a log. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'libsql';
import { afterAll, describe, expect, it } from 'vitest';
import type { ItemInfo } from '../../data/formats/catalog.ts';
import { readLog } from '../../data/formats/reader.ts';
import { type Imported, importLog, importState } from '../../server/store/import.ts';
import { openStore } from '../../server/store/open.ts';
import { endAll, serveCommand } from './command.ts';
import { fixture } from './server.ts';

const folder = mkdtempSync(join(tmpdir(), 'attune-import-'));
afterAll(() => {
  endAll();
  rmSync(folder, { recursive: true, force: true });
});
let made = 0;
const newFile = () => join(folder, `${++made}.db`);

/** A log from CSV. */
async function logOf(csv: string, context?: string[]): Promise<Imported['log']> {
  const chunks = async function* () {
    yield new TextEncoder().encode(csv);
  };
  return readLog(chunks(), 'log.csv', { context });
}
const importedFrom = async (csv: string, more: Partial<Imported> & { context?: string[] } = {}): Promise<Imported> => ({
  log: await logOf(csv, more.context),
  items: null,
  users: null,
  minRating: null,
  ...more,
});

/** Indexes of a file, by name and definition. */
function indexesOf(file: string): string[] {
  const db = new Database(file);
  const found = db.prepare("SELECT name || ' ' || coalesce(sql, '') AS own FROM sqlite_master WHERE type = 'index'");
  const names = (found.all([]) as { own: string }[]).map(({ own }) => own).sort();
  db.close();
  return names;
}

describe('an import', () => {
  it('has events with times, ratings and context, items and users', async () => {
    const store = await openStore(newFile());
    const csv = 'user,item,rating,timestamp,device\na,x,4.5,1600000100,phone\nb,y,,1600000000,\na,z,1,1600000050,tv\n';
    const items = new Map<string, ItemInfo>([
      ['x', { title: 'X', attributes: { price: '3' } }],
      ['y', { title: 'y', attributes: {} }],
    ]);
    const given = await importedFrom(csv, { context: ['device'], items, users: new Map([['a', { age: '30' }]]) });
    expect(await importState(store)).toBe('empty');
    expect(await importLog(store, given, () => {})).toBe(3);
    expect(await importState(store)).toBe('filled');
    expect(await store.user('a', 10)).toMatchObject({
      columns: { age: '30' },
      events: [
        { item: 'z', time: 1_600_000_050_000, rating: 1, context: { device: 'tv' } },
        { item: 'x', time: 1_600_000_100_000, rating: 4.5, context: { device: 'phone' } },
      ],
    });
    expect((await store.user('b', 10))?.events).toMatchObject([{ item: 'y', rating: null, context: null }]);
    expect((await store.itemsSince(0)).items).toMatchObject([
      { id: 'x', title: 'X', attributes: { price: '3' }, deleted: false },
      { id: 'y', title: null, attributes: {}, deleted: false },
    ]);
    await store.close();
  });

  it.each([
    ['without a time column', 'user,item\na,3\na,1\na,2\n', ['3', '1', '2']],
    ['with equal times', 'user,item,timestamp\na,3,1600000000\na,1,1600000000\na,2,1600000000\n', ['3', '1', '2']],
    ['of an order', 'user,item,timestamp\na,3,7\na,1,5\na,2,6\n', ['1', '2', '3']],
    ['with unknown times first', 'user,item,timestamp\na,3,1600000000\na,1,\na,2,\n', ['1', '2', '3']],
    ['with times before 1970', 'user,item,timestamp\na,3,1960-01-02\na,1,\na,2,1960-01-01\n', ['1', '2', '3']],
  ])('keeps the order of a log %s', async (_, csv, order) => {
    const store = await openStore(newFile());
    await importLog(store, await importedFrom(csv), () => {});
    expect((await store.user('a', 10))?.events.map(({ item }) => item)).toEqual(order);
    await store.close();
  });

  it('leaves out what the training left out', async () => {
    const store = await openStore(newFile());
    const csv = 'user,item,rating\na,x,3\na,y,4\na,z,\na,w,5\n';
    expect(await importLog(store, await importedFrom(csv, { minRating: 4 }), () => {})).toBe(2);
    expect((await store.user('a', 10))?.events.map(({ item }) => item)).toEqual(['y', 'w']);
    await store.close();
  });

  it('continues after it was interrupted anywhere, and refuses another log then', async () => {
    const rows = Array.from({ length: 75_000 }, (_, i) => `u${i % 997},i${i % 101},${i % 5}`);
    const csv = `user,item,rating\n${rows.join('\n')}\n`;
    const given = await importedFrom(csv, { minRating: 1 });
    const whole = await openStore(newFile());
    expect(await importLog(whole, given, () => {})).toBe(60_000);
    const file = newFile();
    let store = await openStore(file);
    const steps: number[] = [];
    const fresh = newFile();
    await (await openStore(fresh)).close();
    expect(indexesOf(fresh).filter((own) => /^events_/.test(own))).toHaveLength(2);
    for (let i = 0; (await importState(store)) !== 'filled'; i++) {
      const stop = importLog(store, given, (row) => {
        steps.push(row);
        if (i < 3) throw new Error('interrupted');
      });
      if (i < 3) await expect(stop).rejects.toThrow('interrupted');
      else expect(await stop).toBe(60_000);
      await store.close();
      // Those of events are made once all are there.
      expect(indexesOf(file)).toEqual(
        i < 3 ? indexesOf(fresh).filter((own) => !/^events_/.test(own)) : indexesOf(fresh),
      );
      store = await openStore(file);
      if (i === 0) {
        expect(await importState(store)).toBe('interrupted');
        await expect(importLog(store, await importedFrom('user,item\na,b\n'), () => {})).rejects.toThrow(
          'part of another log',
        );
      }
    }
    expect(steps).toEqual([...steps].sort((a, b) => a - b));
    expect(steps.at(-1)).toBe(75_000);
    expect(await store.eventsAfter(-1, 1e6)).toEqual(await whole.eventsAfter(-1, 1e6));
    await store.close();
    await whole.close();
  });
});

describe('attune serve --data', () => {
  const model = fixture('sequence');
  const from = (name: string) => fixture(name);

  it('fills an empty store and serves what is in it; a second start leaves the store as it is', async () => {
    const store = newFile();
    const args = [
      '--model',
      model,
      '--store',
      store,
      '--data',
      from('log.csv'),
      '--items',
      from('items.csv'),
      '--users',
      from('users.csv'),
    ];
    const first = await serveCommand(args);
    expect(first.said()).toContain('192 events are in the store\n');
    const answer = await fetch(`${first.url}/v1/users/u0/recommendations?k=5`);
    const { items } = (await answer.json()) as { items: { id: string }[] };
    expect(items).toHaveLength(5);
    expect(await first.end('SIGTERM')).toBe(0);
    const opened = await openStore(store);
    const seen = (await opened.user('u0', 100))?.events ?? [];
    expect(seen[0]).toMatchObject({ item: 'i0', time: 1_600_000_000_000, rating: 1 });
    expect(items.filter(({ id }) => seen.some(({ item }) => item === id))).toEqual([]);
    expect(await opened.user('u0', 0)).toMatchObject({ columns: { segment: 'regular' } });
    const sizes = await opened.sizes();
    expect(sizes).toEqual({ users: 24, items: 30, events: 192 });
    await opened.close();
    const second = await serveCommand(args);
    expect(second.said()).toMatch(/the store has events, users or items already: nothing was read from .*log\.csv\n/);
    await second.end('SIGTERM');
    const again = await openStore(store);
    expect(await again.sizes()).toEqual(sizes);
    await again.close();
  });

  it.each([
    [['--items', 'items.csv'], /--items and --users fill an empty store with a log: name it with --data PATH/],
    [['--data', 'absent.csv'], /absent\.csv: no such file/],
    [['--data', 'bad.csv'], /bad\.csv/],
  ])('%j is refused in one line', async (args, message) => {
    writeFileSync(join(folder, 'bad.csv'), 'a,b,c\n');
    const given = args.map((own) => (own.endsWith('.csv') ? join(folder, own) : own));
    const error = await serveCommand(['--model', model, '--store', newFile(), ...given]).then(
      () => null,
      (own) => own as Error,
    );
    expect(error?.message).toMatch(message);
    expect(error?.message.split('\n').filter((line) => /attune: (?!the operator's page)/.test(line))).toHaveLength(1);
  });

  it('a store with part of a log is not served, and is filled at the next start', async () => {
    const file = newFile();
    const store = await openStore(file);
    const csv = readFileSync(from('log.csv'), 'utf8');
    // As the command does it, up to the first part.
    const given = await importedFrom(csv);
    given.log.source = from('log.csv');
    await expect(importLog(store, given, () => expect.unreachable('killed'))).rejects.toThrow('killed');
    await store.close();
    await expect(serveCommand(['--model', model, '--store', file])).rejects.toThrow(/holds part of a log.*--data/);
    const server = await serveCommand(['--model', model, '--store', file, '--data', from('log.csv')]);
    expect(server.said()).toMatch(/log\.csv was interrupted: continuing\n.*192 events are in the store/s);
    expect(await server.end('SIGTERM')).toBe(0);
  });

  it('never says the password of an address', async () => {
    for (const address of [
      'postgres://me:s3cret@127.0.0.1:1/shop',
      'postgres://me:s3cret@[/shop',
      'postgresql://me:s3cret@127.0.0.1:1/',
    ]) {
      const error = await serveCommand(['--model', model, '--store', address]).then(
        () => null,
        (own) => own as Error,
      );
      expect(error?.message).toMatch(/attune: .*(cannot be used as a store|expected postgres:)/);
      expect(error?.message).not.toContain('s3cret');
    }
  });
});
