/** What the embedded store alone must do: its file, its lock, its versions, and no trace of who was deleted. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { copyFileSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import Database from 'libsql';
import { afterAll, describe, expect, it } from 'vitest';
import { MIGRATIONS } from '../../server/store/migrations.ts';
import { openStore } from '../../server/store/open.ts';
import type { SqliteDriver } from '../../server/store/sqlite.ts';
import { event } from './events.ts';

const folder = mkdtempSync(join(tmpdir(), 'attune-sqlite-'));
const children: ChildProcess[] = [];
afterAll(() => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});
let made = 0;
const newFile = () => join(folder, `${++made}.db`);
const fixture = (name: string) => fileURLToPath(new URL(`../fixtures/store/${name}`, import.meta.url));
/** The program that holds a store until it is killed; it says `open` when it does. */
async function hold(file: string): Promise<ChildProcess> {
  const dist = new URL('../../dist/server/store/open.js', import.meta.url);
  const code = `import { openStore } from ${JSON.stringify(dist.href)};
    const store = await openStore(${JSON.stringify(file)});
    await store.putUsers([{ id: 'held', columns: {} }]);
    console.log('open'); setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  await new Promise((resolve, reject) => {
    child.stdout?.once('data', resolve);
    child.once('exit', () => reject(new Error('the other process ended')));
  });
  return child;
}

/** The schema of a file, as SQLite keeps it. */
function schemaOf(file: string): unknown {
  const db = new Database(file);
  const schema = db.prepare('SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name').all([]);
  db.close();
  return schema;
}

describe('the file of the embedded store', () => {
  it('is refused in one line while another process has it, by whatever path, and free after a crash', async () => {
    const file = newFile();
    const other = await hold(file);
    const link = newFile();
    symlinkSync(file, link);
    for (const path of [file, link])
      await expect(openStore(path)).rejects.toMatchObject({
        code: 'locked',
        message: expect.stringMatching(/^[^\n]*: in use by another process; stop that one[^\n]*$/),
      });
    other.kill('SIGKILL');
    await new Promise((resolve) => other.once('exit', resolve));
    const store = await openStore(file);
    expect(await store.user('held', 1)).not.toBeNull();
    await store.close();
  });

  it('is free once it is closed, and then needs no other file', async () => {
    const file = newFile();
    for (let i = 0; i < 3; i++) {
      const store = await openStore(file);
      await store.addEvents([event('a', `${i}`)]);
      await store.close();
      const copy = newFile();
      copyFileSync(file, copy);
      const copied = await openStore(copy);
      expect((await copied.user('a', 10))?.events).toHaveLength(i + 1);
      await copied.close();
      await expect(store.user('a', 1)).rejects.toThrow('is closed');
    }
  });

  it('may be read by a backup while events come in', async () => {
    const file = newFile();
    const store = await openStore(file);
    await store.addEvents([event('a', '1')]);
    const copy = newFile();
    const backup = new Database(file);
    const writing = store.addEvents([event('a', '2')]);
    backup.exec(`VACUUM INTO '${copy}'`);
    backup.close();
    await writing;
    await store.close();
    const copied = await openStore(copy);
    expect((await copied.user('a', 10))?.events.length).toBeGreaterThanOrEqual(1);
    await copied.close();
  });

  it.each([
    [
      'text',
      (file: string) => writeFileSync(file, 'user,item\na,b\n'.repeat(100)),
      /cannot be opened as a store \(.*not a database/,
    ],
    [
      'a SQLite file of another program',
      (file: string) => new Database(file).exec('CREATE TABLE users (id)'),
      /of another program/,
    ],
    ['a folder', () => {}, /cannot be opened as a store/],
    ['a file in no folder', () => {}, /cannot be opened as a store \(no such folder\)$/],
  ])('%s is refused in one line and left as it was', async (what, make, message) => {
    const file =
      what === 'a folder' ? folder : what === 'a file in no folder' ? join(folder, 'absent', 'x.db') : newFile();
    make(file);
    const error: Error = await openStore(file).then(
      () => expect.unreachable(),
      (own) => own,
    );
    expect(error).toMatchObject({ name: 'InputError', message: expect.stringMatching(message) });
    expect(error.message).not.toContain('\n');
    if (what === 'a file in no folder') expect(readdirSync(folder)).not.toContain('absent');
    if (what === 'text') expect(execFileSync('cat', [file], { encoding: 'utf8' })).toMatch(/^user,item\n/);
  });

  it('a store of a later version is refused and left as it was', async () => {
    const file = newFile();
    await (await openStore(file)).close();
    const db = new Database(file);
    db.pragma(`user_version = ${MIGRATIONS.length + 1}`);
    db.close();
    await expect(openStore(file)).rejects.toThrow(
      `a store of version ${MIGRATIONS.length + 1}, made by a later Attune; upgrade Attune, which reads up to ${MIGRATIONS.length}`,
    );
  });

  it('there is a file of every version before this one, and of this one', () => {
    const versions = readdirSync(fixture('.')).filter((name) => name.endsWith('.db'));
    expect(versions.sort()).toEqual(MIGRATIONS.map((_, i) => `v${i + 1}.db`).sort());
  });

  it.each(MIGRATIONS.map((_, i) => i + 1))(
    'a store of version %i is read, and is like a new one then',
    async (version) => {
      const file = newFile();
      copyFileSync(fixture(`v${version}.db`), file);
      const store = await openStore(file);
      expect(await store.user('ann', 10)).toMatchObject({
        columns: { age: '30' },
        events: [
          { item: 'tea', type: 'view', time: 1000, rating: null, context: { device: 'phone' } },
          { item: 'mug', type: 'buy', time: 2000, rating: 4.5, context: null },
        ],
      });
      expect((await store.eventsAfter(0, 10)).map(({ user, id }) => [user, id])).toEqual([
        ['ann', 'e1'],
        ['Bö b', null],
        ['ann', null],
      ]);
      expect((await store.itemsSince(0)).items).toEqual([
        { id: 'tea', title: 'Tea', attributes: { price: '3' }, created: 100, deleted: false },
        { id: 'mug', title: null, attributes: {}, created: 200, deleted: true },
      ]);
      expect((await store.shown(['ann'])).get('ann')).toEqual({ time: 3000, model: 'm1', items: ['pot', 'tea'] });
      expect(await store.addEvents([event('ann', 'new', { id: 'e1' }), event('ann', 'new', { id: 'e2' })])).toEqual([
        false,
        true,
      ]);
      await store.close();
      const fresh = newFile();
      await (await openStore(fresh)).close();
      expect(schemaOf(file)).toEqual(schemaOf(fresh));
    },
  );
});

describe('a deleted user', () => {
  /** Which of the texts are in bytes of the store's files. Another process reads them: to close a file here would end its locks. */
  function found(file: string, texts: readonly string[]): string[] {
    const code = `const { existsSync, readFileSync } = require('node:fs');
      const [file, ...texts] = JSON.parse(readFileSync(0, 'utf8'));
      const files = ['', '-wal', '-shm', '-lock', '-journal'].map((more) => file + more).filter(existsSync);
      console.log(JSON.stringify(texts.filter((text) => files.some((own) => readFileSync(own).includes(text)))));`;
    return JSON.parse(
      execFileSync(process.execPath, ['-e', code], { input: JSON.stringify([file, ...texts]), encoding: 'utf8' }),
    );
  }

  /** Numbers as if random, the same in each run. */
  function numbers(seed: number): (most: number) => number {
    let state = seed;
    return (most) => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return Math.floor((state / 2 ** 32) * most);
    };
  }

  it('leaves no byte in any file: long histories, many users around, pages that split and were joined', async () => {
    const file = newFile();
    const store = await openStore(file);
    const draw = numbers(1);
    const hex = () =>
      draw(2 ** 32)
        .toString(16)
        .padStart(8, '0');
    const secrets = Array.from({ length: 12 }, () => `${hex()}-secret-${hex()}@example.com`);
    const others = Array.from({ length: 1500 }, () => `${hex()}-person-${hex()}@example.com`);
    const all = [...others, ...secrets];
    for (let round = 0; round < 12; round++) {
      const events = Array.from({ length: 1200 }, (_, i) => {
        const user = draw(4) === 0 ? secrets[draw(secrets.length)] : others[draw(others.length)];
        const context = draw(3) === 0 ? { mail: user, note: 'x'.repeat(draw(20) === 0 ? 6000 : 60) } : null;
        return event(user, `item ${draw(500)}`, {
          time: draw(1e6),
          context,
          id: draw(2) ? `${hex()}:${user}:${round}:${i}` : null,
        });
      });
      await store.addEvents(events);
      // Rows that grow and shrink split pages and move their neighbors.
      const changed = Array.from({ length: 200 }, () => all[draw(all.length)]);
      await store.putUsers(
        [...changed, ...secrets].map((id) => ({ id, columns: { mail: id, note: 'y'.repeat(draw(600)) } })),
      );
      await store.putShown(secrets.map((user) => ({ user, time: round, model: 'm', items: [`for ${user}`] })));
      // Rows that go join pages.
      for (let i = 0; i < 3; i++) await store.deleteUser(others[draw(others.length)]);
    }
    const gone = secrets.slice(0, 8);
    const stay = secrets.slice(8);
    expect(found(file, secrets)).toEqual(secrets);
    await Promise.all(gone.slice(0, 4).map((id) => store.deleteUser(id)));
    expect(found(file, gone.slice(0, 4))).toEqual([]);
    for (const id of gone.slice(4)) {
      await store.deleteUser(id);
      expect(found(file, [id])).toEqual([]);
    }
    expect(found(file, stay)).toEqual(stay);
    for (const id of stay) expect((await store.user(id, 1e5))?.events.length).toBeGreaterThan(100);
    await store.addEvents(stay.map((user) => event(user, 'later')));
    expect(found(file, gone)).toEqual([]);
    await store.close();
    expect(found(file, gone)).toEqual([]);
    const db = new Database(file);
    expect(db.pragma('integrity_check')).toEqual([{ integrity_check: 'ok' }]);
    db.close();
  });

  it('is erased at the next start where the process ended before it was', async () => {
    const file = newFile();
    const secret = 'secret-of-a-crash@example.com';
    const store = await openStore(file);
    const driver = (store as unknown as { driver: SqliteDriver }).driver;
    await store.addEvents(
      Array.from({ length: 500 }, (_, i) =>
        event(i % 2 ? secret : `${i}`, `${i}`, { id: i % 2 ? `${secret}${i}` : null }),
      ),
    );
    const noted = async (on: SqliteDriver) => (await on.all("SELECT 1 FROM notes WHERE name = 'erase'")).length > 0;
    // The process ends between the deletion and the erasure.
    Object.assign(driver, { erase: () => Promise.reject(new Error('killed')) });
    await expect(store.deleteUser(secret)).rejects.toThrow('killed');
    expect(await noted(driver)).toBe(true);
    await driver.close();
    const again = await openStore(file);
    expect(await noted((again as unknown as { driver: SqliteDriver }).driver)).toBe(false);
    expect(await again.user(secret, 1)).toBeNull();
    expect(found(file, [secret])).toEqual([]);
    expect(await again.sizes()).toMatchObject({ users: 250, events: 250 });
    await again.close();
  });
});
