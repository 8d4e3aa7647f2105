/** Batches on their way to the device: one upload a step. */
import type { Batch } from '../data/batches.ts';
import { type Device, groupRows, Inputs, rowGroupLayout } from '../engine/index.ts';
import type { TrainingTokens } from '../model/sequence-model.ts';

function inputSpec(budget: number) {
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
  };
}

export class Feed {
  private readonly inputs: Inputs<ReturnType<typeof inputSpec>>;
  private readonly budget: number;

  constructor(device: Device, budget: number) {
    this.budget = budget;
    this.inputs = new Inputs(device, inputSpec(budget), 'batch');
  }

  get tensors(): TrainingTokens {
    return this.inputs.tensors;
  }

  /** Fills the host's mirror; nothing is sent yet, so that this runs while the device works. */
  stage(batch: Batch): void {
    const { host } = this.inputs;
    for (const name of ['items', 'positions', 'targets', 'weights', 'start', 'end'] as const)
      host[name].set(batch[name]);
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
