/** Work that a command shares among workers by a queue (`--queue`), with progress and Ctrl-C. */
import type { Job, JobResult } from '../cluster/jobs.ts';
import type { JobQueue } from '../cluster/queue.node.ts';
import { type Interrupt, onInterrupt, type Output, shellWord } from './common.ts';
import { missingPackage } from './packages.ts';
import { createProgress, formatCount, type Progress } from './output/ui.ts';

/** Milliseconds between looks at the queue. */
const LOOK = 1000;

export class SharedWork {
  private readonly queue: JobQueue;
  private readonly out: Output;
  private readonly bar: Progress;
  private readonly interrupt: Interrupt;
  private readonly looking: NodeJS.Timeout;
  private asked = 0;
  private done = 0;
  private alone = false;

  private constructor(queue: JobQueue, out: Output, progress: boolean | undefined) {
    this.queue = queue;
    this.out = out;
    this.bar = createProgress({ total: 1, force: progress });
    this.interrupt = onInterrupt(() => void queue.withdraw());
    this.looking = setInterval(() => void this.look(), LOOK);
  }

  /** @throws InputError where the queue does not answer, or its packages are not installed */
  static async open(address: string, out: Output, progress?: boolean): Promise<SharedWork> {
    const { JobQueue } = await import('../cluster/queue.node.ts').catch(missingPackage);
    const shared = new SharedWork(await JobQueue.open(address), out, progress);
    await shared.look();
    return shared;
  }

  /** @returns null where Ctrl-C came before the result @throws Error where the job was tried in vain */
  async run(job: Job): Promise<JobResult | null> {
    const { signal } = this.interrupt;
    if (signal.aborted) return null;
    this.asked++;
    this.bar.setTotal(this.asked);
    const stopped = new Promise<null>((resolve) =>
      signal.addEventListener('abort', () => resolve(null), { once: true }),
    );
    const result = await Promise.race([this.queue.run(job), stopped]);
    if (result) this.done++;
    return result;
  }

  /** Where nobody listens, that is said once. */
  private async look(): Promise<void> {
    const workers = await this.queue.workers().catch(() => null);
    if (workers === null) return;
    this.bar.update(this.done, {
      phase: `${formatCount(workers)} ${workers === 1 ? 'worker' : 'workers'}, ${formatCount(this.asked - this.done)} jobs asked for`,
    });
    if (workers === 0 && !this.alone)
      this.out.warn(
        `no worker listens at ${this.queue.address}: start one, on any machine that reaches the files, with attune worker --queue ${shellWord(this.queue.address)}`,
      );
    this.alone = workers === 0;
  }

  async close(): Promise<void> {
    clearInterval(this.looking);
    // Where the command fails, too: nobody waits for what is left.
    await this.queue.withdraw();
    this.interrupt.end();
    this.bar.stop();
    await this.queue.close();
  }
}

/** What follows the name of the command that runs, without these flags and their values. */
export function wordsWithout(flags: readonly string[], typed: readonly string[] = process.argv.slice(3)): string[] {
  const words: string[] = [];
  for (let i = 0; i < typed.length; i++) {
    const [name, value] = typed[i].split('=', 2);
    if (!flags.includes(name)) words.push(typed[i]);
    else if (value === undefined && !typed[i + 1]?.startsWith('--')) i++;
  }
  return words;
}
