/**
 * The other code blocks of README.md and docs/. TypeScript is checked by the compiler against the built types and runs in a
 * folder with a small shop, on the CPU device; quotes of source files are compared with the files.
 */
import { execFile, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { transformWithOxc } from 'vite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readLog } from '../../data/formats/reader.ts';
import { openWorkplace } from '../cli/attune.ts';
import { build, root } from '../e2e/paths.ts';
import { endAll, type Served, serveCommand } from '../server/command.ts';
import { ADDRESS, type Block, blocksOf, pages } from './blocks.ts';
import { writeShop } from './shop.ts';

const blocks = pages.flatMap(blocksOf);
const code = blocks.filter(({ language, info }) => language === 'ts' && !info.file);

/** Languages with nothing to run, and those that this file or commands.node.test.ts runs. */
const TEXT = ['text', 'html', 'nginx', 'ini', 'yaml', 'mermaid', 'python', 'sql'];
const TESTED = ['sh', 'ts', 'json', 'csv', 'wgsl'];

const run = promisify(execFile);

build();
const place = openWorkplace();
/** Answers the blocks that ask a server. */
let served: Served;
const nameOf = (block: Block): string => block.where.replace(/[/:.]/g, '_');

beforeAll(async () => {
  writeShop(place.dir);
  place.write('package.json', '{ "name": "shop", "private": true, "type": "module" }');
  mkdirSync(place.path('node_modules'));
  symlinkSync(root, place.path('node_modules/attune'));
  for (const name of ['comlink', '@types', '@webgpu'])
    symlinkSync(join(root, 'node_modules', name), place.path(`node_modules/${name}`));
  place.write(
    'cpu.mjs',
    `import { Device } from 'attune/engine';
     const open = Device.open.bind(Device);
     Device.open = (options) => open({ ...options, backend: 'cpu' });`,
  );
  const small = ['d=8', 'ff=16', 'blocks=1', 'window=16', 'budget=256'].flatMap((setting) => ['--set', setting]);
  const common = ['--data', 'ratings.csv', '--device', 'cpu', '--epochs', '1'];
  const events = ['--users', 'users.csv', '--events', 'rating,device'];
  const trained = await Promise.all([
    place.run(['train', ...common, '--items', 'movies.csv', '--out', 'model', ...small]),
    place.run(['train', ...common, ...events, '--items', 'movies.csv', '--out', 'features', ...small]),
    place.run([
      ...['train', ...common, '--task', 'rating', '--protocol', 'random', '--items', 'movies.csv', '--out', 'ratings'],
      ...['--users', 'users.csv', '--events', 'device'],
      ...['d=8', 'ff=16', 'heads=1', 'window=16', 'budget=256', 'factors=2', 'sweeps=2'].flatMap((s) => ['--set', s]),
    ]),
  ]);
  for (const { code, stderr } of trained) expect(code, stderr).toBe(0);
  served = await serveCommand(['--model', 'model', '--data', 'ratings.csv', '--items', 'movies.csv'], {}, place.dir);
});
afterAll(endAll);

test('every block is of a kind that is tested, or is plain text', () => {
  for (const { language, where } of blocks) expect([...TEXT, ...TESTED], where).toContain(language);
});

test('TypeScript passes a strict type check', () => {
  for (const block of code) place.write(`${nameOf(block)}.mts`, `${block.code}\nexport {};\n`);
  const config = {
    compilerOptions: {
      noEmit: true,
      strict: true,
      module: 'nodenext',
      target: 'es2023',
      skipLibCheck: true,
      lib: ['es2023', 'dom', 'dom.iterable'],
      types: ['node', '@webgpu/types'],
    },
    files: code.map((block) => `${nameOf(block)}.mts`),
  };
  place.write('tsconfig.json', JSON.stringify(config));
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  const { status, stdout } = spawnSync(process.execPath, [tsc, '-p', '.'], { cwd: place.dir, encoding: 'utf8' });
  expect(stdout).toBe('');
  expect(status).toBe(0);
});

/** Trainings of the documentation as short as a test needs them. */
const reduced = (text: string): string =>
  text
    .replace(/maxMinutes: [\d.]+/g, 'epochs: 1, settings: { d: 8, ff: 16, heads: 1, window: 16, budget: 256 }')
    .replaceAll(ADDRESS, served.url);

describe('TypeScript runs', () => {
  for (const block of code.filter(({ info }) => !info['no-run']))
    test.concurrent(block.where, async () => {
      const { code: plain } = await transformWithOxc(reduced(block.code), `${nameOf(block)}.mts`);
      const file = place.write(`${nameOf(block)}.mjs`, plain);
      await run(process.execPath, ['--import', './cpu.mjs', file], { cwd: place.dir });
    });
});

test('quotes of source files are what the files say', () => {
  const plain = (text: string): string => text.replace(/^[ \t]+/gm, '').trim();
  for (const { where, info, code: text } of blocks.filter((block) => block.info.file)) {
    expect(existsSync(join(root, info.file)), `${where}: ${info.file}`).toBe(true);
    expect(plain(readFileSync(join(root, info.file), 'utf8')), `${where}: ${info.file}`).toContain(plain(text));
  }
});

test('JSON parses, and tables of events are read', async () => {
  async function* bytes(text: string): AsyncGenerator<Uint8Array> {
    yield new TextEncoder().encode(text);
  }
  for (const { language, where, code: text } of blocks) {
    if (language === 'json') expect(() => JSON.parse(text), where).not.toThrow();
    if (language === 'csv') expect((await readLog(bytes(text), where)).size, where).toBeGreaterThan(0);
  }
});
