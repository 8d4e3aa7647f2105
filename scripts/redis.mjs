/** Redis for tests: a server of its own in a temporary folder, from the system's package. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from './postgres.mjs';
import { findRedis } from './system.mjs';

/**
 * Starts a server on a free port of this machine. It ends with `stop`, or when this process ends, however it ends.
 * @returns {Promise<{ address: string, stop(): Promise<void> } | null>} null, and one line on standard error that says why,
 *   where it cannot start
 */
export async function startRedis() {
  const program = findRedis();
  if (!program) {
    process.stderr.write(
      'attune: what needs Redis is skipped: none here; on Debian: sudo apt-get install -y redis-server\n',
    );
    return null;
  }
  const folder = mkdtempSync(join(tmpdir(), 'attune-redis-'));
  const port = await freePort();
  const args = ['--bind', '127.0.0.1', '--port', String(port), '--dir', folder, '--save', '', '--appendonly', 'no'];
  const script = '"$@" </dev/null & server=$!; read line; kill -KILL $server; wait $server';
  const child = spawn('sh', ['-c', script, 'sh', program, ...args], { stdio: ['pipe', 'ignore', 'ignore'] });
  child.stdin.on('error', () => {}); // it ended first
  const stop = async () => {
    if (child.exitCode === null) {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.stdin.end();
      await ended;
    }
    rmSync(folder, { recursive: true, force: true });
  };
  const { Redis } = await import('ioredis');
  for (let waited = 0; waited < 30_000; waited += 100) {
    const probe = new Redis(port, '127.0.0.1', { lazyConnect: true, retryStrategy: () => null });
    probe.on('error', () => {});
    const answers = await probe.connect().then(
      () => true,
      () => false,
    );
    probe.disconnect();
    if (answers) return { address: `redis://127.0.0.1:${port}`, stop };
    await sleep(100);
  }
  await stop();
  process.stderr.write('attune: what needs Redis is skipped: it does not answer\n');
  return null;
}
