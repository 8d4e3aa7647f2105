/** The house rules that a test can see (see README, "How to add an op"). */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { cases } from './kernels/cases/index.ts';
import { firstCases } from './kernels/harness.ts';

const root = new URL('../', import.meta.url);
const files = (folder: string): string[] =>
  readdirSync(new URL(`${folder}/`, root), { recursive: true, withFileTypes: true })
    .filter((f) => f.isFile() && /\.tsx?$/.test(f.name))
    .map((f) => `${f.parentPath}/${f.name}`);

/** The tracked files, from the root. */
const tracked = spawnSync('git', ['ls-files'], { cwd: root.pathname, encoding: 'utf8' })
  .stdout.split('\n')
  .filter((file) => file !== '' && existsSync(new URL(file, root)));
const textOf = (file: string): string => readFileSync(new URL(file, root), 'utf8');

/**
 * The circles of a graph, each as the nodes that reach one another (Tarjan, "Depth-first search and linear graph
 * algorithms", 1972).
 */
function circles(graph: ReadonlyMap<string, readonly string[]>): string[][] {
  const index = new Map<string, number>();
  const stack: string[] = [];
  const found: string[][] = [];
  const visit = (node: string): number => {
    const own = index.size;
    index.set(node, own);
    let least = own;
    stack.push(node);
    for (const next of graph.get(node) ?? []) {
      if (!index.has(next)) least = Math.min(least, visit(next));
      else if (stack.includes(next)) least = Math.min(least, index.get(next) as number);
    }
    if (least === own) {
      const circle = stack.splice(stack.indexOf(node));
      if (circle.length > 1) found.push(circle.sort());
    }
    return least;
  };
  for (const node of graph.keys()) if (!index.has(node)) visit(node);
  return found;
}

