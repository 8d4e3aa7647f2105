#!/usr/bin/env node
/**
 * The first minutes on a machine with a GPU: everything that is to be known of Attune there, in one run with a time
 * limit. Each part runs in a process of its own with its share of the time; what it found is written to the JSON file
 * as it comes, and a part that fails or crashes does not stop the next.
 *
 *   npm run bench:gpu -- [--max-minutes 12] [--out bench-gpu.json] [--data ratings.csv] [--only cases,step] [--quick]
 *
 * For a bare Linux machine of the same architecture, with no network and no packages, make a folder and an archive of it
 * to carry (Node's binary, Dawn, dist/, the kernel cases):
 *
 *   apt-get download libvulkan1
 *   npm run bench:gpu -- --prepare /tmp/attune-gpu --carry libvulkan1_*.deb [--data ratings.csv]
 *
 * There, with the archive /tmp/attune-gpu.tar.xz:
 *
 *   tar -xJf attune-gpu.tar.xz && cd attune-gpu       # without xz: python3 -m tarfile -e attune-gpu.tar.xz
 *   dpkg-deb -x carried/libvulkan1_*.deb vulkan       # only where `ldconfig -p | grep libvulkan` prints nothing
 *   export LD_LIBRARY_PATH=$PWD/vulkan/usr/lib/x86_64-linux-gnu
 *   export VK_DRIVER_FILES=$(find / -name 'nvidia_icd*.json' 2>/dev/null | head -1)   # only where no adapter is found
 *   ./node bench/gpu/run.mjs --max-minutes 12 --out result.json
 *
 * NVIDIA's driver must be of the kind with graphics libraries: libGLX_nvidia.so.0 is its Vulkan driver. The step against
 * PyTorch needs a python3 with torch on the PATH, MovieLens 1M the log given by --data (here or to --prepare).
 */
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { cpus, homedir, platform, release, tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { runChild } from './child.mjs';
import { PARTS } from './parts.mjs';
import { Report } from './report.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const fail = (message) => {
  process.stderr.write(`bench:gpu: ${message}\n`);
  process.exit(2);
};

function readFlags() {
  const text = { type: 'string' };
  const options = {
    'max-minutes': text,
    out: { ...text, default: 'bench-gpu.json' },
    data: text,
    only: text,
    quick: { type: 'boolean', default: false },
    prepare: text,
    carry: { ...text, multiple: true, default: [] },
    'no-archive': { type: 'boolean', default: false },
  };
  try {
    // A shell expands `--carry *.deb` into one flag and further files.
    const { values, positionals } = parseArgs({ options, allowPositionals: true });
    if (positionals.length > 0 && values.carry.length === 0) fail(`${positionals[0]}: not expected`);
    return { ...values, carry: [...values.carry, ...positionals] };
  } catch (error) {
    return fail(error.message);
  }
}

const flags = readFlags();
const minutes = Number(flags['max-minutes'] ?? (flags.quick ? 2 : 12));
if (!(minutes > 0)) fail(`--max-minutes ${flags['max-minutes']}: expected a number > 0`);
if (flags.data && !existsSync(flags.data)) fail(`--data ${flags.data}: no such file`);
const names = PARTS.map(({ name }) => name);
const only = flags.only?.split(',') ?? names;
for (const name of only) if (!names.includes(name)) fail(`--only ${name}: expected one of ${names.join(', ')}`);

if (flags.prepare) {
  const { prepare } = await import('./prepare.mjs');
  await prepare(root, resolve(flags.prepare), flags);
} else {
  await run();
}

async function run() {
  const started = performance.now();
  const end = started + minutes * 60_000;
  const work = mkdtempSync(join(tmpdir(), 'attune-gpu-'));
  process.once('exit', () => rmSync(work, { recursive: true, force: true }));
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(130));
  const report = new Report(resolve(flags.out), {
    node: process.versions.node,
    system: `${platform()} ${release()} ${process.arch}`,
    processor: `${cpus().length} × ${cpus()[0]?.model}`,
    maxMinutes: minutes,
    quick: flags.quick,
  });
  const context = { root, work, quick: flags.quick, cores: cpus().length, data: dataFile(), cases: await casesFile() };
  // What `tune` finds is for this run alone; the driver's own cache of shaders stays where it is.
  const cache = process.env.XDG_CACHE_HOME || join(process.env.HOME || homedir(), '.cache');
  const env = { MESA_SHADER_CACHE_DIR: cache, ...process.env, XDG_CACHE_HOME: join(work, 'cache') };
  if (context.data?.endsWith('/ml-1m/ratings.csv')) env.ATTUNE_DATA = dirname(dirname(context.data));

  const parts = PARTS.filter(({ name }) => only.includes(name));
  for (const [i, part] of parts.entries()) {
    const shares = parts.slice(i).reduce((sum, { share }) => sum + share, 0);
    const left = ((end - performance.now()) / 1000) * (part.share / shares);
    const seconds = Math.max(1, flags.quick ? Math.min(left, part.quickSeconds ?? left) : left);
    const skipped = part.skip?.(context);
    report.begin(part.name, seconds);
    if (skipped) report.end({ status: 'skipped', reason: skipped });
    else {
      const commands = part.commands({ ...context, seconds });
      const outcome = await runChild(commands, { cwd: root, env, seconds, onLine: (line) => report.add(line) });
      if (outcome.status !== 'done' && part.partial) report.add(part.partial(context));
      report.end(outcome);
    }
  }
  report.finish((performance.now() - started) / 1000);
}

/** The log of MovieLens 1M: as given, as carried, or that of the tests. */
function dataFile() {
  if (flags.data) return resolve(flags.data);
  const carried = join(root, 'logs/ml-1m');
  if (existsSync(carried)) return join(carried, readdirSync(carried)[0]);
  const tests = process.env.ATTUNE_DATA && join(process.env.ATTUNE_DATA, 'ml-1m/ratings.csv');
  return tests && existsSync(tests) ? tests : null;
}

/** The kernel cases as one file: carried, or bundled now. */
async function casesFile() {
  const carried = join(root, 'cases.mjs');
  if (existsSync(carried)) return carried;
  const { bundleCases } = await import('./prepare.mjs');
  return bundleCases(root, join(root, 'node_modules/.cache/attune/gpu'));
}
