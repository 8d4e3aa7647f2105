/** Batches on their way to the device: one upload a step, and one more for sampled negatives. */
import { type Batch, mostMasked } from '../data/batches.ts';
import { type Device, groupRows, Inputs, type RowGroupLayout, rowGroupLayout } from '../engine/index.ts';
import type { TrainingTokens } from '../model/blocks/context.ts';
import { readsTimes, type Settings } from '../model/recipes.ts';
import type { At, Negatives } from './negatives.ts';

/** What a model asks of its batches beside tokens and targets. */
export interface Needs {
  /** Times of the events. */
  times?: boolean;
  /** Places for the masked positions, which alone are predicted; every position is without it. */
  masked?: number;
}

export function needsOf(settings: Settings): Needs {
  const { direction, budget, maskShare } = settings;
  return {
    times: readsTimes(settings),
    masked: direction === 'bidirectional' ? mostMasked(budget, maskShare) : undefined,
  };
}

const u32 = (n: number) => ({ shape: [n], dtype: 'u32' as const });
const f32 = (n: number) => ({ shape: [n], dtype: 'f32' as const });

function inputSpec(budget: number, { times, masked }: Needs) {
  const { words } = rowGroupLayout(budget);
  return {
    items: u32(budget),
    positions: u32(budget),
    targets: u32(budget),
    weights: f32(budget),
    start: u32(budget),
    end: u32(budget),
    itemGroups: u32(words),
    positionGroups: u32(words),
    ...(times ? { times: u32(budget) } : {}),
    ...(masked ? maskedSpec(masked, rowGroupLayout(masked)) : {}),
  };
}

const maskedSpec = (most: number, { words }: RowGroupLayout) => ({
  maskedRows: u32(most),
  maskedGroups: u32(words),
  maskedTargets: u32(most),
  maskedWeights: f32(most),
});

export class Feed {
  private readonly inputs: Inputs<ReturnType<typeof inputSpec>>;
  private readonly budget: number;

  private readonly negatives: Negatives | null;

  /** @param negatives drawn for each batch, for a loss over samples; disposed with the feed */
  constructor(device: Device, budget: number, needs: Needs = {}, negatives: Negatives | null = null) {
    this.budget = budget;
    this.negatives = negatives;
    this.inputs = new Inputs(device, inputSpec(budget, needs), 'batch');
  }

  get tensors(): TrainingTokens {
    const { maskedRows, maskedGroups, maskedTargets, maskedWeights, ...tokens } = this.inputs.tensors;
    if (!maskedRows || !maskedGroups || !maskedTargets || !maskedWeights)
      return { ...tokens, negatives: this.negatives?.tensors };
    const masked = { rows: maskedRows, groups: maskedGroups, targets: maskedTargets, weights: maskedWeights };
    return { ...tokens, masked };
  }

  /** Fills the host's mirror; nothing is sent yet, so that this runs while the device works. */
  stage(batch: Batch, at: At = { seed: 0, epoch: 0, batch: 0 }): void {
    const { host } = this.inputs;
    for (const name of ['items', 'positions', 'targets', 'weights', 'start', 'end'] as const)
      host[name].set(batch[name]);
    host.times?.set(batch.times ?? batch.positions);
    groupRows(batch.items, batch.tokens, this.budget, host.itemGroups);
    groupRows(batch.positions, batch.tokens, this.budget, host.positionGroups);
    this.stageMasked(batch);
    this.negatives?.stage(batch, at);
  }

  /** The positions that have a weight, in order. */
  private stageMasked({ targets, weights, tokens }: Batch): void {
    const { maskedRows, maskedGroups, maskedTargets, maskedWeights } = this.inputs.host;
    if (!maskedRows || !maskedGroups || !maskedTargets || !maskedWeights) return;
    for (const array of [maskedRows, maskedTargets, maskedWeights]) array.fill(0);
    let count = 0;
    for (let i = 0; i < tokens; i++) {
      if (weights[i] === 0) continue;
      if (count === maskedRows.length) throw new Error(`feed: more than ${count} masked positions in a batch`);
      maskedRows[count] = i;
      maskedTargets[count] = targets[i];
      maskedWeights[count++] = weights[i];
    }
    groupRows(maskedRows, count, maskedRows.length, maskedGroups);
  }

  upload(): void {
    this.inputs.upload();
    this.negatives?.upload();
  }

  dispose(): void {
    this.inputs.dispose();
    this.negatives?.dispose();
  }
}
