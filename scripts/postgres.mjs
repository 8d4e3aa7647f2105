/** PostgreSQL for tests and benchmarks: a cluster of its own in a temporary folder, from the system's package. */
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, chownSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findPostgres } from './system.mjs';

/** @returns {Promise<number>} */
export async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(null)));
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** The user that a root process starts PostgreSQL as, which refuses root; null where there is none. */
function userOf() {
  if (process.getuid?.() !== 0) return {};
  try {
    const id = (flag) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8', stdio: 'pipe' }));
    return { uid: id('-u'), gid: id('-g') };
  } catch {
    return null;
  }
}

/**
 * Starts a server on a free port of this machine. It ends with `stop`, or when this process ends, however it ends.
 * @returns {Promise<{ database(options?: string): Promise<string>, stop(): Promise<void> } | null>} `database` makes an
 *   empty database and gives its `postgres://…`; null, and one line on standard error that says why, where it cannot start
 */
export async function startPostgres() {
  const skip = (why) => {
    process.stderr.write(`attune: what needs PostgreSQL is skipped: ${why}\n`);
    return null;
  };
  const bin = findPostgres();
  if (!bin) return skip('no initdb here; on Debian: sudo apt-get install -y postgresql');
  const user = userOf();
  if (!user) return skip('it does not run as root, and there is no user postgres');
  const folder = mkdtempSync(join(tmpdir(), 'attune-postgres-'));
  if (user.uid !== undefined) chownSync(folder, user.uid, user.gid);
  chmodSync(folder, 0o700);
  const data = join(folder, 'data');
  let child = null;
  const stop = async () => {
    if (child && child.exitCode === null) {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.stdin.end();
      await ended;
    }
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const options = { ...user, cwd: folder, env: { PATH: process.env.PATH, LC_ALL: 'C' } };
    const args = ['-D', data, '-U', 'attune', '--auth=trust', '--encoding=UTF8', '--no-sync'];
    execFileSync(join(bin, 'initdb'), args, { ...options, stdio: 'pipe' });
    const port = await freePort();
    const settings = { listen_addresses: '127.0.0.1', port, unix_socket_directories: folder, max_connections: 100 };
    const command = [join(bin, 'postgres'), '-D', data];
    for (const [name, value] of Object.entries(settings)) command.push('-c', `${name}=${value}`);
    // It ends when its standard input does, so that a process that is killed leaves nothing behind.
    const script = '"$@" </dev/null & server=$!; read line; kill -QUIT $server; wait $server';
    child = spawn('sh', ['-c', script, 'sh', ...command], { ...options, stdio: ['pipe', 'ignore', 'ignore'] });
    child.stdin.on('error', () => {}); // it ended first
    const { default: pg } = await import('pg');
    const address = (name) => `postgres://attune@127.0.0.1:${port}/${name}`;
    const query = async (sql) => {
      const client = new pg.Client({ connectionString: address('postgres') });
      await client.connect();
      await client.query(sql).finally(() => client.end());
    };
    for (let waited = 0; ; waited += 100) {
      if (waited > 60_000) throw new Error('the server does not answer');
      const answers = await query('SELECT 1').then(
        () => true,
        () => false,
      );
      if (answers) break;
      await sleep(100);
    }
    let made = 0;
    return {
      async database(more = '') {
        const name = `test_${++made}`;
        await query(`CREATE DATABASE ${name} ${more}`);
        return address(name);
      },
      stop,
    };
  } catch (error) {
    await stop();
    return skip(error.message.split('\n')[0]);
  }
}
