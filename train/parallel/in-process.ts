/** Partitions that are trained one after the other in this process: what several machines come to, on one. */
import type { Device } from '../../engine/index.ts';
import { MemoryFiles } from '../../model/storage/files.ts';
import type { RankingPlan } from '../plan.ts';
import type { PartitionOutcome, Partitions, RoundRequest } from './options.ts';
import { trainPartition } from './partition.ts';

export class InProcess implements Partitions {
  readonly files = new MemoryFiles('rounds');
  /** The plan that is trained. */
  plan: RankingPlan;
  private readonly folders = new Map<string, MemoryFiles>();
  private readonly device: Device;

  constructor(device: Device, plan: RankingPlan) {
    this.device = device;
    this.plan = plan;
  }

  async folder(name: string): Promise<MemoryFiles> {
    const found = this.folders.get(name) ?? new MemoryFiles(name);
    this.folders.set(name, found);
    return found;
  }

  async keepOnly(names: readonly string[]): Promise<void> {
    for (const name of [...this.folders.keys()]) if (!names.includes(name)) this.folders.delete(name);
  }

  async train<T>(
    { round, signal, onProgress }: RoundRequest,
    average: (outcomes: readonly PartitionOutcome[]) => Promise<T>,
  ): Promise<T> {
    const { plan, device } = this;
    const outcomes: PartitionOutcome[] = [];
    for (let partition = 0; partition < (plan.config.parallel?.workers ?? 0); partition++) {
      const options = { device, partitions: this, round, partition, started: performance.now(), signal };
      outcomes.push(await this.answer(round, partition, await trainPartition(plan, options)));
      onProgress(partition + 1);
    }
    return average(outcomes);
  }

  /** What comes of a partition; tests let one get lost. */
  protected async answer(_round: number, _partition: number, answer: unknown): Promise<PartitionOutcome> {
    return { answer };
  }
}
