#!/usr/bin/env node
/**
 * Set-up, run by every npm script: makes a checkout ready to run, and does nothing if it is.
 *
 *   node scripts/setup.mjs --need build    packages, generated files, dist/
 *   node scripts/setup.mjs --need start    … and a WebGPU adapter, if one is available
 *   node scripts/setup.mjs --need test     … and Chromium; exits 1 if anything is still missing. PostgreSQL is installed
 *                                          where that can be done; without it the tests of its store are skipped
 *
 * As root on Debian and Ubuntu it installs the software Vulkan driver, Chromium and PostgreSQL if they are missing, unless
 * ATTUNE_NO_INSTALL=1; otherwise it prints the command to run. It has no dependencies, writes to standard error only, and
 * takes well under a second if nothing is missing.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { generate } from '../kernels/generate.mjs';
import { findChromium, findPostgres, findRedis, planInstall, readAptSources } from './system.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const cache = join(root, 'node_modules/.cache/attune');
const say = (line) => process.stderr.write(`attune: ${line}\n`);
const readJson = (path) => JSON.parse(readFileSync(path, 'utf8'));
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Why set-up failed, in one line (details may follow on further lines). */
class SetupError extends Error {}

/**
 * Runs a command in the repository root and captures its output; reports every 30 seconds that it is still running.
 * @returns {Promise<{ code: number, output: string }>}
 */
