/** Files that commands read: their paths, their encoding, and the report of the columns that are used. */
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { idsOf } from '../../cli/input/post-processing.ts';
import { openLog, readIds, readText } from '../../cli/input/data.ts';
import { expandPaths, morePaths, pathsExist } from '../../cli/input/paths.ts';
import { InputError } from '../../data/errors.ts';
import { openWorkplace } from './attune.ts';

const place = openWorkplace({ processes: 'one' });
const at = (name: string): string => place.path(name);
const reading = { columns: {}, maxBadRows: 0 };

describe('text files of flags', () => {
  it('may have byte-order marks, Latin-1, and any line endings', async () => {
    place.write('ids.txt', '\ufeffa\r\nb\rc\n\n');
    place.write('latin1.txt', Uint8Array.of(0xe9, 10));
    place.write('schema.json', '\ufeff{"columns":[]}');
    expect([...(await readIds(at('ids.txt')))]).toEqual(['a', 'b', 'c']);
    expect([...(await readIds(at('latin1.txt')))]).toEqual(['é']);
    expect(JSON.parse(await readText(at('schema.json')))).toEqual({ columns: [] });
    expect(await idsOf(`@${at('ids.txt')}`, '--allow')).toEqual(['a', 'b', 'c']);
  });

  it('are all read through readText', () => {
    const folder = fileURLToPath(new URL('../../cli/', import.meta.url));
    const others = readdirSync(folder)
      .filter((name) => name.endsWith('.ts'))
      .filter((name) => /readFile(Sync)?\([^)]*['"]utf-?8/.test(readFileSync(`${folder}${name}`, 'utf8')));
    expect(others).toEqual([]);
  });
});

describe('--data', () => {
  it('takes several files, in the order given; those of a pattern by name', async () => {
    mkdirSync(at('logs'));
    place.write('logs/2.csv', 'user,item\nb,y\n');
    place.write('logs/1.csv', 'user,item\na,x\n');
    place.write('logs/.hidden.csv', 'nothing\n');
    place.write('a,b.csv', 'user,item\nc,z\n');
    place.write('c*.csv', 'user,item\nd,w\n');
    const pattern = at('logs/?.csv');
    expect(expandPaths(at('log*/*.csv'))).toEqual([at('logs/1.csv'), at('logs/2.csv')]);
    expect(expandPaths(at('c*.csv'))).toEqual([at('c*.csv')]);
    let data: string | undefined;
    for (const path of [at('a,b.csv'), pattern, at('c*.csv')]) data = morePaths(path, data);
    expect(expandPaths(data as string)).toEqual([at('a,b.csv'), at('logs/1.csv'), at('logs/2.csv'), at('c*.csv')]);
    const log = await openLog(data as string, reading);
    expect(log.userIds).toEqual(['c', 'a', 'b', 'd']);
    expect(morePaths('x.csv', undefined)).toBe('x.csv');
    expect([pathsExist(data as string), pathsExist(morePaths(at('no'), pattern)), pathsExist(at('no*'))]).toEqual([
      true,
      false,
      false,
    ]);
    expect(() => expandPaths(at('no*.csv'))).toThrow(InputError);
    expect(() => expandPaths(at('no*.csv'))).toThrow('no file matches');
  });

  it('train reports the columns that it uses, and errors by line', async () => {
    place.write('one.tsv', 'u1\ti1\t3\t1700000000\nu2\ti2\t4\t1700000001\n');
    place.write('two.csv', 'user_id,session_id,movie,event_time\nu1,s,i1,2023-11-14\n');
    const said = async (...args: string[]) => {
      const { code, stdout, stderr } = await place.run(['train', '--out', 'm', '--min-interactions', '1', ...args]);
      return { code, text: stdout + stderr };
    };
    const guessed = await said('--data', 'one.tsv');
    expect(guessed.text).toContain(
      'one.tsv: no header: columns are taken as user, item, rating, timestamp by their shape',
    );
    const named = await said('--data', 'one.tsv', '--columns', 'item,user,rating,ts');
    expect(named.text).toContain('one.tsv: columns: user "user", item "item", time "ts", rating "rating"');
    const found = await said('--data', 'two.csv');
    expect(found.text).toContain('two.csv: columns: user "user_id", item "movie", time "event_time"');
    expect(found.text).toContain('two.csv: user: took "user_id", not "session_id"');
    const ratings = await place.run('train --out m --data one.tsv --task rating --folds 2');
    expect(ratings.stdout).toContain('columns are taken as user, item, rating, timestamp');
    const mixed = await said('--data', 'one.tsv', '--data', 'two.csv');
    expect(mixed).toEqual({
      code: 1,
      text: 'attune: two.csv: has no rating column, unlike the files before it; give them the same columns\n',
    });
    place.write('three.tsv', 'u1\ti1\t3\t1700000000000\n');
    const units = await said('--data', 'one.tsv', '--data', 'three.tsv');
    expect(units.text).toBe(
      'attune: the times are in seconds (one.tsv:1: 1700000000) and in milliseconds (three.tsv:1: 1700000000000); write them all in one unit\n',
    );
  });
});
