/** Workers of a queue, as processes: for tests that kill them. */
import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

export interface Running {
  child: ChildProcess;
  said(): string;
}

export class Workers {
  private readonly all = new Set<ChildProcess>();
  private readonly dir: string;
  private readonly queue: string;

  constructor(dir: string, queue = '') {
    this.dir = dir;
    this.queue = queue;
  }

  readonly start = (): Running => {
    const child = spawn(process.execPath, [main, 'worker', '--queue', this.queue, '--device', 'cpu'], {
      cwd: this.dir,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.all.add(child);
    let said = '';
    for (const stream of [child.stdout, child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => {
        said += text;
      });
    return { child, said: () => said };
  };

  kill(): void {
    for (const worker of this.all) worker.kill('SIGKILL');
  }
}

export async function until(what: () => boolean, why: () => string): Promise<void> {
  for (let waited = 0; !what(); waited += 20) {
    if (waited > 120_000) throw new Error(`waited in vain: ${why()}`);
    await sleep(20);
  }
}
