/** The built command `attune serve` in a process of its own, as users run it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Busy machines run these tests, too: a server that lags answers all the same. */
const settings = join(mkdtempSync(join(tmpdir(), 'attune-config-')), 'config.json');
writeFileSync(settings, '{ "limits": { "delay": 0 } }');
process.once('exit', () => rmSync(dirname(settings), { recursive: true, force: true }));

const command = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

export interface Served {
  url: string;
  child: ChildProcess;
  /** Standard error so far. */
  said(): string;
  /** Sends a signal and waits for the end. @returns the exit code, null after a kill */
  end(signal: NodeJS.Signals): Promise<number | null>;
}

/** Processes that are running, for afterAll. */
const running = new Set<ChildProcess>();
export const endAll = (): void => {
  for (const child of running) child.kill('SIGKILL');
};

/**
 * Starts a server on a free port; resolves when it takes requests. @throws Error with what it said where it ends before
 * @param cwd folder that its paths start from
 */
export function serveCommand(args: readonly string[], env: Record<string, string> = {}, cwd?: string): Promise<Served> {
  if (!existsSync(command)) throw new Error('dist/ is missing: npm run build');
  const config = args.includes('--config') ? [] : ['--config', settings];
  const child = spawn(
    process.execPath,
    [command, 'serve', '--port', '0', '--device', 'cpu', '--log', 'warn', ...config, ...args],
    {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, ...env },
      cwd,
    },
  );
  running.add(child);
  let said = '';
  const ended = new Promise<number | null>((resolve) =>
    child.once('close', (code) => {
      running.delete(child);
      resolve(code);
    }),
  );
  return new Promise((resolve, reject) => {
    ended.then((code) => reject(new Error(`the server ended with ${code}: ${said}`)));
    child.stderr?.setEncoding('utf8').on('data', (text) => {
      said += text;
      const [, url] = /serving .* on (http\S+);/.exec(said) ?? [];
      if (url)
        resolve({
          url,
          child,
          said: () => said,
          end(signal) {
            child.kill(signal);
            return ended;
          },
        });
    });
  });
}
