/** The house rules that a test can see (see README, "How to add an op"). */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { describe, expect, it } from 'vitest';
import { cases } from './kernels/cases/index.ts';

const root = new URL('../', import.meta.url);
const files = (folder: string): string[] =>
  readdirSync(new URL(`${folder}/`, root), { recursive: true, withFileTypes: true })
    .filter((f) => f.isFile() && /\.tsx?$/.test(f.name))
    .map((f) => `${f.parentPath}/${f.name}`);

/** What Biome's plugins say of files: nothing where they find no fault. */
function lint(folder: string, paths: string[]): string {
  const biome = new URL('node_modules/@biomejs/biome/bin/biome', root).pathname;
  const args = [biome, 'lint', '--only=plugin', '--max-diagnostics=20', '--colors=off', ...paths];
  const { stdout, stderr, status } = spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8' });
  return status === 0 ? '' : `${stdout}${stderr}`;
}

describe('structure', () => {
  const product = 'engine kernels data model train recommend server client cli web examples'.split(' ');

  it('no values are spread into arguments or literals, no name of the user is read off a plain object', () => {
    expect(lint(root.pathname, product)).toBe('');
  });

  it.each([
    ['list.push(...history);', /values spread into arguments/],
    ['Math.max(1, ...history);', /values spread into arguments/],
    ['new Set(history).size; new Map(...history);', /values spread into arguments/],
    ['String.fromCharCode.apply(null, history);', /apply\(\) puts every value/],
    ['const both = { ...{ a: 1 }, b: 2 };', /an object literal spread/],
    ['item.attributes[name];', /read it with ownValue/],
    ["'year' in item.attributes;", /read it with ownValue/],
    ['event.facts?.context?.[name];', /read it with ownValue/],
  ])('the lint rules find %s', (code, message) => {
    const folder = mkdtempSync(`${tmpdir()}/attune-lint-`);
    try {
      const { plugins } = JSON.parse(readFileSync(new URL('biome.json', root), 'utf8'));
      const paths = plugins.map(({ path }: { path: string }) => new URL(path, root).pathname);
      writeFileSync(`${folder}/biome.json`, JSON.stringify({ root: true, plugins: paths }));
      writeFileSync(`${folder}/probe.ts`, `${code}\n`);
      expect(lint(folder, ['probe.ts'])).toMatch(message);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('attributes are taken apart in one place', () => {
    const found = ['data', 'model', 'train', 'recommend', 'server', 'client', 'cli', 'web']
      .flatMap(files)
      .filter((file) => /\[[|,;]{2,3}\]|\\p\{Sc\}|\[\$?[€£¥]/.test(readFileSync(file, 'utf8')));
    expect(found.map((file) => file.slice(root.pathname.length).replace('//', '/'))).toEqual([
      'data/features/values.ts',
    ]);
  });

  const ops = readdirSync(new URL('engine/ops/', root))
    .filter((f) => f.endsWith('.ts') && !f.endsWith('.ref.ts'))
    .map((f) => f.slice(0, -3));

  it.each(ops)('the op %s has a reference and a case', (op) => {
    expect(existsSync(new URL(`engine/ops/${op}.ref.ts`, root)), 'reference').toBe(true);
    expect(
      cases.some((c) => c.op === op),
      'case',
    ).toBe(true);
  });

  it('what runs in Chrome imports nothing of Node', () => {
    const offenders = ['engine', 'kernels', 'model', 'train', 'data', 'client']
      .flatMap(files)
      .filter((f) => /from ['"](node:|fs|path|os)/.test(readFileSync(f, 'utf8')));
    expect(offenders).toEqual([]);
  });

  it('the lower floors name options as the library does, not as flags of the command', () => {
    const offenders = ['data', 'model', 'train', 'recommend', 'engine', 'server'].flatMap(files).flatMap((file) =>
      readFileSync(file, 'utf8')
        .replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '')
        .split('\n')
        .filter((line) => /(?<!\w)--(?:[a-z]|\$\{)/.test(line))
        .map((line) => `${file}: ${line.trim()}`),
    );
    expect(offenders).toEqual([]);
  });

  it('arrows run downward', () => {
    const below: Record<string, string[]> = {
      kernels: [],
      engine: ['kernels'],
      data: [],
      model: ['engine', 'data'],
      train: ['model', 'engine', 'data'],
      recommend: ['model', 'engine', 'data'],
      server: ['recommend', 'train', 'model', 'engine', 'data'],
      client: [],
    };
    const offenders: string[] = [];
    for (const [folder, allowed] of Object.entries(below)) {
      for (const file of files(folder)) {
        for (const [, to] of readFileSync(file, 'utf8').matchAll(/from '(?:\.\.\/)+(\w+)\//g)) {
          if (to in below && to !== folder && !allowed.includes(to)) offenders.push(`${file} → ${to}`);
        }
      }
    }
    expect(offenders).toEqual([]);
  });

  it('text leaves for the terminal through Output, reportError and the bar alone, which make it visible', () => {
    const choke = /cli\/+(common|errors|output\/+ui)\.ts$/;
    const offenders = files('cli')
      .filter((f) => !choke.test(f))
      // Constant text needs nobody's care.
      .filter((f) => /console\.\w+\(|process\.std(out|err)\.write\((?!')/.test(readFileSync(f, 'utf8')));
    expect(offenders).toEqual([]);
  });

  it('ranks are counted as "not below the target", so that NaN counts against it', () => {
    const counting = ['model', 'train', 'recommend'].flatMap(files).flatMap((f) =>
      readFileSync(f, 'utf8')
        .split('\n')
        .filter((line) => /\brank(\+\+| \+= )/.test(line)),
    );
    expect(counting.length).toBeGreaterThan(0);
    expect(counting.filter((line) => !line.includes('!('))).toEqual([]);
  });
});
