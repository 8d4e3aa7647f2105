/** PostgreSQL for tests: a cluster of its own in a temporary folder, from the system's package, stopped at the end. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Postgres {
  /** `postgres://…` of a new, empty database. */
  database(options?: string): Promise<string>;
  stop(): Promise<void>;
}

/** The newest version's programs: Debian keeps them out of the PATH. */
function programs(): string | null {
  const debian = '/usr/lib/postgresql';
  const versions = existsSync(debian) ? readdirSync(debian).sort((a, b) => Number(b) - Number(a)) : [];
  const folders = [
    ...versions.map((version) => join(debian, version, 'bin')),
    ...(process.env.PATH ?? '').split(delimiter),
  ];
  return folders.find((folder) => existsSync(join(folder, 'initdb')) && existsSync(join(folder, 'postgres'))) ?? null;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Starts a server; null, and one line that says why, where there is none. */
export async function startPostgres(): Promise<Postgres | null> {
  const bin = programs();
  const skip = (why: string): null => {
    process.stderr.write(`attune: tests of the PostgreSQL store are skipped: ${why}\n`);
    return null;
  };
  if (!bin) return skip('no initdb here; on Debian: sudo apt-get install -y postgresql');
  // PostgreSQL refuses to run as root.
  let user: { uid?: number; gid?: number } = {};
  if (process.getuid?.() === 0) {
    try {
      const id = (flag: string): number =>
        Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8', stdio: 'pipe' }));
      user = { uid: id('-u'), gid: id('-g') };
    } catch {
      return skip('it does not run as root, and there is no user postgres');
    }
  }
  const folder = mkdtempSync(join(tmpdir(), 'attune-postgres-'));
  if (user.uid !== undefined) chownSync(folder, user.uid, user.gid as number);
  chmodSync(folder, 0o700);
  const data = join(folder, 'data');
  let child: ChildProcess | null = null;
  let ended: Promise<unknown> = Promise.resolve();
  const end = async (): Promise<void> => {
    child?.stdin?.end();
    await ended;
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const options = { ...user, cwd: folder, env: { PATH: process.env.PATH, LC_ALL: 'C' } };
    const args = ['-D', data, '-U', 'attune', '--auth=trust', '--encoding=UTF8', '--no-sync'];
    execFileSync(join(bin, 'initdb'), args, { ...options, stdio: 'pipe' });
    const port = await freePort();
    const settings = { listen_addresses: '127.0.0.1', port, unix_socket_directories: folder, max_connections: 100 };
    // It ends when its standard input does, so that a test run that is killed leaves nothing behind.
    const command = [join(bin, 'postgres'), '-D', data];
    for (const [name, value] of Object.entries(settings)) command.push('-c', `${name}=${value}`);
    const script = '"$@" </dev/null & server=$!; read line; kill -QUIT $server; wait $server';
    child = spawn('sh', ['-c', script, 'sh', ...command], { ...options, stdio: ['pipe', 'ignore', 'ignore'] });
    ended = new Promise((resolve) => child?.once('exit', resolve));
    const { default: pg } = await import('pg');
    const address = (name: string): string => `postgres://attune@127.0.0.1:${port}/${name}`;
    const query = async (sql: string): Promise<void> => {
      const client = new pg.Client({ connectionString: address('postgres') });
      await client.connect();
      await client.query(sql).finally(() => client.end());
    };
    for (let waited = 0; ; waited += 100) {
      if (child.exitCode !== null) throw new Error('the server ended');
      if (
        await query('SELECT 1').then(
          () => true,
          () => waited > 60_000,
        )
      )
        break;
      await sleep(100);
    }
    let made = 0;
    return {
      async database(more = '') {
        const name = `test_${++made}`;
        await query(`CREATE DATABASE ${name} ${more}`);
        return address(name);
      },
      stop: end,
    };
  } catch (error) {
    await end();
    return skip((error as Error).message.split('\n')[0]);
  }
}
