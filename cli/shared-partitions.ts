/** Partitions of a training that workers train by a queue: each is a command (commands/train-partition.ts). */
import { readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import type { RoundQueue } from '../cluster/rounds.node.ts';
import type { Files } from '../model/storage/files.ts';
import { NodeFiles } from '../recommend/sources/files.node.ts';
import { Stopped } from '../train/loop/time-budget.ts';
import type { PartitionOutcome, Partitions, RoundRequest } from '../train/parallel/options.ts';
import type { RankingPlan } from '../train/plan.ts';
import { type Output, shellWord } from './common.ts';
import { missingPackage } from './packages.ts';

/** Milliseconds between looks at who listens. */
const LOOK = 1000;

/** Where the rounds of a training exchange their files: beside its model. */
export const roundsFolder = (model: string): string => `${model.replace(/[\\/]+$/, '')}.rounds`;

/** The files of a training's rounds. @throws InputError where the folder cannot be made */
export async function openRounds(model: string): Promise<Pick<Partitions, 'files' | 'folder'>> {
  const where = roundsFolder(model);
  return { files: await NodeFiles.create(where), folder: (name) => NodeFiles.create(path.join(where, name)) };
}

interface Flags {
  out: string;
  data?: string;
  users?: string;
  maxBadRows: number;
  resume?: boolean;
}

export class SharedPartitions implements Partitions {
  readonly files: Files;
  readonly folder: Partitions['folder'];
  private readonly queue: RoundQueue;
  private readonly flags: Flags;
  private readonly partitions: number;
  private readonly out: Output;
  private readonly looking: NodeJS.Timeout;
  private alone = false;

  private constructor(
    queue: RoundQueue,
    files: Pick<Partitions, 'files' | 'folder'>,
    flags: Flags,
    partitions: number,
    out: Output,
  ) {
    this.queue = queue;
    this.files = files.files;
    this.folder = files.folder;
    this.flags = flags;
    this.partitions = partitions;
    this.out = out;
    this.looking = setInterval(() => void this.look(), LOOK);
  }

  /** @throws InputError where the queue does not answer, or its packages are not installed */
  static async open(address: string, flags: Flags, { config }: RankingPlan, out: Output): Promise<SharedPartitions> {
    const { RoundQueue } = await import('../cluster/rounds.node.ts').catch(missingPackage);
    const queue = await RoundQueue.open(address);
    const shared = new SharedPartitions(queue, await openRounds(flags.out), flags, config.parallel?.workers ?? 0, out);
    if (!flags.resume) await shared.keepOnly([]); // of a model that was there before
    await shared.look();
    return shared;
  }

  async keepOnly(names: readonly string[]): Promise<void> {
    for (const name of readdirSync(this.files.where))
      if (/^round-\d+-part-\d+$/.test(name) && !names.includes(name))
        rmSync(path.join(this.files.where, name), { recursive: true, force: true });
  }

  async train<T>(
    { round, until, signal, onProgress }: RoundRequest,
    average: (outcomes: readonly PartitionOutcome[]) => Promise<T>,
  ): Promise<T> {
    const { out, data, users, maxBadRows, resume } = this.flags;
    // Without them, a partition reads the files that the model was started with.
    const others = [
      ...(resume && data !== undefined ? ['--data', data] : []),
      ...(users !== undefined ? ['--users', users] : []),
    ];
    const jobs = Array.from({ length: this.partitions }, (_, i) => ({
      title: `round ${round}, partition ${i + 1} of ${this.partitions}`,
      words: [
        ...['train', '--out', out, '--resume', '--round', String(round), '--partition', String(i + 1)],
        ...['--max-bad-rows', String(maxBadRows), ...others],
      ],
      once: true,
      ...(until !== undefined && { until }),
    }));
    const title = `round ${round}`;
    const result = await this.queue.run({ title, jobs, until, signal, onProgress }, async (ended) => ({
      averaged: await average(
        ended.map((one): PartitionOutcome => {
          if (one.kind === 'done') return { answer: one.output };
          return { reason: one.kind === 'late' ? 'there was no time for it' : one.reason };
        }),
      ),
    }));
    if (!result) throw new Stopped('interrupted');
    return result.averaged;
  }

  /** Where nobody listens, that is said once. */
  private async look(): Promise<void> {
    const workers = await this.queue.workers().catch(() => null);
    if (workers === null) return;
    if (workers === 0 && !this.alone)
      this.out.warn(
        `no worker listens at ${this.queue.address}: start ${this.partitions}, on machines that reach the files, with attune worker --queue ${shellWord(this.queue.address)}`,
      );
    this.alone = workers === 0;
  }

  async close(): Promise<void> {
    clearInterval(this.looking);
    await this.queue.close();
  }
}
