/** README.md and docs/ as pages: generated ones are current, links lead somewhere, the language is plain. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ConfigFile } from '../../server/config.ts';
import { ROUTES } from '../../server/routes/index.ts';
import { build, root } from '../e2e/paths.ts';
import { generated, pages } from './blocks.ts';

const all = [...pages, ...generated, 'bench/RESULTS.md'];
const textOf = (file: string): string => readFileSync(join(root, file), 'utf8');
const prose = (text: string): string => text.replace(/^```[\s\S]*?^```/gm, '').replace(/`[^`\n]*`/g, '');

const BRITISH =
  /\b((?:catalogue|colour|behaviour|centre|neighbour|favour|labell|modell|(?:special|normal|optim|initial|recogn|personal|random|factor)is(?:e|ing|ation))\w*)/gi;

/** As GitHub and VitePress make them. */
const slugOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[`*]/g, '')
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replace(/\s+/g, '-');
const anchorsOf = (file: string): string[] =>
  [...textOf(file).matchAll(/^#{1,6} (.+)$/gm)].map(([, heading]) => slugOf(heading));

test('docs/cli.md is what the command says, docs/settings.md what is declared', () => {
  build();
  execFileSync(process.execPath, ['docs/cli.mjs', '--check'], { cwd: root, stdio: 'pipe' });
});

test('README.md has at most 150 lines', () => {
  expect(textOf('README.md').trimEnd().split('\n').length).toBeLessThanOrEqual(150);
});

describe.each(all)('%s', (file) => {
  test('its links lead to a file and a heading', () => {
    for (const [, target] of prose(textOf(file)).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(target)) continue;
      const [path, hash] = target.split('#');
      const to = path === '' ? file : join(dirname(file), path);
      if (to === 'docs/api/' || to === 'docs/api') continue; // made by npm run docs
      expect(existsSync(join(root, to)), `${file}: ${target}`).toBe(true);
      // What a guide links to outside of docs/, the site must have, too.
      if (file.startsWith('docs/') && !to.startsWith('docs/'))
        expect(textOf('docs/.vitepress/config.mjs'), `${file}: ${target}`).toContain(`'${path}': `);
      if (hash === undefined) continue;
      expect(anchorsOf(to), `${file}: ${target}`).toContain(hash);
      // GitHub and VitePress make the same of plain words alone.
      expect(hash, `${file}: ${target}`).toMatch(/^[a-z0-9]+(-[a-z0-9]+)*$/);
    }
  });

  test('the files that it names are there', () => {
    const paths =
      /`((?:engine|kernels|data|model|train|recommend|server|client|scripts|cli|web|test|bench|examples|docs)\/[\w./-]+\.[a-z]+)`/g;
    const named = [...textOf(file).matchAll(paths)].map(([, path]) => path).filter((path) => !path.includes('NAME'));
    expect(named.filter((path) => !existsSync(join(root, path)))).toEqual([]);
  });

  test('it has straight quotes and American spelling', () => {
    const text = prose(textOf(file));
    const found = (pattern: RegExp): string[] => [...text.matchAll(pattern)].map(([, around]) => around);
    expect(found(/(.{0,30}[«»“”‘’].{0,30})/g)).toEqual([]);
    if (file === 'docs/cli.md') return; // its words are those of the flags
    expect(found(BRITISH)).toEqual([]);
  });
});

test('every guide is in the index and in the site', () => {
  const index = textOf('docs/index.md');
  const config = textOf('docs/.vitepress/config.mjs');
  for (const page of [...pages, ...generated].filter((name) => name.startsWith('docs/') && name !== 'docs/index.md')) {
    const name = page.slice('docs/'.length, -'.md'.length);
    if (name !== 'results') expect(index, name).toContain(`(${name}.md)`);
    expect(config, name).toContain(`page('${name}'`);
  }
});

test('docs/engine.md lists every op', () => {
  const guide = textOf('docs/engine.md');
  for (const file of readdirSync(join(root, 'engine/ops')).filter((name) => /^[a-z-]+\.ts$/.test(name))) {
    const functions = [...textOf(`engine/ops/${file}`).matchAll(/^export function (\w+)/gm)].map(([, name]) => name);
    const exported = functions.filter((name) => new RegExp(`\\b${name}\\b`).test(textOf('engine/index.ts')));
    if (functions.length > 0)
      expect(
        exported.some((name) => guide.includes(`\`${name}\``)),
        file,
      ).toBe(true);
    const lines = Array.from(
      textOf(`engine/ops/${file}`).matchAll(/^export const (\w+): (?:Un|Bin)ary/gm),
      ([, n]) => n,
    );
    expect(lines.filter((name) => !guide.includes(`\`${name}\``))).toEqual([]);
  }
});

describe('what is said of the server is all there is', () => {
  const sources = readdirSync(join(root, 'server'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => textOf(`server/${name}`));
  const guide = textOf('docs/serving.md');

  test('requests', () => {
    const paths = ROUTES.map(({ method, url }) => `\`${method} ${url.replace(':id', 'ID')}\``);
    expect(paths.filter((path) => !guide.includes(path))).toEqual([]);
  });

  test('metrics', () => {
    const names = [...textOf('server/metrics.ts').matchAll(/^ +name: '(attune_\w+)'/gm)].map(([, name]) => name);
    expect(names.length).toBeGreaterThan(10);
    expect(names.filter((name) => !guide.includes(`\`${name}\``))).toEqual([]);
  });

  test('keys of the config', () => {
    const { scenarios, events, ...groups } = ConfigFile.properties;
    expect([scenarios, events]).not.toContain(undefined);
    for (const [group, { properties }] of Object.entries(groups))
      for (const key of Object.keys(properties)) expect(guide, group).toMatch(new RegExp(`\`(?:${group})?\\.${key}\``));
  });

  test('codes of problems', () => {
    const codes = sources.flatMap((text) => [...text.matchAll(/new Problem\(\s*\d{3},\s*'([a-z-]+)'/g)]);
    expect(codes.length).toBeGreaterThan(20);
    const listed = textOf('docs/errors.md');
    expect(codes.map(([, code]) => code).filter((code) => !listed.includes(`\`${code}\``))).toEqual([]);
  });
});
