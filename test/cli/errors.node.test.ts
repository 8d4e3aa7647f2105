/** Errors with --json: one JSON object with a stable code, which docs/errors.md lists. */
import { readdirSync, readFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { buildProgram } from '../../cli/program.ts';
import { ERROR_CODES, InputError, nameOptions, option } from '../../data/errors.ts';
import { flagFor, inFlags } from '../../cli/flags/names.ts';
import { circle, openWorkplace, SHARED } from './attune.ts';

const place = openWorkplace(SHARED);
beforeAll(() => {
  place.write('log.csv', circle(['a', 'b', 'c', 'd', 'e', 'f'], 20, 5));
});

describe('errors with --json', () => {
  const train = ['train', '--data', 'log.csv', '--out', 'm', '--json'];
  test.each([
    [
      [...train, '--min-interactions', '1000'],
      1,
      {
        code: 'too-little-data',
        setting: null,
        reason: expect.stringMatching(/^log\.csv: nothing is left/),
        hint: expect.stringMatching(/^try --min-interactions \d+$/),
      },
    ],
    [
      [...train, '--set', 'window=0'],
      1,
      {
        code: 'invalid-value',
        setting: '--set window',
        value: '0',
        reason: expect.stringMatching(/^expected/),
        hint: null,
      },
    ],
    [
      ['train', '--data', 'gone.csv', '--out', 'm', '--json'],
      1,
      { code: 'not-found', setting: null, reason: 'gone.csv: no such file or folder', hint: null },
    ],
    [
      ['recommend', '--model', 'm', '--json'],
      2,
      { code: 'usage', setting: null, reason: expect.stringContaining('--history'), hint: 'see attune --help' },
    ],
    [
      [...train, '--epoch', '3'],
      2,
      { code: 'usage', setting: null, reason: expect.stringContaining('--epoch'), hint: null },
    ],
  ])('%j', async (args, exit, report) => {
    const { code, stdout, stderr } = await place.run(args);
    const lines = stderr.trim().split('\n');
    expect({ code, stdout, report: JSON.parse(lines[lines.length - 1]) }).toEqual({ code: exit, stdout: '', report });
  });

  test('docs/errors.md lists every code', () => {
    const page = readFileSync(new URL('../../docs/errors.md', import.meta.url), 'utf8');
    const listed = [...page.matchAll(/^\| `([a-z-]+)` \|/gm)].map(([, code]) => code);
    expect(listed).toEqual([...ERROR_CODES, 'usage', 'device', 'internal', 'interrupted']);
  });
});

describe('options in messages', () => {
  test("are in the library's names, and the command writes flags", () => {
    const error = new InputError('invalid-value', 'expected an integer >= 1, got 0', {
      setting: 'minInteractions',
      hint: `or ${option('settings.window', 50)} with ${option('columns.rating', 'NAME')}`,
    });
    expect(error.message).toBe(
      '`minInteractions`: expected an integer >= 1, got 0; or `settings.window: 50` with `columns.rating: NAME`',
    );
    expect(inFlags(error.message)).toBe(
      '--min-interactions: expected an integer >= 1, got 0; or --set window=50 with --rating-column NAME',
    );
    expect(nameOptions(error.message, () => null)).toBe(error.message);
    expect(flagFor('columns.all', 'a,b')).toBe('--columns a,b');
  });

  test('that the lower floors name are flags of the command', () => {
    const root = new URL('../../', import.meta.url).pathname;
    const known = new Set(buildProgram().commands.flatMap(({ options }) => options.map(({ long }) => long)));
    const named = ['data', 'model', 'train', 'recommend'].flatMap((folder) =>
      readdirSync(root + folder, { recursive: true, encoding: 'utf8' })
        .filter((name) => name.endsWith('.ts'))
        .flatMap((name) => [...readFileSync(`${root}${folder}/${name}`, 'utf8').matchAll(NAMED)])
        .flatMap(([, name]) => name),
    );
    expect(named.length).toBeGreaterThan(50);
    // `personalize` is the library's alone.
    const others = new Set(['learningRate', 'recency']);
    expect(named.filter((name) => !others.has(name) && !known.has(flagFor(name).split(' ')[0]))).toEqual([]);
  });
});

const NAMED = /(?:\boption\(|\bsetting: )'([\w.]+)'/g;
