/** Batches on their way to the device: one upload a step. */
import type { Batch } from '../data/batches.ts';
import { type Device, groupRows, Inputs, rowGroupLayout } from '../engine/index.ts';
import type { TrainingTokens } from '../model/blocks/context.ts';

function inputSpec(budget: number, times: boolean) {
  const u32 = (n: number) => ({ shape: [n], dtype: 'u32' as const });
  const { words } = rowGroupLayout(budget);
  return {
    items: u32(budget),
    positions: u32(budget),
    targets: u32(budget),
    weights: { shape: [budget], dtype: 'f32' as const },
    start: u32(budget),
    end: u32(budget),
    itemGroups: u32(words),
    positionGroups: u32(words),
    ...(times ? { times: u32(budget) } : {}),
  };
}

export class Feed {
  private readonly inputs: Inputs<ReturnType<typeof inputSpec>>;
  private readonly budget: number;

  /** @param times whether the model reads the events' times */
  constructor(device: Device, budget: number, times = false) {
    this.budget = budget;
    this.inputs = new Inputs(device, inputSpec(budget, times), 'batch');
  }

  get tensors(): TrainingTokens {
    return this.inputs.tensors;
  }

  /** Fills the host's mirror; nothing is sent yet, so that this runs while the device works. */
  stage(batch: Batch): void {
    const { host } = this.inputs;
    for (const name of ['items', 'positions', 'targets', 'weights', 'start', 'end'] as const)
      host[name].set(batch[name]);
    host.times?.set(batch.times ?? batch.positions);
    groupRows(batch.items, batch.tokens, this.budget, host.itemGroups);
    groupRows(batch.positions, batch.tokens, this.budget, host.positionGroups);
  }

  upload(): void {
    this.inputs.upload();
  }

  dispose(): void {
    this.inputs.dispose();
  }
}
