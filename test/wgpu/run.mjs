#!/usr/bin/env node
/**
 * `npm run test:wgpu [-- --full]`: the kernels on wgpu and naga, Firefox's WebGPU, by way of Deno. Every kernel is
 * compiled, and the case table is held to the references, as test/wgpu/table.ts says. Deno is installed here when it is
 * first called for: its binary is an optional dependency for the platform, so that no install script is needed.
 */
import { spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { packagesCurrent, setup } from '../../scripts/setup.mjs';

const here = fileURLToPath(new URL('.', import.meta.url));
const say = (line) => process.stderr.write(`test:wgpu: ${line}\n`);

/** Runs a command to its end. @returns its exit code */
const command = (file, args, { env = {}, stdio = 'inherit' } = {}) =>
  new Promise((resolve) => {
    spawn(file, args, { cwd: here, stdio, env: { ...process.env, ...env } })
      .on('error', () => resolve(127))
      .on('close', (code) => resolve(code ?? 1));
  });

/** Deno's binary of this platform, or undefined. */
function findDeno() {
  const folder = join(here, 'node_modules/@deno');
  const name = process.platform === 'win32' ? 'deno.exe' : 'deno';
  const packages = existsSync(folder) ? readdirSync(folder) : [];
  return packages.map((one) => join(folder, one, name)).find((path) => existsSync(path));
}

await setup('start');
if (!packagesCurrent(here)) {
  say('installing Deno in test/wgpu/ (npm ci)');
  const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  if ((await command('npm', args, { stdio: ['ignore', 2, 2] })) !== 0) {
    say('npm ci in test/wgpu/ failed');
    process.exit(3);
  }
}
const deno = findDeno();
if (!deno) {
  say(`Deno has no binary for ${process.platform} ${process.arch}`);
  process.exit(3);
}
const full = process.argv.includes('--full');
const env = {
  ATTUNE_FULL: full ? '1' : (process.env.ATTUNE_FULL ?? ''),
  DENO_DIR: join(here, 'node_modules/.cache/deno'),
  DENO_NO_UPDATE_CHECK: '1',
};
const permissions = ['--allow-read', '--allow-env', '--no-remote', '--no-check', '--unstable-webgpu'];
process.exit(await command(deno, ['run', ...permissions, 'table.ts'], { env }));
