/** The folder to carry to another machine, laid out like the checkout, and an archive of it. */
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { build } from 'vite';

const MIB = 2 ** 20;
/** Most that there may be to carry. */
const LIMIT = 64 * MIB;
const BENCH = [
  'gpu',
  'peers/data.mjs',
  'peers/sequences.mjs',
  'peers/peers/attune-sasrec.mjs',
  'peers/peers/torch_sasrec.py',
];

/** The kernel cases and what runs them in one file, which imports `webgpu` from its surroundings. */
export async function bundleCases(root, folder) {
  await build({
    root,
    configFile: false,
    logLevel: 'error',
    ssr: { noExternal: true },
    build: {
      ssr: 'test/kernels/report.ts',
      outDir: folder,
      emptyOutDir: false,
      target: 'node20',
      rollupOptions: { output: { entryFileNames: 'cases.mjs', codeSplitting: false } },
    },
  });
  return join(folder, 'cases.mjs');
}

/** @param {{ data?: string, carry: string[], 'no-archive': boolean }} flags */
export async function prepare(root, folder, flags) {
  if (existsSync(folder)) throw new Error(`--prepare ${folder}: exists already`);
  mkdirSync(folder, { recursive: true });
  const at = (path) => join(folder, path);
  cpSync(join(root, 'package.json'), at('package.json'));
  cpSync(join(root, 'dist'), at('dist'), { recursive: true, filter: (path) => !/\.(map|d\.ts)$/.test(path) });
  for (const path of BENCH) cpSync(join(root, 'bench', path), at(join('bench', path)), { recursive: true });
  for (const name of packagesOf(root)) copyPackage(root, folder, name);
  cpSync(process.execPath, at('node'));
  chmodSync(at('node'), 0o755);
  await bundleCases(root, folder);
  const carried = [
    ...(flags.data ? [['logs/ml-1m', flags.data]] : []),
    ...flags.carry.map((file) => ['carried', file]),
  ];
  for (const [where, file] of carried) {
    mkdirSync(at(where), { recursive: true });
    cpSync(file, at(join(where, basename(file))));
  }
  if (flags['no-archive']) return void process.stdout.write(`${folder}\n`);
  archive(folder);
}

/** The library's dependencies and theirs. */
function packagesOf(root) {
  const found = new Set();
  const visit = (file) => {
    for (const name of Object.keys(JSON.parse(readFileSync(file, 'utf8')).dependencies ?? {})) {
      const manifest = join(root, 'node_modules', name, 'package.json');
      if (found.has(name) || !existsSync(manifest)) continue;
      found.add(name);
      visit(manifest);
    }
  };
  visit(join(root, 'package.json'));
  return found;
}

/** A package without its types and maps; of Dawn, this platform's binary alone. */
function copyPackage(root, folder, name) {
  const from = join(root, 'node_modules', name);
  const binaries = join(from, 'dist');
  const mine = join(binaries, `${process.platform}-${process.arch}`);
  const wanted = (path) => {
    if (/\.(map|d\.[cm]?ts)$/.test(path)) return false;
    return name !== 'webgpu' || dirname(path) !== binaries || path === mine;
  };
  cpSync(from, join(folder, 'node_modules', name), { recursive: true, filter: wanted });
}

function archive(folder) {
  const file = `${folder}.tar.xz`;
  const env = { ...process.env, XZ_OPT: '-2 -T0' };
  const { status, stderr } = spawnSync('tar', ['-cJf', file, '-C', dirname(folder), basename(folder)], { env });
  if (status !== 0) throw new Error(`tar: ${stderr}`);
  const { size } = statSync(file);
  process.stdout.write(`${file} ${(size / MIB).toFixed(1)} MiB, of ${readdirSync(folder).join(', ')}\n`);
  if (size > LIMIT) throw new Error(`${file}: expected at most ${LIMIT / MIB} MiB, got ${(size / MIB).toFixed(1)}`);
}
