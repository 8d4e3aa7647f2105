/** `attune train --init`, and logs of several domains, as users run them. */
import { mkdirSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { circle, openWorkplace, SHARED, SMALL } from './attune.ts';

const place = openWorkplace(SHARED);
const ids = (prefix: string) => Array.from({ length: 24 }, (_, i) => `${prefix}${i}`);
const TRAIN = [...SMALL, '--min-interactions', '1'];
const words = (line: string) => line.split(' ');
const catalog = (prefix: string): string =>
  `item,title,kind,shelf\n${ids(prefix)
    .map((id, i) => `${id},Good ${i},kind ${i % 3},${prefix}`)
    .join('\n')}\n`;
/** Vectors of items in the order of their file, as NumPy writes them. */
function npy(rows: number[][]): Buffer {
  const head = `{'descr': '<f4', 'fortran_order': False, 'shape': (${rows.length}, ${rows[0].length}), }`.padEnd(117);
  const start = Buffer.from([0x93, ...Buffer.from('NUMPY'), 1, 0, 118, 0]);
  return Buffer.concat([start, Buffer.from(`${head}\n`), Buffer.from(Float32Array.from(rows.flat()).buffer)]);
}

beforeAll(async () => {
  place.write('books.csv', circle(ids('b'), 40, 10));
  // The same users, every other of whom sees the last film before the last book.
  const films = circle(ids('f'), 40, 10).replace(/^(u(\d+),.*,)(\d+)$/gm, (_, row, user, time) => {
    return `${row}${Number(time) + (user % 2 === 0 ? 1 : -1)}`;
  });
  place.write('films.csv', films);
  place.write('books.items.csv', catalog('b'));
  place.write('films.items.csv', catalog('f'));
  const vectors = ids('x').map((_, i) => [Math.sin(i), Math.cos(i), i / 24]);
  for (const folder of ['one', 'two']) {
    mkdirSync(place.path(folder));
    place.write(`${folder}/text.npy`, npy(vectors));
  }
  await place.ok([...words('train --data books.csv --items books.items.csv --out books --epochs 3'), ...TRAIN]);
});

describe('attune train --init', () => {
  const from = (map: string, out: string, more = '') => [
    ...words(`train --data films.csv --items films.items.csv --init books --map ${map} --out ${out} --epochs 1${more}`),
    ...words('--min-interactions 1 --device cpu'),
  ];

  it('starts from the encoder and the rows of another model, and says what it took', async () => {
    const { result, stderr } = await place.answer(from('ids:title', 'films'));
    expect(stderr).toMatch(/starts from books \(version [0-9a-f]{12}, 24 items\)/);
    expect(result.init).toMatchObject({ from: 'books', map: 'ids:title', rows: 24, frozenEpochs: 0 });
    expect(place.partJson('films/config.json').init).toEqual(result.init);
    const said = await place.ok(from('attributes', 'by-attributes', ' --freeze-epochs 1'));
    expect(said.stdout).toMatch(
      /24 of 24 items started from rows of books \(--map attributes\); on items that were held out/,
    );
    const by = await place.answer(from('vectors', 'by-vectors', ' --init-vectors one/text.npy --vectors two/text.npy'));
    expect(by.result.init).toMatchObject({ map: 'vectors', rows: 24 });
    // It is a model like any other.
    const { items } = await place.json('recommend --model films --history f1,f2 --k 3');
    expect(items).toHaveLength(3);
  });

  it('refuses in one line what does not go together', async () => {
    const refused = (args: string[]) => place.fails(args);
    expect(await refused(from('ids', 'none'))).toContain('--map ids: no item has the ID of one of the model');
    expect(await refused(from('ids:title', 'none', ' --set d=32'))).toMatch(
      /--set d=32: the encoder of books has d=\d+; leave it out/,
    );
    expect(await refused(words('train --data films.csv --out none --map ids'))).toContain('require --init MODEL');
    expect(await refused(from('vectors', 'none'))).toContain('--map vectors requires --init-vectors');
    expect(await refused(words('train --resume --out films --init films'))).toContain(
      '--init: --resume continues what',
    );
  });
});

describe('logs of several domains', () => {
  const JOINT = [
    ...words('train --data books.csv --data films.csv --domain-column shop --out joint --epochs 2'),
    ...TRAIN,
  ];

  it('train together, and are evaluated one by one', async () => {
    const { stderr } = await place.answer(JOINT);
    expect(stderr).toContain('domains by shop: books with 24 items, films with 24 items');
    const all = await place.json('evaluate --model joint --data books.csv --data films.csv --no-baselines');
    expect(all.domains.column).toBe('shop');
    const domains = Object.values(all.domains.values) as {
      users: number;
      items: number;
      metrics: never;
      within: never;
    }[];
    const sum = (of: 'metrics' | 'within', name: string) =>
      domains.reduce((total, domain) => total + domain.users * domain[of][name], 0) / all.users;
    expect(domains.reduce((total, { users }) => total + users, 0)).toBe(all.users);
    for (const name of ['NDCG@10', 'HR@10', 'MRR']) {
      expect(sum('metrics', name)).toBeCloseTo(all.metrics[name], 10);
      expect(sum('within', name)).toBeGreaterThanOrEqual(all.metrics[name]);
    }
    expect(domains.map(({ items }) => items)).toEqual([24, 24]);
    const { stdout } = await place.ok(words('evaluate --model joint --data books.csv --data films.csv --no-baselines'));
    expect(stdout).toMatch(/targets by shop/);
  });

  it('compare with a model of one domain on what both know', async () => {
    const line = 'compare books joint --data books.csv --data films.csv';
    expect(await place.fails(words(line))).toMatch(/the catalogs differ .*--shared-items/);
    const { users, items, a, b, differences } = await place.json(`${line} --shared-items`);
    expect(items).toBe(24);
    expect(users).toBeGreaterThan(0);
    expect(differences['NDCG@10'].mean).toBeCloseTo(b.metrics['NDCG@10'] - a.metrics['NDCG@10'], 10);
  });

  it('have a column of the log or of the items, or the names of several files', async () => {
    place.write('all-items.csv', catalog('b') + catalog('f').split('\n').slice(1).join('\n'));
    const line =
      'train --data books.csv --data films.csv --items all-items.csv --domain-column shelf --out shelved --epochs 1';
    const { stderr } = await place.answer([...words(line), ...TRAIN]);
    expect(stderr).toContain('domains by shelf: b with 24 items, f with 24 items');
    const missing = await place.fails([...words('train --data books.csv --domain-column shop --out none'), ...TRAIN]);
    expect(missing).toContain('no column "shop"');
  });
});
