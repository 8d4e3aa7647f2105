/** Control characters in names, titles, and paths never reach the terminal, and an error is one line. */
import { mkdirSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { oneLine, SMALL, openWorkplace, SHARED } from './attune.ts';

const ESCAPE = '\u001b]0;owned\u0007\u001b[2J';
/** What a terminal acts on: C0 except line feeds, DEL, C1, and directional marks. */
const ACTS = /(?!\n)[\p{Cc}\u202a-\u202e\u2066-\u2069]/u;
const CELL = `${ESCAPE}\u009b31m\u202eevil`;

const place = openWorkplace(SHARED);
const run = (...args: string[]) => place.run(args);

beforeAll(async () => {
  const rows = ['user,item'];
  for (let u = 0; u < 12; u++) for (let i = 0; i < 8; i++) rows.push(`u${u}${CELL},i${(u + i) % 9}${CELL}`);
  place.write('log.csv', `${rows.join('\n')}\n`);
  const items = Array.from(
    { length: 9 },
    (_, i) => `i${i}${CELL},Title ${i} ${CELL} ${'long '.repeat(200)},kind${CELL}`,
  );
  place.write('items.csv', `item,title,kind\n${items.join('\n')}\n`);
  const trained = await run(
    ...'train --data log.csv --items items.csv --out'.split(' '),
    `model${ESCAPE}`,
    ...SMALL,
    ...'--epochs 1 --min-interactions 1'.split(' '),
  );
  expect(trained.code, trained.stderr).toBe(0);
  expect(trained.stdout + trained.stderr).not.toMatch(ACTS);
  expect(trained.stdout).toContain('model\\x1b]0;owned');
});

describe('control characters', () => {
  const model = `model${ESCAPE}`;
  it.each([
    ['recommend', ['recommend', '--model', model, '--history', `i1${CELL},unknown${CELL}`]],
    ['recommend as JSON', ['recommend', '--model', model, '--history', `i1${CELL},unknown${CELL}`, '--json']],
    ['explain', ['recommend', '--model', model, '--history', `i1${CELL},i2${CELL}`, '--explain']],
    ['generate', ['generate', '--model', model, '--history', `i1${CELL}`, '--steps', '2']],
    ['evaluate', ['evaluate', '--model', model, '--data', 'log.csv']],
    ['compare', ['compare', model, 'popularity', '--data', 'log.csv']],
  ])('%s shows them, and does not send them', async (_, args) => {
    const { code, stdout, stderr } = await run(...args);
    expect(code, stderr).toBe(0);
    expect(stdout + stderr).not.toMatch(ACTS);
    for (const line of args.includes('--json') ? [] : stdout.split('\n')) expect(line.length).toBeLessThan(1500);
  });

  it('JSON has the names unchanged', async () => {
    const { stdout } = await run('recommend', '--model', model, '--history', `i1${CELL}`, '--json');
    const { items } = JSON.parse(stdout);
    expect(items.length).toBeGreaterThan(0);
    for (const { id } of items) expect([id.slice(0, 1), id.slice(2)]).toEqual(['i', CELL]);
  });

  it.each([
    ['a path', 1, ['recommend', '--model', `no such\n${CELL}`, '--history', 'a']],
    ['a log', 1, ['train', '--data', `no\nlog${CELL}.csv`, '--out', 'x']],
    ['a flag', 2, ['recommend', `--no${CELL}`]],
    ['a value', 2, ['train', '--data', 'log.csv', '--out', 'x', '--protocol', `p\n${CELL}`]],
    ['a setting', 1, ['train', '--data', 'log.csv', '--out', 'x', '--set', `d${CELL}\n=4`]],
    ['a condition', 1, ['recommend', '--model', model, '--history', `i1${CELL}`, '--where', `x${CELL}\n`]],
    ['an endless name', 1, ['recommend', '--model', model, '--history', `${'x'.repeat(90_000)}\n${CELL}`]],
  ])('an error about %s is one line', async (_, code, args) => {
    const outcome = await place.run(args);
    expect(outcome.code, outcome.stderr).toBe(code);
    expect(outcome.stderr).not.toMatch(ACTS);
    const lines = outcome.stderr.trimEnd().split('\n');
    expect(oneLine(`${lines.at(-1)}\n`).length).toBeLessThan(4500);
    expect(lines.filter((line) => !line.startsWith('attune: '))).toEqual([]);
  });

  it('the name of a file is shown escaped', async () => {
    mkdirSync(place.path(`folder${ESCAPE}`));
    expect(await place.fails(['evaluate', '--model', model, '--data', `folder${ESCAPE}`])).toMatch(
      /^1 folder\\x1b\]0;owned\\x07/,
    );
  });
});
