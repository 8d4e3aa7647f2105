/** The side of a queue that asks: jobs go in, results come back. */
import { type Job as QueuedJob, Queue, QueueEvents } from 'bullmq';
import type { Redis } from 'ioredis';
import type { Job, JobResult } from './jobs.ts';
import { connect, QUEUE, shownAddress } from './redis.node.ts';

/** How often a job is tried where the machine, not the job, is at fault. */
const ATTEMPTS = 4;
/** Milliseconds before it is tried again. */
const BACKOFF = 2000;
/** Seconds that results stay, for whoever asked. */
const KEPT = 3600;

export class JobQueue {
  readonly address: string;
  private readonly connections: Redis[];
  private readonly queue: Queue<Job, JobResult>;
  private readonly events: QueueEvents;
  private readonly asked = new Map<string, QueuedJob<Job, JobResult>>();

  private constructor(address: string, connections: Redis[]) {
    this.address = shownAddress(address);
    this.connections = connections;
    const [first, second] = connections;
    this.queue = new Queue(QUEUE, { connection: first });
    this.events = new QueueEvents(QUEUE, { connection: second });
    this.events.setMaxListeners(0);
  }

  /** @throws InputError where Redis does not answer */
  static async open(address: string): Promise<JobQueue> {
    const queue = new JobQueue(address, [await connect(address), await connect(address)]);
    await queue.events.waitUntilReady();
    return queue;
  }

  /** Workers that listen now. */
  workers(): Promise<number> {
    return this.queue.getWorkersCount();
  }

  /**
   * Asks for a job, and waits for its result however long it takes. A worker that dies gives it to another one.
   * @throws Error where it was tried in vain so often that the job seems to be at fault
   */
  async run(job: Job): Promise<JobResult> {
    const queued = await this.queue.add(job.title, job, {
      attempts: ATTEMPTS,
      backoff: { type: 'fixed', delay: BACKOFF },
      removeOnComplete: { age: KEPT },
      removeOnFail: { age: KEPT },
    });
    const id = queued.id as string;
    this.asked.set(id, queued);
    try {
      return await queued.waitUntilFinished(this.events);
    } catch (error) {
      throw new Error(`queue: ${job.title}: ${(error as Error).message}`, { cause: error });
    } finally {
      this.asked.delete(id);
    }
  }

  /** Takes back what no worker has started; what is running ends by itself. */
  async withdraw(): Promise<void> {
    await Promise.all([...this.asked.values()].map((job) => job.remove().catch(() => {})));
  }

  async close(): Promise<void> {
    await this.events.close();
    await this.queue.close();
    for (const redis of this.connections) redis.disconnect();
  }
}