/** The static imports of each file, types included; `import()` is lazy, and no arrow. */
function imports(texts: ReadonlyMap<string, string>, allowed: ReadonlySet<string> = new Set()): Map<string, string[]> {
  const graph = new Map<string, string[]>();
  for (const [file, text] of texts) {
    const targets = [...text.matchAll(/^(import|export)( type)?\b([^;'"]*)['"](\.[^'"]+)['"]/gm)]
      .map(([, , type, , path]) => ({ type, to: join(dirname(file), path) }))
      .filter(({ type, to }) => texts.has(to) && !(type && allowed.has(to)))
      .map(({ to }) => to);
    graph.set(file, targets);
  }
  return graph;
}

/**
 * Words that this project once had for the field's own terms, and British spelling. Each says what to write instead, and
 * where the word stays: names that users meet (keys of --json, of model folders) do not change.
 */
const WORDS: [word: RegExp, instead: string, stays?: RegExp][] = [
  [/\bwas expected, |\bexpected [^'"`]{1,80}, came\b/, 'expected X, got Y'],
  [/\bwhole numbers?\b/, 'an integer'],
  [/\bmend(?:s|ed|ing)?\b/, 'fix'],
  [/\bbegun\b/, 'started'],
  [/\bgoals?\b/i, 'target, target score'],
  [/\bgo(?:es)? with (?!prob)/, 'requires'],
  [/\bstands? (?:in|beside)\b/, 'is in'],
  [/\bsomebody\b|\bnobody has\b/i, 'a user; unseen, unrated'],
  // A key of the JSON that train writes, and the name of a stored answer.
  [/\bnewcomers?\b/i, 'cold-start users', /^cli\/commands\/train\.ts|older-models|make-models/],
  [/\btold\b(?! apart)|\bTold/, 'known, given'],
  // The name of a stored tensor of the ranker.
  [/\bplaces\b/i, 'positions, indices', /^model\/ranker\/network\.ts/],
  // A key of the JSON that recommend writes for a model of ratings.
  [/\bchances\b/i, 'probabilities', /rating-predictor|train\/ratings\.test/],
  // Keys of the JSON that demo and recipes write; an option of Node's histogram.
  [
    /\bfigures?\b/i,
    'metrics',
    /commands\/(?:demo|recipes)\.ts|recipes\/recipes\.ts|cli\/demo\.node|^web\/|test\/web\/|serving\/traffic\.ts|serve\/load\.mjs/,
  ],
  [/\bmemory alone\b|\bwith memory\b|\bsequence memory\b|\battribute memory\b|\bmemories\b/i, 'item transitions'],
  [/\b(?:the|its|their) memory's\b/i, 'the transitions'],
  [/\bturned by\b/, 'rotated by'],
  // A method's name in model folders, and a baseline's in --json.
  [/\b\w*neighbour/i, 'neighbor', /transitions\.(?:test\.)?ts|train\/transitions|cold-items|stage-limits/],
  // Names in the golden vectors stay; so does `centre`, a key of model folders.
  [
    /\b(?:behaviou|favou|honou|labou)r|\bcatalogue|\bcentred|\b(?:un)?labelled\b|\btowards\b/i,
    'American spelling',
    /golden\/ops|tower\.test/,
  ],
  [
    /\b\w*(?:special|normal|optim|minim|maxim|initial|recogn|personal|random|factor|organ|general|visual|util)is(?:e|ed|es|er|ing|ation)\b/i,
    'American spelling',
  ],
  [/[«»“”‘’]/, 'straight quotes', /demo-shop\/goods\.ts|setup\.node/],
];

/** What Biome's plugins say of files: nothing where they find no fault. */
function lint(folder: string, paths: string[]): string {
  const biome = new URL('node_modules/@biomejs/biome/bin/biome', root).pathname;
  const args = [biome, 'lint', '--only=plugin', '--max-diagnostics=20', '--colors=off', ...paths];
  const { stdout, stderr, status } = spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8' });
  return status === 0 ? '' : `${stdout}${stderr}`;
}

describe('structure', () => {
  const product = 'engine kernels data model train recommend server client interop cluster cli web examples'.split(' ');

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
    const found = ['data', 'model', 'train', 'recommend', 'server', 'client', 'interop', 'cluster', 'cli', 'web']
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
    // A table of ops has a line for each.
    const lines = Array.from(
      textOf(`engine/ops/${op}.ts`).matchAll(/^export const (\w+): (?:Un|Bin)ary\b/gm),
      ([, n]) => n,
    );
    const inCases = new Set(firstCases(cases).map((c) => c.op));
    expect(
      (lines.length > 0 ? lines : [op]).filter((name) => !inCases.has(name)),
      'without a case that runs everywhere',
    ).toEqual([]);
  });

  it('what runs in Chrome imports nothing of Node', () => {
    const offenders = ['engine', 'kernels', 'model', 'train', 'data', 'client']
      .flatMap(files)
      .filter((f) => /from ['"](node:|fs|path|os)/.test(readFileSync(f, 'utf8')));
    expect(offenders).toEqual([]);
  });

  it('the lower floors name options as the library does, not as flags of the command', () => {
    const offenders = ['data', 'model', 'train', 'recommend', 'engine', 'server', 'interop']
      .flatMap(files)
      .flatMap((file) =>
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
      interop: ['recommend', 'train', 'model', 'engine', 'data'],
      cluster: ['recommend', 'train', 'model', 'engine', 'data'],
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

  it('no file imports itself by way of others, not even for types', () => {
    const allowed = new Set([
      // A tensor knows the device that it lives on, as do the tape and the programs of the device that holds them.
      'engine/device.ts',
      // The type of all settings follows from the tables of blocks, heads and losses, whose entries read those settings.
      'model/recipes/settings.ts',
    ]);
    const texts = new Map(tracked.filter((f) => /\.(tsx?|mjs)$/.test(f)).map((f) => [f, textOf(f)]));
    expect(circles(imports(texts, allowed))).toEqual([]);
    // Each exception is needed.
    expect(circles(imports(texts))).toHaveLength(allowed.size);
  });

  it('the check of imports finds circles of types', () => {
    const texts = new Map([
      ['a/x.ts', "import type { Y } from './y.ts';\nexport interface X {}\n"],
      ['a/y.ts', "import {\n  z,\n} from '../z.ts';\n"],
      ['z.ts', "export { type X } from './a/x.ts';\n"],
      ['w.ts', "import './z.ts';\nconst lazy = () => import('./w.ts');\n"],
    ]);
    expect(circles(imports(texts))).toEqual([['a/x.ts', 'a/y.ts', 'z.ts']]);
  });

  it('one exported name has one meaning', () => {
    const allowed = new Map([
      ['Recommender', 'recommend/node.ts opens paths as well, and is the same to its callers'],
      ['RatingPredictor', 'likewise'],
    ]);
    const declared = new Map<string, string[]>();
    const declaration =
      /^export (?:declare |abstract )*(?:async )?(?:function\*?|class|const|let|interface|type|enum) (\w+)/gm;
    for (const file of tracked.filter((f) =>
      /^(?:engine|data|model|train|recommend|interop|cluster|cli|bench|web)\/.*\.tsx?$/.test(f),
    )) {
      const names = new Set(Array.from(textOf(file).matchAll(declaration), ([, name]) => name));
      for (const name of names) declared.set(name, [...(declared.get(name) ?? []), file]);
    }
    const twice = [...declared].filter(([, where]) => where.length > 1);
    expect(twice.filter(([name]) => !allowed.has(name))).toEqual([]);
    expect([...allowed.keys()].filter((name) => !twice.some(([other]) => other === name))).toEqual([]);
  });

  it.each(WORDS)('no text or name says %s: write "%s"', (word, _, stays) => {
    // Guides have a check of their own (docs/pages.node.test.ts).
    const own = /^test\/(?:structure|docs\/pages)\.node|^test\/fixtures\/models/;
    const found = tracked
      .filter((file) => /\.(?:tsx?|mjs|wgsl)$/.test(file) && !own.test(file) && !stays?.test(file))
      .flatMap((file) => {
        const lines = textOf(file).split('\n');
        return lines.flatMap((line, i) => (word.test(line) ? [`${file}:${i + 1}: ${line.trim()}`] : []));
      });
    expect(found).toEqual([]);
  });

  it('a file is one idea: at most 500 lines', () => {
    // The client's types are generated.
    const long = tracked
      .filter((file) => /\.(?:tsx?|mjs|wgsl)$/.test(file) && file !== 'client/api.ts')
      .map((file) => ({ file, lines: textOf(file).trimEnd().split('\n').length }));
    expect(long.filter(({ lines }) => lines > 500)).toEqual([]);
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
