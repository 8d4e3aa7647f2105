/** What users get: the package, packed and installed, its command, its types, and the README's library examples. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { openWorkplace } from '../cli/attune.ts';
import { build, ring, root, TINY } from './paths.ts';

/** The item IDs of the README's history, among others. */
const IDS = ['1193', '661', '914', ...Array.from({ length: 37 }, (_, i) => `${2000 + i}`)];

/** The operator's page, which Vite builds. */
const isPage = (path: string): boolean => path.startsWith('dist/operator/');

build();
const place = openWorkplace();
let packed: string[];
const manifest = () => JSON.parse(place.read('node_modules/attune/package.json'));

beforeAll(() => {
  const npm = (...args: string[]) => execFileSync('npm', args, { cwd: place.dir, encoding: 'utf8', stdio: 'pipe' });
  const [{ filename, files }] = JSON.parse(npm('pack', root, '--json')) as [
    { filename: string; files: { path: string }[] },
  ];
  packed = files.map(({ path }) => path);
  place.write('package.json', '{ "name": "shop", "private": true }');
  const quick = ['--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund', '--save-exact'];
  npm('install', ...quick, `./${filename}`, 'typescript-5@npm:typescript@5.7.3');
});

/** Runs Node in the folder, out of reach of the repository. */
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
  const inside = (name: string) => place.path(join('node_modules/attune', name));
  const textOf = (name: string) => readFileSync(inside(name), 'utf8');

  test('can be published', () => {
    const { private: isPrivate, name, version, license, keywords, types, engines } = manifest();
    expect({ isPrivate, name, license, types, engines }).toEqual({
      ...{ isPrivate: undefined, name: 'attune', license: 'MIT', types: undefined },
      engines: { node: '>=20.19' },
    });
    expect(version).toMatch(/^\d+\.\d+\.\d+$/);
    expect(keywords.length).toBeGreaterThan(5);
    const lines = textOf('CHANGELOG.md').split('\n');
    expect(lines.filter((line) => line === '## [Unreleased]' || line.startsWith(`## [${version}] - `))).not.toEqual([]);
  });

  test('has the build and its documents, each file once', () => {
    const entries = ['cli/main', 'recommend/index', 'recommend/node', 'train/index', 'engine/index', 'client/index'];
    expect(packed).toEqual(
      expect.arrayContaining([
        ...['README.md', 'LICENSE', 'CHANGELOG.md', 'THIRD_PARTY_NOTICES.md', 'package.json', 'scripts/system.mjs'],
        ...entries.flatMap((name) => [`dist/${name}.js`, `dist/${name}.js.map`, `dist/${name}.d.ts`]),
      ]),
    );
    expect(packed.filter((path) => !/^(dist\/|scripts\/system\.mjs$|[\w.]+$)/.test(path))).toEqual([]);
    const others = packed.filter((path) => !/\.(js|js\.map|d\.ts|md|mjs)$|^LICENSE$|^package\.json$/.test(path));
    expect(others.filter((path) => !isPage(path))).toEqual([]);
    expect(
      packed
        .filter(isPage)
        .map((path) => path.replace(/-[\w-]{8}\./, '-HASH.'))
        .sort(),
    ).toEqual([
      'dist/operator/THIRD_PARTY_NOTICES.md',
      ...['icon-HASH.svg', 'index-HASH.css', 'index-HASH.js'].map((name) => `dist/operator/assets/${name}`),
      'dist/operator/index.html',
    ]);
    expect(packed.filter((path) => /(^|\/)(test|examples|web|golden)\//.test(path))).toEqual([]);
    const first = new Map<string, string>();
    // The texts of kernels apart from the others are declared alike, a folder each.
    for (const path of packed.filter((name) => !/^dist\/kernels\/[^/]+\/texts\.d\.ts$/.test(name))) {
      const text = textOf(path).replace(/^\/\/# sourceMappingURL=.*$/m, '');
      if (text.trim() === '' || text.trim() === 'export {};') continue;
      expect(first.get(text), path).toBeUndefined();
      first.set(text, path);
    }
  });

  test('every import of its files is in it, or is a dependency', () => {
    const { dependencies, peerDependencies } = manifest();
    const known = new Set([...Object.keys(dependencies), ...Object.keys(peerDependencies), 'attune']);
    const missing: string[] = [];
    for (const path of packed.filter((name) => /\.(js|mjs|d\.ts)$/.test(name))) {
      const code = textOf(path).replace(/^\s*(\/\/|\*|\/\*).*$/gm, '');
      for (const [, target] of code.matchAll(
        /(?:^(?:import|export)\s[^'"=]*?\sfrom\s|^import\s|\bimport\()\s*['"]([^'"\n]+)['"]/gm,
      )) {
        if (target.startsWith('node:')) continue;
        if (target.startsWith('.')) {
          const at = join(dirname(path), target);
          // Declarations import each other by the names of their sources.
          const names = path.endsWith('.d.ts') ? [at.replace(/(\.js|\.ts)$/, '.d.ts')] : [at];
          if (!names.some((name) => packed.includes(name))) missing.push(`${path}: ${target}`);
        } else {
          const name = target.split('/', target.startsWith('@') ? 2 : 1).join('/');
          if (!known.has(name)) missing.push(`${path}: ${target}`);
        }
      }
    }
    expect(missing).toEqual([]);
  });

  test('source maps contain the sources', () => {
    for (const path of packed.filter((name) => name.endsWith('.js') && !isPage(name))) {
      expect(packed, path).toContain(`${path}.map`);
      const { sources, sourcesContent } = JSON.parse(textOf(`${path}.map`));
      expect(sources.length, path).toBe(1);
      expect(sourcesContent, path).toEqual([readFileSync(join(root, dirname(path), sources[0]), 'utf8')]);
    }
  });

  test('lists every dependency with its license', () => {
    const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
      packages: Record<string, { dev?: boolean; license: string }>;
    };
    const wanted = Object.entries(packages)
      .filter(([path, { dev }]) => path !== '' && !dev)
      .map(([path, { license }]) => [path.replace(/^.*node_modules\//, ''), license]);
    const listed = [...textOf('THIRD_PARTY_NOTICES.md').matchAll(/^\| (\S+) \| ([\w.-]+)[,| ]/gm)].map(
      ([, name, license]) => [name, license],
    );
    expect(listed.filter(([name]) => name !== 'package').sort()).toEqual(wanted.sort());
  });

  test('no license requires more than a notice', () => {
    expect(textOf('THIRD_PARTY_NOTICES.md')).not.toMatch(/\b(A?GPL|LGPL|SSPL|UNLICENSED)\b/);
  });

  test('its command runs: doctor, and a model for the examples', async () => {
    const { bin } = manifest();
    const command = join('node_modules/attune', bin.attune);
    expect(JSON.parse(node(command, 'doctor', '--json')).backend).toBe('webgpu');
    place.write(
      'ratings.csv',
      ring(60, 12, (row) => IDS[row]),
    );
    node(command, 'train', '--data', 'ratings.csv', '--out', 'model', '--epochs', '4', ...TINY);
    expect(existsSync(place.part('model/model.safetensors'))).toBe(true);
  });

  test('what only one source needs is named where it is missing', () => {
    const command = join('node_modules/attune', manifest().bin.attune);
    const args = [command, 'prepare', '--query', 'SELECT 1 AS user, 2 AS item', '--out', 'dataset'];
    const { status, stderr } = spawnSync(process.execPath, args, { cwd: place.dir, encoding: 'utf8' });
    expect([status, stderr]).toEqual([
      1,
      expect.stringMatching(/^attune: the package @duckdb\/node-api is not installed/),
    ]);
  });
});

describe("the README's examples run as they are", () => {
  test('recommending', async () => {
    place.write('recommend.mjs', snippet('attune'));
    const lines = node('recommend.mjs').trimEnd().split('\n');
    const args = ['recommend', '--model', 'model', '--history', '1193,661,914', '--k', '5'];
    const { items } = await place.json(args);
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
});

describe('the server and its client', () => {
  test('the client runs alone, and the command says which packages the server needs', () => {
    expect(existsSync(place.path('node_modules/fastify'))).toBe(false);
    const client =
      "import('attune/client').then(({ AttuneClient }) => console.log(typeof new AttuneClient({ url: '' }).addEvents))";
    expect(node('--input-type=module', '-e', client)).toBe('function\n');
    const main = place.path('node_modules/attune/dist/cli/main.js');
    const { status, stderr } = spawnSync(process.execPath, [main, 'serve', '--model', 'm'], {
      cwd: place.dir,
      encoding: 'utf8',
    });
    expect([status, stderr.split('\n').length]).toEqual([1, 2]);
    expect(stderr).toMatch(
      /^attune: the package \S+ is not installed, and this command needs it; npm install .*\bfastify@5\./,
    );
  });
});

describe('types compile with skipLibCheck: false', () => {
  const CODE = `
    import { InputError, Recommender, RatingPredictor, type Recommendation } from 'attune';
    import { demoShop, trainModel, type TrainingEvent } from 'attune/train';
    import { AdamW } from 'attune/train';
    import { Device, matmul, type Tensor } from 'attune/engine';
    import { AttuneClient, AttuneError, type List } from 'attune/client';
    import 'attune/worker';
    export const list = (client: AttuneClient): Promise<List> => client.recommendForUser('ada', { k: 5 });
    export const field = (error: AttuneError): string | undefined => error.field;
    // @ts-expect-error an event has an item
    export const half = (client: AttuneClient) => client.addEvents({ user: 'ada' });
    export async function top(events: TrainingEvent[]): Promise<Recommendation[]> {
      void [InputError, RatingPredictor, demoShop, trainModel, AdamW, matmul, events];
      const device: Device = await Device.open({ backend: 'cpu' });
      const tensor: Tensor = device.tensor([1], [1]);
      void tensor;
      const recommender = await Recommender.load('model', { device });
      return (await recommender.recommend({ history: ['a'], k: 5 })).items;
    }
    // @ts-expect-error k is a number
    export const wrong = async (r: Recommender) => r.recommend({ history: [], k: 'five' });
  `;
  const compilers = {
    'TypeScript 5.7': () => place.path('node_modules/typescript-5/bin/tsc'),
    'TypeScript 7': () => join(root, 'node_modules/typescript/bin/tsc'),
  };
  const resolutions = {
    node: { module: 'nodenext' },
    'a bundler for browsers': { module: 'esnext', moduleResolution: 'bundler', customConditions: ['browser'] },
  };

  for (const [compiler, path] of Object.entries(compilers)) {
    for (const [target, resolution] of Object.entries(resolutions)) {
      test(`${compiler}, for ${target}`, () => {
        place.write('use.mts', CODE);
        const blocks = ['attune', 'attune/engine'].map((module, i) => place.write(`typed${i}.mts`, snippet(module)));
        const common = { noEmit: true, strict: true, skipLibCheck: false, target: 'es2023', types: [] };
        const compilerOptions = { ...common, ...resolution, lib: ['es2023', 'dom', 'dom.iterable'] };
        place.write('tsconfig.json', JSON.stringify({ compilerOptions, files: ['use.mts', ...blocks] }));
        expect(node(path(), '-p', '.')).toBe('');
      });
    }
  }

  test('TypeScript 5.7 with @webgpu/types, which comes along: the device is a GPUDevice', () => {
    place.write(
      'gpu.mts',
      `import { Device } from 'attune/engine';
       export const limits = async (): Promise<GPUSupportedLimits | undefined> => (await Device.open()).gpu?.gpu.limits;`,
    );
    const compilerOptions = {
      ...{ noEmit: true, strict: true, skipLibCheck: false, target: 'es2023', module: 'nodenext' },
      types: ['@webgpu/types'],
    };
    place.write('tsconfig.json', JSON.stringify({ compilerOptions, files: ['gpu.mts'] }));
    expect(node(compilers['TypeScript 5.7'](), '-p', '.')).toBe('');
  });
});
