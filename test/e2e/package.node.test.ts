/** What others get: the packed package, its command, and the README's library examples run as they stand there. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Workplace } from '../cli/attune.ts';
import { build, json, ring, root, TINY } from './paths.ts';

/** The item IDs of the README's history, among others. */
const IDS = ['1193', '661', '914', ...Array.from({ length: 37 }, (_, i) => `${2000 + i}`)];

let place: Workplace;
let packed: string[];
beforeAll(() => {
  build();
  place = new Workplace();
  const text = execFileSync('npm', ['pack', '--json', '--pack-destination', place.dir], {
    cwd: root,
    encoding: 'utf8',
  });
  const [{ filename, files }] = JSON.parse(text) as [{ filename: string; files: { path: string }[] }];
  packed = files.map(({ path }) => path);
  place.write('package.json', '{ "name": "shop", "private": true }');
  // As installed: unpacked into node_modules, beside what it depends on and nothing else.
  const target = place.path('node_modules/attune');
  mkdirSync(target, { recursive: true });
  execFileSync('tar', ['-xzf', filename, '--strip-components=1', '-C', target], { cwd: place.dir });
  const { dependencies } = JSON.parse(readFileSync(join(target, 'package.json'), 'utf8'));
  for (const name of Object.keys(dependencies)) {
    symlinkSync(join(root, 'node_modules', name), place.path(`node_modules/${name}`));
  }
}, 60_000);
afterAll(() => place.remove());

/** Runs Node in the place; nothing else of the repository is in reach. */
function node(...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: place.dir, encoding: 'utf8' });
  if (status !== 0) throw new Error(`node ${args.join(' ')}: exit code ${status}\n${stderr}${stdout}`);
  return stdout;
}

/** The TypeScript blocks of the README that import this. */
function snippet(module: string): string {
  const readme = readFileSync(place.path('node_modules/attune/README.md'), 'utf8');
  const blocks = [...readme.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code]) => code);
  const found = blocks.filter((code) => code.includes(`from '${module}'`));
  expect(found, `the README's example of ${module}`).toHaveLength(1);
  return found[0];
}

describe('the package', () => {
  test('holds the build, the kernels, README and LICENSE, and nothing of the work on it', () => {
    const kernels = readdirSync(join(root, 'kernels'), { recursive: true, encoding: 'utf8' }).filter((name) =>
      name.endsWith('.wgsl'),
    );
    const entries = ['cli/main', 'recommend/index', 'recommend/node', 'engine/index'];
    const wanted = [
      ...['README.md', 'LICENSE', 'package.json'],
      ...kernels.map((name) => `kernels/${name}`),
      ...entries.flatMap((name) => [`dist/${name}.js`, `dist/${name}.d.ts`]),
    ];
    expect(packed).toEqual(expect.arrayContaining(wanted));
    const folders = new Set(packed.filter((path) => path.includes('/')).map((path) => path.split('/')[0]));
    expect([...folders].sort()).toEqual(['dist', 'kernels', 'scripts']);
    expect(packed.filter((path) => /test|golden|vitest|\.(safetensors|jsonl|csv|tgz|dat|inter)$/.test(path))).toEqual(
      [],
    );
  });

  test('its command runs: doctor, and a model for the examples', async () => {
    const { bin } = JSON.parse(readFileSync(place.path('node_modules/attune/package.json'), 'utf8'));
    const command = join('node_modules/attune', bin.attune);
    expect(JSON.parse(node(command, 'doctor', '--json')).backend).toBe('webgpu');
    place.write(
      'ratings.csv',
      ring(60, 12, (row) => IDS[row]),
    );
    node(command, 'train', '--data', 'ratings.csv', '--out', 'model', '--epochs', '4', ...TINY);
    expect(existsSync(place.part('model/model.safetensors'))).toBe(true);
  });
});

describe('the README’s examples run as they stand', () => {
  test('recommending', async () => {
    place.write('recommend.mjs', snippet('attune'));
    const lines = node('recommend.mjs').trimEnd().split('\n');
    const args = ['recommend', '--model', 'model', '--history', '1193,661,914', '--k', '5'];
    const { items } = await json(place, args);
    expect(lines).toEqual(
      items.map(({ title, score }: { title: string; score: number }) => `${score.toFixed(2)} ${title}`),
    );
    expect(lines).toHaveLength(5);
  });

  test('the engine alone: a gradient that can be checked by hand', () => {
    place.write('engine.mjs', snippet('attune/engine'));
    const text = node('engine.mjs');
    // y = gelu(x · w) with x · w = [4, 6]: dy/dw has the slope of gelu there in each row, since x is [1, 1].
    const slope = (x: number) => {
      const c = Math.sqrt(2 / Math.PI);
      const t = Math.tanh(c * (x + 0.044715 * x ** 3));
      return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * c * (1 + 3 * 0.044715 * x * x);
    };
    const values = /\[2,2\] \((.+)\)/.exec(text)?.[1].split(', ').map(Number) ?? expect.fail(text);
    expect(values).toHaveLength(4);
    values.forEach((value, i) => expect(value).toBeCloseTo(slope(i % 2 ? 6 : 4), 4));
  });

  test('and pass a strict type check', () => {
    const files = ['attune', 'attune/engine'].map((module, i) => place.write(`typed${i}.mts`, snippet(module)));
    const flags = [
      '--noEmit',
      '--strict',
      '--module',
      'nodenext',
      '--target',
      'es2023',
      '--skipLibCheck',
      '--types',
      '',
    ];
    expect(node(join(root, 'node_modules/typescript/bin/tsc'), '--ignoreConfig', ...flags, ...files)).toBe('');
  });
});
