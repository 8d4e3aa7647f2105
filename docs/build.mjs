#!/usr/bin/env node
/**
 * `npm run docs`: the documentation as a static site in docs/.vitepress/dist. Dead links fail the build.
 *
 *   npm run docs               cli.md from the command, api/ from the types, then the site
 *   npm run docs -- --serve    the same pages on http://localhost:5173, rebuilt as they are edited
 *
 * What only the site needs is installed here, in docs/, when this is first called: typedoc takes TypeScript 6 where the
 * project has 7, and whoever only trains a model should download neither.
 */
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { packagesCurrent, setup } from '../scripts/setup.mjs';

const here = fileURLToPath(new URL('.', import.meta.url));
const say = (line) => process.stderr.write(`docs: ${line}\n`);

/** Entry points by the names that users import. */
const ENTRIES = {
  attune: 'recommend/index.ts',
  'attune/train': 'train/index.ts',
  'attune/client': 'client/index.ts',
  'attune/worker': 'recommend/worker.ts',
  'attune/engine': 'engine/index.ts',
};

function run(what, command, args) {
  const shell = process.platform === 'win32' && command === 'npm';
  const { status } = spawnSync(command, args, { cwd: here, stdio: ['ignore', 2, 2], shell });
  if (status !== 0) throw new Error(`${what} failed`);
}

/** docs/api/: a page for each entry point. */
async function writeApi() {
  const { Application } = await import('typedoc');
  rmSync(`${here}api`, { recursive: true, force: true });
  const app = await Application.bootstrapWithPlugins({
    plugin: ['typedoc-plugin-markdown'],
    outputs: [{ name: 'markdown', path: `${here}api` }],
    cleanOutputDir: false,
    tsconfig: fileURLToPath(new URL('../tsconfig.json', import.meta.url)),
    entryPoints: Object.values(ENTRIES).map((path) => fileURLToPath(new URL(`../${path}`, import.meta.url))),
    excludePrivate: true,
    disableSources: true,
    readme: 'none',
    name: 'API',
    logLevel: 'Error',
    router: 'module',
    entryFileName: 'index.md',
    hidePageHeader: true,
    hideBreadcrumbs: true,
    parametersFormat: 'table',
    propertyMembersFormat: 'table',
    useCodeBlocks: true,
    sanitizeComments: true,
  });
  const project = await app.convert();
  if (!project) throw new Error('typedoc could not read the entry points');
  const nameOf = Object.fromEntries(
    Object.entries(ENTRIES).map(([name, path]) => [path.replace(/(\/index)?\.ts$/, ''), name]),
  );
  for (const child of project.children ?? []) child.name = nameOf[child.name.replace(/\/index$/, '')] ?? child.name;
  await app.generateOutputs(project);
  if (app.logger.hasErrors()) throw new Error('typedoc reported errors');
}

try {
  await setup('build');
  if (!packagesCurrent(here)) {
    say('installing VitePress and typedoc in docs/ (npm ci)');
    run('npm ci in docs/', 'npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']);
  }
  run('docs/cli.mjs', process.execPath, ['cli.mjs']);
  await writeApi();
  const { build, createServer } = await import('vitepress');
  if (process.argv.includes('--serve')) {
    const server = await createServer(here);
    await server.listen();
    server.printUrls();
  } else {
    await build(here);
    say('the site is in docs/.vitepress/dist');
  }
} catch (error) {
  say(error.message);
  process.exitCode = 1;
}