function run(what, command, args, { env = process.env, limit = 1_800_000 } = {}) {
  return new Promise((resolve) => {
    const started = Date.now();
    const child = spawn(command, args, { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'] });
    const chunks = [];
    child.stdout.on('data', (chunk) => chunks.push(chunk));
    child.stderr.on('data', (chunk) => chunks.push(chunk));
    const beat = setInterval(() => {
      const seconds = Math.round((Date.now() - started) / 1000);
      say(`${what}: ${seconds} s so far (${[command, ...args].join(' ').slice(0, 100)})`);
    }, 30_000);
    const timer = setTimeout(() => child.kill('SIGKILL'), limit);
    const stop = () => child.kill();
    process.once('exit', stop);
    const done = (code, error) => {
      clearInterval(beat);
      clearTimeout(timer);
      process.off('exit', stop);
      resolve({ code, output: error ?? Buffer.concat(chunks).toString() });
    };
    child.on('error', (error) => done(127, error.message));
    child.on('close', (code) => done(code ?? 1));
  });
}

/** Like run, but a failure ends set-up with the last lines of the command's output. */
async function must(what, command, args, options) {
  const { code, output } = await run(what, command, args, options);
  if (code !== 0) throw new SetupError(`${what} failed:\n${output.trim().split('\n').slice(-15).join('\n')}`);
}

/** Runs `work` while no other set-up of this checkout runs. */
async function locked(work) {
  const path = join(tmpdir(), `attune-setup-${createHash('sha256').update(root).digest('hex').slice(0, 12)}.lock`);
  const release = () => rmSync(path, { force: true });
  for (let waited = 0; ; waited += 200) {
    try {
      writeFileSync(path, `${process.pid}`, { flag: 'wx' });
      break;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    if (waited === 0) say('waiting for another set-up of this checkout');
    await sleep(200);
    try {
      process.kill(Number(readFileSync(path, 'utf8')) || process.pid, 0);
    } catch (error) {
      if (error.code === 'ESRCH') release();
    }
  }
  process.once('exit', release);
  try {
    return await work();
  } finally {
    release();
    process.off('exit', release);
  }
}

/** Whether node_modules matches package-lock.json (another platform's optional packages may be absent). */
export function packagesCurrent(folder = root) {
  const installed = join(folder, 'node_modules/.package-lock.json');
  if (!existsSync(installed)) return false;
  const wanted = readJson(join(folder, 'package-lock.json')).packages;
  const present = readJson(installed).packages;
  return Object.entries(wanted).every(([path, { version, optional }]) => {
    if (path === '') return true;
    if (!present[path]) return optional === true;
    return present[path].version === version && existsSync(join(folder, path, 'package.json'));
  });
}

async function installPackages() {
  say('installing packages (npm ci)');
  const npm = process.env.npm_execpath?.endsWith('.js') ? [process.execPath, process.env.npm_execpath] : ['npm'];
  // No dependency needs its install script: webgpu ships its binaries.
  const args = ['ci', '--ignore-scripts', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error'];
  await must('npm ci', npm[0], [...npm.slice(1), ...args]);
}

function* walk(folder) {
  for (const entry of existsSync(folder) ? readdirSync(folder, { withFileTypes: true }) : []) {
    if (entry.isDirectory()) yield* walk(join(folder, entry.name));
    else yield join(folder, entry.name);
  }
}

const versionOf = (name) => readJson(join(root, 'node_modules', name, 'package.json')).version;

/** A hash of paths, sizes, and times of the files of some folders, and of the version of the tool that builds of them. */
function keyOf(folders, ending, tool) {
  const hash = createHash('sha256').update(tool);
  for (const folder of folders) {
    for (const path of [...walk(join(root, folder))].sort()) {
      if (!ending.test(path)) continue;
      const { size, mtimeMs } = statSync(path);
      hash.update(`${path}\0${size}\0${mtimeMs}\n`);
    }
  }
  return hash.digest('hex');
}

/** What dist/ consists of: `key` changes with everything that it is built from, and `stamp` has the key of what is there. */
const BUILDS = [
  {
    name: 'dist/',
    stamp: 'dist/.build',
    key() {
      const config = readFileSync(join(root, 'tsconfig.json'), 'utf8');
      const folders = JSON.parse(config).include.map((one) => one.replace(/\/\*\.ts$/, ''));
      return keyOf(folders, /\.ts$/, config + versionOf('typescript'));
    },
    async build() {
      await must('the build', process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', '.']);
      for (const path of walk(join(root, 'dist'))) {
        if (/^dist\/(web|operator)\//.test(relative(root, path))) continue; // pages, which Vite builds
        const source = join(root, relative(join(root, 'dist'), path)).replace(/(\.d\.ts|\.js|\.js\.map)$/, '.ts');
        if (source.endsWith('.ts') && !existsSync(source)) rmSync(path);
      }
      const command = join(root, 'dist/cli/main.js');
      if (existsSync(command)) chmodSync(command, 0o755);
    },
  },
  {
    name: "the operator's page",
    stamp: 'dist/.operator',
    key: () => keyOf(['web'], /\.(tsx?|css|html|svg)$/, versionOf('vite')),
    build() {
      const args = ['build', '-c', 'web/operator/vite.config.ts', '--logLevel', 'warn'];
      const env = { ...process.env, NODE_ENV: 'production' }; // that of a test would be built for
      const vite = join(root, 'node_modules/vite/bin/vite.js');
      return must('the build of the page', process.execPath, [vite, ...args], { env });
    },
  },
];

/** Builds of which something has changed. */
function stale() {
  return BUILDS.filter(({ stamp, key }) => {
    const path = join(root, stamp);
    return !existsSync(path) || readFileSync(path, 'utf8') !== key();
  });
}

async function build() {
  for (const { name, stamp, key, build } of stale()) {
    say(`building ${name}`);
    const before = key();
    await build();
    mkdirSync(dirname(join(root, stamp)), { recursive: true });
    writeFileSync(join(root, stamp), before);
  }
}

/** A hash of everything that decides which adapter Dawn finds: its version, driver files, and environment variables. */
function adapterKey(env) {
  const hash = createHash('sha256');
  hash.update(readJson(join(root, 'node_modules/webgpu/package.json')).version + process.arch);
  for (const name of ['VK_DRIVER_FILES', 'VK_ICD_FILENAMES', 'VK_ADD_DRIVER_FILES', 'LD_LIBRARY_PATH']) {
    hash.update(`${name}=${env[name] ?? ''}\n`);
  }
  const libraries = ['/usr/lib', '/usr/lib64', `/usr/lib/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`];
  const files = libraries.flatMap((folder) => [join(folder, 'libvulkan.so.1'), join(folder, 'libvulkan_lvp.so')]);
  const folders = ['/usr/share/vulkan/icd.d', '/etc/vulkan/icd.d', '/usr/local/share/vulkan/icd.d'];
  for (const path of [...files, ...folders.flatMap((folder) => [...walk(folder)]), '/dev/dri', '/dev/nvidia0']) {
    const stat = statSync(path, { throwIfNoEntry: false });
    hash.update(`${path} ${stat?.mtimeMs ?? '-'} ${stat?.size ?? '-'}\n`);
  }
  return hash.digest('hex');
}

// In a process of its own: a broken driver may crash it. The instance stays reachable through globalThis.
const probeCode = `
  import { create } from 'webgpu';
  globalThis.gpu = create([]);
  const adapter = await globalThis.gpu.requestAdapter();
  const device = await adapter?.requestDevice();
  if (device) process.stdout.write('\\nadapter=' + (adapter.info.description || adapter.info.device || 'unnamed') + '\\n');
  process.exit(device ? 0 : 1);
`;

/** The name of a usable WebGPU adapter, or null. A positive answer is cached until drivers change. */
export async function findAdapter({ env = process.env } = {}) {
  const path = join(cache, 'adapter.json');
  const key = adapterKey(env);
  try {
    const known = readJson(path);
    if (known.key === key) return known.adapter;
  } catch {
    // Nothing cached yet.
  }
  const args = ['--input-type=module', '-e', probeCode];
  const { output } = await run('looking for a WebGPU adapter', process.execPath, args, { env, limit: 60_000 });
  const adapter = /^adapter=(.+)$/m.exec(output)?.[1] ?? null;
  if (adapter) {
    mkdirSync(cache, { recursive: true });
    writeFileSync(path, JSON.stringify({ key, adapter }));
  }
  return adapter;
}

/** Whether there is a Chromium for the tests: the system's, or Playwright's own. */
async function hasChromium(env) {
  const path = findChromium(env);
  if (path) return existsSync(path);
  const { chromium } = await import('playwright');
  return existsSync(chromium.executablePath());
}

/** apt-get with one retry while another process holds its lock. */
async function apt(what, args) {
  const options = ['-o', 'DPkg::Lock::Timeout=300', '-o', 'Acquire::Retries=3'];
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  for (let attempt = 0; ; attempt++) {
    const result = await run(what, 'apt-get', [...options, ...args], { env });
    if (!/Could not get lock/.test(result.output) || attempt === 20) return result;
    await sleep(5000);
  }
}

/**
 * Carries out a plan of planInstall as root. A package source that the machine lacks is added to a temporary copy of the
 * source list, which only these runs of apt-get use.
 * @returns {Promise<string | null>} why it failed
 */
export async function installSystem(plan, { simulate = false } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'attune-apt-'));
  const cleanUp = () => rmSync(folder, { recursive: true, force: true });
  process.once('exit', cleanUp);
  try {
    const options = ['-o', 'APT::Get::List-Cleanup=0'];
    if (plan.source) {
      readAptSources().forEach(({ path, text }, index) => {
        writeFileSync(join(folder, `${index}${path.slice(path.lastIndexOf('.'))}`), text);
      });
      writeFileSync(join(folder, 'backports.sources'), plan.source);
      options.push('-o', `Dir::Etc::sourceparts=${folder}`, '-o', 'Dir::Etc::sourcelist=/dev/null');
    }
    // A failing source is no reason to stop: the installation shows whether the packages are available.
    if (plan.installs.length > 0) await apt('apt-get update', [...options, 'update']);
    for (const { packages, release } of plan.installs) {
      say(`installing ${packages.join(', ')}${release ? ` from ${release}` : ''}`);
      const flags = ['install', '-y', '--no-install-recommends', ...(release ? ['-t', release] : [])];
      const { code, output } = await apt('apt-get install', [
        ...options,
        ...flags,
        ...(simulate ? ['-s'] : []),
        ...packages,
      ]);
      if (simulate) process.stderr.write(output);
      if (code !== 0) return output.trim().split('\n').slice(-3).join(' ');
    }
    if (plan.playwright && !simulate) {
      say('installing Chromium (playwright install)');
      const args = [join(root, 'node_modules/playwright/cli.js'), 'install', '--with-deps', 'chromium'];
      const { code, output } = await run('playwright install', process.execPath, args);
      if (code !== 0) return output.trim().split('\n').slice(-3).join(' ');
    }
    return null;
  } finally {
    cleanUp();
    process.off('exit', cleanUp);
  }
}

/**
 * Looks for the adapter (and Chromium for tests), installs what is missing if that is allowed, and otherwise prints how to
 * install it.
 * @param {'start' | 'test'} need
 * @param {object} [injected] stand-ins for tests: env, root (may install), say, adapter(), chromium(), postgres(), redis(), install(plan)
 * @returns {Promise<{ adapter: string | null, ok: boolean }>} `ok`: nothing that `need` requires is missing; databases are not required
 */
export async function checkSystem(need, injected = {}) {
  const env = injected.env ?? process.env;
  const tell = injected.say ?? say;
  const adapter = injected.adapter ?? (() => findAdapter({ env }));
  const chromium = injected.chromium ?? (() => hasChromium(env));
  const postgres = injected.postgres ?? (() => findPostgres(env) !== undefined);
  const redis = injected.redis ?? (() => findRedis(env) !== undefined);
  const install = injected.install ?? ((plan) => locked(() => installSystem(plan)));
  const mayInstall = injected.root ?? (process.getuid?.() === 0 && !env.ATTUNE_NO_INSTALL);

  let found = await adapter();
  const missing = {
    driver: !found,
    chromium: need === 'test' && !(await chromium()),
    // Optional: what needs them is skipped without them.
    postgres: need === 'test' && mayInstall && planInstall({}, env).automatic && !postgres(),
    redis: need === 'test' && mayInstall && planInstall({}, env).automatic && !redis(),
  };
  if (!Object.values(missing).some(Boolean)) return { adapter: found, ok: true };
  const lacks = () =>
    [
      missing.driver && 'no WebGPU adapter here',
      missing.chromium && 'no Chromium here',
      missing.postgres && 'no PostgreSQL here',
      missing.redis && 'no Redis here',
    ]
      .filter(Boolean)
      .join(', ');

  let failure = null;
  const plan = planInstall(missing, env);
  if (mayInstall && (plan.automatic || plan.playwright)) {
    tell(`${lacks()}: installing ${missing.driver ? 'the software Vulkan driver' : 'it'} (a minute or two)`);
    failure = await install(plan);
    if (missing.driver) found = await adapter();
    missing.driver = !found;
    missing.chromium = missing.chromium && !(await chromium());
    missing.postgres = missing.postgres && !postgres();
    missing.redis = missing.redis && !redis();
  }
  const ok = !missing.driver && !missing.chromium;
  if (!ok || missing.postgres || missing.redis) {
    if (failure) tell(`the installation failed: ${failure}`);
    tell(`${lacks()}. To get it: ${planInstall(missing, env).command}`);
  }
  return { adapter: found, ok };
}

/**
 * The whole set-up. Throws SetupError (one line, then details) if the checkout cannot be made ready.
 * @param {'build' | 'start' | 'test'} need
 */
export async function setup(need) {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < 20 || (major === 20 && minor < 19)) {
    throw new SetupError(`Node ${process.versions.node} is too old: install Node 20.19 or later`);
  }
  if (!packagesCurrent()) await locked(async () => packagesCurrent() || installPackages());
  generate();
  if (stale().length > 0) await locked(build);
  return need === 'build' ? { adapter: null, ok: true } : await checkSystem(need);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const at = process.argv.indexOf('--need');
  const need = at < 0 ? 'start' : process.argv[at + 1];
  if (!['build', 'start', 'test'].includes(need)) {
    say('usage: node scripts/setup.mjs [--need build|start|test]');
    process.exit(2);
  }
  try {
    const { ok } = await setup(need);
    process.exitCode = ok || need === 'start' ? 0 : 1;
  } catch (error) {
    say(error instanceof SetupError ? error.message : error.stack);
    process.exitCode = 1;
  }
}
