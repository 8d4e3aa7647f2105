/**
 * Rounds of jobs as BullMQ flows: the children go to the workers, and the parent, which waits for them, is done by the process
 * that asked. A child that fails, that its worker has died with, or that takes much longer than the others is given up, and
 * the parent does without it.
 */
import { randomUUID } from 'node:crypto';
import { type Job as QueuedJob, FlowProducer, Queue, QueueEvents, Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import type { Job, JobResult } from './jobs.ts';
import { connect, QUEUE, shownAddress } from './redis.node.ts';

/** Milliseconds between looks at what is late. */
const LOOK = 500;
/** A job is late that takes so many times as long as the slowest that has ended in its round, and this many milliseconds. */
const LATE = { times: 2, least: 30_000 };
/** Milliseconds after its time limit at which a job is given up. */
const GRACE = 2000;
/** Seconds that results stay. */
const KEPT = 3600;

export interface FlowOptions {
  title: string;
  jobs: readonly Job[];
  signal?: AbortSignal;
  /** Milliseconds since 1970 at which what is left is given up. */
  until?: number;
  /** Milliseconds that a job may take, whatever the others take. */
  least?: number;
  onProgress(ended: number): void;
}

/** What came of a job, or why it was given up. */
export type Ended = JobResult | { kind: 'given up'; reason: string };

/** What is known of a child. */
interface Child {
  job: QueuedJob<Job, JobResult> | null;
  /** `performance.now()` at which a worker took it. */
  since: number | null;
  /** Milliseconds that it took. */
  took: number | null;
  reason: string | null;
}

export class RoundQueue {
  readonly address: string;
  private readonly connections: Redis[];
  private readonly queue: Queue<Job, JobResult>;
  private readonly events: QueueEvents;
  private readonly flows: FlowProducer;
  private readonly parents: Worker;
  private readonly parentQueue = `${QUEUE}-rounds-${randomUUID()}`;
  /** By job ID, of the round that runs. */
  private readonly children = new Map<string, Child>();
  private whenReady: ((parent: QueuedJob) => Promise<void>) | null = null;

  private constructor(address: string, connections: Redis[]) {
    this.address = shownAddress(address);
    this.connections = connections;
    const [first, second, third] = connections;
    this.queue = new Queue(QUEUE, { connection: first });
    this.flows = new FlowProducer({ connection: first });
    this.events = new QueueEvents(QUEUE, { connection: second });
    this.parents = new Worker(this.parentQueue, async (parent) => this.whenReady?.(parent), { connection: third });
    this.parents.on('error', () => {}); // it connects again by itself
    this.events.on('active', ({ jobId }) => this.noteTime(jobId, (child, now) => (child.since = now)));
    for (const event of ['completed', 'failed'] as const)
      this.events.on(event, ({ jobId }: { jobId: string }) =>
        this.noteTime(jobId, (child, now) => (child.took = now - (child.since ?? now))),
      );
  }

  /** @throws InputError where Redis does not answer */
  static async open(address: string): Promise<RoundQueue> {
    const queue = new RoundQueue(address, [await connect(address), await connect(address), await connect(address)]);
    await Promise.all([queue.events.waitUntilReady(), queue.parents.waitUntilReady()]);
    return queue;
  }

  /** Workers that listen now. */
  workers(): Promise<number> {
    return this.queue.getWorkersCount();
  }

  /**
   * Runs jobs side by side, one round at a time.
   * @param gather gets what came of each job, in order; it is not called where the signal came first
   * @returns what `gather` did; null where the signal came first
   */
  async run<T>(options: FlowOptions, gather: (ended: Ended[]) => Promise<T>): Promise<T | null> {
    const { title, jobs, signal } = options;
    const keep = { removeOnComplete: { age: KEPT }, removeOnFail: { age: KEPT } };
    let looking: NodeJS.Timeout | undefined;
    const stop = () => void this.giveUp('stopped', true);
    try {
      return await new Promise<T | null>((resolve, reject) => {
        this.whenReady = async (parent) => {
          try {
            resolve(signal?.aborted ? null : await gather(await this.collect(parent)));
          } catch (error) {
            reject(error);
          }
        };
        this.flows
          .add({
            name: title,
            queueName: this.parentQueue,
            opts: { removeOnComplete: true, removeOnFail: true },
            children: jobs.map((data) => {
              // A worker may take it before it is known here that it was added.
              const jobId = randomUUID();
              this.children.set(jobId, { job: null, since: null, took: null, reason: null });
              const opts = { ...keep, jobId, attempts: 1, ignoreDependencyOnFailure: true };
              return { name: data.title, queueName: QUEUE, data, opts };
            }),
          })
          .then(({ children = [] }) => {
            for (const { job } of children) (this.children.get(job.id as string) as Child).job = job;
            looking = setInterval(() => this.look(options), LOOK);
            if (signal?.aborted) stop();
            else signal?.addEventListener('abort', stop, { once: true });
          })
          .catch(reject);
      });
    } finally {
      clearInterval(looking);
      signal?.removeEventListener('abort', stop);
      this.children.clear();
      this.whenReady = null;
    }
  }

  private noteTime(id: string, note: (child: Child, now: number) => void): void {
    const child = this.children.get(id);
    if (child) note(child, performance.now());
  }

  private look({ until, onProgress, least = LATE.least }: FlowOptions): void {
    const children = [...this.children.values()];
    const times = children.flatMap(({ took }) => (took === null ? [] : [took]));
    onProgress(times.length);
    if (until !== undefined && Date.now() > until + GRACE) void this.giveUp('not back by the time limit', true);
    const slowest = times.reduce((most, time) => Math.max(most, time), 0);
    if (times.length === 0) return;
    const limit = Math.max(least, LATE.times * slowest);
    const late = ({ since }: Child) => since !== null && performance.now() - since > limit;
    void this.giveUp(`late: the others took ${(slowest / 1000).toFixed(1)} s at most`, late);
  }

  /** Goes on without the children that have not ended. @param which true: all of them */
  private async giveUp(reason: string, which: true | ((child: Child) => boolean)): Promise<void> {
    for (const child of this.children.values()) {
      if (child.took !== null || child.reason !== null || (which !== true && !which(child))) continue;
      child.reason = reason;
      await child.job?.removeChildDependency().catch(() => {}); // it has just ended
      await child.job?.remove().catch(() => {}); // a worker has it
    }
  }

  /** What came of the children of a parent that is ready, in their order. */
  private async collect(parent: QueuedJob): Promise<Ended[]> {
    const values = await parent.getChildrenValues<JobResult>();
    const failures = await parent.getIgnoredChildrenFailures();
    return [...this.children].map(([id, { reason }]): Ended => {
      const key = `${this.queue.toKey(id)}`;
      return values[key] ?? { kind: 'given up', reason: failures[key] ?? reason ?? 'it was removed from the queue' };
    });
  }

  async close(): Promise<void> {
    await this.giveUp('stopped', true);
    await this.events.close();
    await this.parents.close(true);
    const parents = new Queue(this.parentQueue, { connection: this.connections[0] });
    await parents.obliterate({ force: true }).catch(() => {});
    await this.flows.close();
    await this.queue.close();
    for (const redis of this.connections) redis.disconnect();
  }
}
