import { mkdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { circle, openWorkplace, SHARED } from './attune.ts';

const place = openWorkplace(SHARED);

describe('help', () => {
  test.each([
    'train',
    'evaluate',
    'compare',
    'search',
    'recommend',
    'vectors',
    'explain',
    'generate',
    'recipes',
    'doctor',
    'tune',
    'bench',
    'demo',
  ])('%s --help', async (command) => {
    const { code, stdout, stderr } = await place.run([command, '--help']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain(`Usage: attune ${command}`);
    expect(stdout).toContain('--json');
    expect(stdout).toMatch(new RegExp(`Example:\\n +.*${command}`));
  });

  test('of train names every default', async () => {
    const { stdout } = await place.run('train --help');
    const text = stdout.replace(/\s+/g, ' ');
    for (const part of [
      'default: "next"',
      '(default: chosen by the size of the log, and reported)',
      '(default: 5)',
      '(default: 0)',
      'default: "auto"',
      'window=200',
    ]) {
      expect(text).toContain(part);
    }
    // No measurement speaks for the ranker: it is taken, and not listed.
    expect(text).not.toMatch(/ranker/i);
  });

  test('without a command, on standard error', async () => {
    const { code, stdout, stderr } = await place.run([]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain('train [options]');
  });
});

describe('wrong usage is one line and exit code 2', () => {
  test.each([
    ['trian', /^2 .*unknown command 'trian' \(Did you mean train\?\)/],
    ['train --data x.csv', /^2 .*required option '--out <dir>'/],
    ['train --out m', /^2 .*--data PATH is missing/],
    ['train --out m --data x --task guess', /^2 .*Allowed choices are next, rating, ctr/],
    ['train --out m --data x --protocol shuffle', /^2 .*unknown protocol; there is leave-one-out, temporal, ratio/],
    ['train --out m --data x --protocol random', /^2 --protocol random: is for ratings; add --task/],
    ['train --out m --data x --task rating --protocol folds:k=1', /^2 .*expected folds:k=5/],
    ['evaluate --model m', /^2 .*--data PATH is missing/],
    ['evaluate --model m --data x --protocol ratio:test=2', /^2 .*test=2: expected a share/],
    ['compare a --data x', /^2 .*missing required argument 'B'/],
    ['compare a a --data x', /^2 a: compared with itself/],
    ['compare ease markov --data x', /^2 .*are both baselines; name a model folder, too/],
    ['search --data x --out s --budget soon', /^2 .*expected a time, as 7d, 2h, 90m or 300s/],
    ['search --data x --out s --budget 1m --range d=9..3', /^2 .*expected key=low..high/],
    ['train --out m --data x --set d', /^2 .*expected key=value/],
    ['train --out m --data x --epochs 1.5', /^2 .*expected an integer >= 1/],
    ['train --out m --data x --max-minutes 0', /^2 .*expected a number > 0/],
    ['train --out m --data x --min-interactions ', /^2 .*expected an integer >= 1/],
    ['train --out m --resume --overwrite', /^2 .*exclude each other/],
    ['recommend --model m', /^2 .*no user: give --history/],
    ['recommend --model m --history a --user u', /^2 .*exclude each other/],
    ['recommend --model m --user u', /^2 .*--user needs the log it is in/],
    ['recommend --model m --history a --device tpu', /^2 .*Allowed choices are auto, webgpu, wasm, cpu/],
    ['vectors --model m', /^2 --out DIR or --to ADDRESS is missing/],
    ['recommend --model m --history a --explain magic', /^2 .*Allowed choices are occlusion, rollout/],
    ['recommend --model m --history a --block 1', /^2 .*choose what --heatmap FILE.svg shows/],
    ['recommend --model m --history a --heatmap x.svg --head 1', /^2 .*--head needs the block/],
    ['generate --model m', /^2 .*no user: give --history/],
    ['generate --model m --history a --decode best', /^2 .*Allowed choices are greedy, top-k, nucleus/],
    ['generate --model m --history a --steps 0', /^2 .*expected an integer >= 1/],
    ['evaluate --model m --data x --top-k 3', /^2 --top-k requires --next/],
    ['evaluate --model m --data x --next 3 --cap a=1', /^2 --cap changes lists/],
    ['evaluate --model m --data x --next 3 --dump f', /^2 --dump writes ranks of single items/],
    ['bench --case nothing', /^2 .*--case nothing: unknown; there is compile, step/],
    ['evaluate --model m --data x --surprise', /^2 .*unknown option '--surprise'/],
  ])('%s', async (command, message) => {
    expect(await place.fails(command)).toMatch(message);
  });
});

describe('bad input is one line with its location, and exit code 1', () => {
  const log = circle(['a', 'b', 'c', 'd', 'e', 'f'], 12, 8);
  const one = (user: string) => Array.from({ length: 8 }, (_, t) => `${user},same,${t}`).join('\n');
  test.each<[string, string | Uint8Array, string[], RegExp]>([
    ['an empty file', '', [], /^in\.csv: /],
    [
      'bytes that are no text',
      Uint8Array.from({ length: 5000 }, (_, i) => (i * 89) % 256),
      [],
      /^in\.csv: is not text/,
    ],
    [
      'unknown columns',
      'who,bought\nu,a\n',
      [],
      /^in\.csv: no user column among who, bought; name it with --user-column/,
    ],
    ['a column that is not there', log, ['--item-column', 'sku'], /^in\.csv: no column "sku" \(--item-column\)/],
    ['a malformed row', `${log}u1,a\n`, [], /^in\.csv:98: expected 3 fields \(user, item, timestamp\), found 2/],
    ['a time that is none', `${log}u1,a,soon\n`, [], /^in\.csv:98: expected a number or a date as time, found "soon"/],
    [
      'more bad rows than allowed',
      `${log}u1\nu2\n`,
      ['--max-bad-rows', '1'],
      /^in\.csv:99: .*after 1 that were skipped/,
    ],
    ['nothing left', 'user,item\nu,a\nu,b\nv,a\n', [], /^in\.csv: nothing is left of 3 rows/],
    ['no ratings to filter', log, ['--min-rating', '4'], /^in\.csv: --min-rating requires a rating column/],
    [
      'one item',
      `user,item,ts\n${one('u')}\n${one('v')}\n`,
      ['--min-interactions', '1'],
      /^in\.csv: only one item is left/,
    ],
    ['histories of length one', 'user,item\nu,a\nv,b\nw,a\n', ['--min-interactions', '1'], /^in\.csv: no user has two/],
    [
      'histories of length two',
      'user,item\nu,a\nu,b\nw,a\nw,b\n',
      ['--min-interactions', '1'],
      /^in\.csv: no user has three/,
    ],
    [
      'a cut in time without a time',
      log.replaceAll(/,\d+$/gm, '').replace(',timestamp', ''),
      ['--protocol', 'temporal'],
      /^--protocol temporal: in\.csv: no time column, which this protocol requires; name it with --time-column NAME, or choose/,
    ],
    ['an unknown recipe', log, ['--recipe', 'gru'], /^--recipe gru: unknown recipe; there is sasrec/],
    ['an unknown setting', log, ['--set', '__proto__=1'], /^--set __proto__=1: unknown setting/],
    ['a setting that makes no model', log, ['--set', 'heads=3'], /^--set heads=3: /],
  ])('%s', async (_, content, args, message) => {
    place.write('in.csv', content);
    const { code, stderr } = await place.run([...'train --data in.csv --out none'.split(' '), ...args]);
    const lines = stderr.trimEnd().split('\n');
    expect(lines.at(-1)?.replace('attune: ', '')).toMatch(message);
    expect(code).toBe(1);
  });

  test('no file, no folder, no model', async () => {
    place.write('log.csv', log);
    place.write('file', 'x');
    mkdirSync(place.path('empty'));
    const runs: [string, RegExp][] = [
      ['train --data gone.csv --out m', /^1 gone\.csv: no such file or folder/],
      ['train --data empty --out m', /^1 empty: no file named \.parquet, \.csv or \.json/],
      ['train --data log.csv --items . --out m', /^1 \.: is a folder, expected a file/],
      ['train --data log.csv --out file', /^1 file: is a file; a model is a folder/],
      ['evaluate --data log.csv --model gone', /^1 gone: no such folder/],
      ['evaluate --data log.csv --model .', /^1 \.: not a model folder/],
      ['recommend --model gone --history a', /^1 gone: no such folder/],
      ['compare gone ease --data log.csv', /^1 gone: no such folder, and no baseline; those are popularity/],
      ['search --data log.csv --out file --budget 1m', /^1 file: a file is where a folder is needed/],
      ['train --resume --out gone', /^1 gone: no such folder/],
    ];
    for (const [command, message] of runs) expect(await place.fails(command)).toMatch(message);
  });
});

describe('no adapter', () => {
  const env = { VK_DRIVER_FILES: '/dev/null', VK_ICD_FILENAMES: '/dev/null' };

  test('doctor reports WebAssembly and how to install a driver', async () => {
    const { code, stdout } = await place.run('doctor --json', { env });
    expect(code).toBe(0);
    const report = JSON.parse(stdout);
    expect(report).toMatchObject({ backend: 'wasm', adapter: null, variants: null, node: process.versions.node });
    expect(report.missing[0]).toMatchObject({ what: 'a WebGPU adapter' });
    expect(report.missing[0].command).not.toBe('');
    const people = await place.run('doctor', { env });
    expect(people.code).toBe(0);
    expect(people.stdout).toContain('this machine computes on the CPU');
  });

  test('--device webgpu is a device failure', async () => {
    place.write('log.csv', circle(['a', 'b', 'c', 'd', 'e', 'f'], 12, 8));
    const { code, stderr } = await place.run('train --data log.csv --out m --device webgpu', {
      env,
    });
    expect(code).toBe(3);
    expect(stderr).toContain('attune: device: no WebGPU adapter was found');
    expect(stderr).not.toContain('internal error');
  });
});
