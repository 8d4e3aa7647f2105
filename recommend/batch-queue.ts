/** Queries that wait together are answered together: one batch on the device, however many asked meanwhile. */
import type { SerialQueue } from './serial-queue.ts';

/** A batch that ran, for metrics. */
export interface BatchReport {
  queries: number;
  /** How long each query waited for its turn. */
  waitedMs: readonly number[];
  /** From its turn to the answers. */
  ranMs: number;
}

interface Waiting<Q, A> {
  query: Q;
  since: number;
  resolve(answer: A): void;
  reject(error: unknown): void;
}

/** What comes of a query. */
export type QueryOutcome<A> = { answer: A } | { error: unknown };

export class BatchQueue<Q, A> {
  private readonly serial: SerialQueue;
  private readonly most: number;
  private readonly work: (queries: Q[]) => Promise<QueryOutcome<A>[]>;
  private readonly onBatch: ((batch: BatchReport) => void) | undefined;
  private waiting: Waiting<Q, A>[] = [];

  /**
   * @param serial what other work waits in, too @param most queries of a batch
   * @param work answers a batch; a query's own fault is its outcome, and fails no other
   */
  constructor(
    serial: SerialQueue,
    most: number,
    work: (queries: Q[]) => Promise<QueryOutcome<A>[]>,
    onBatch?: (batch: BatchReport) => void,
  ) {
    this.serial = serial;
    this.most = most;
    this.work = work;
    this.onBatch = onBatch;
  }

  add(query: Q): Promise<A> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ query, since: performance.now(), resolve, reject });
      if (this.waiting.length === 1) this.takeTurn();
    });
  }

  private takeTurn(): void {
    void this.serial.run(async () => {
      const batch = this.waiting.splice(0, this.most);
      if (this.waiting.length > 0) this.takeTurn();
      const started = performance.now();
      try {
        const outcomes = await this.work(batch.map(({ query }) => query));
        outcomes.forEach((outcome, i) => {
          if ('answer' in outcome) batch[i].resolve(outcome.answer);
          else batch[i].reject(outcome.error);
        });
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
      this.onBatch?.({
        queries: batch.length,
        waitedMs: batch.map(({ since }) => started - since),
        ranMs: performance.now() - started,
      });
    });
  }
}
