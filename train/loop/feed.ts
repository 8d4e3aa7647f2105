/** Batches on their way to the device: one upload a step, and more for sampled negatives and side features. */
import { maxMasked } from '../../data/batching/batches.ts';
import type { Batch } from '../../data/batching/batch.ts';
import { continuationTokens } from '../../data/batching/continuations.ts';
import type { ContinuationBatch } from '../../data/batching/batch.ts';
import { type Device, groupRows, Inputs, type RowGroupLayout, rowGroupLayout } from '../../engine/index.ts';
import type { SideFeatures } from '../../data/features/side-features.ts';
import type { TrainingTokens } from '../../model/encoders/context.ts';
import { hasQueryTimes, isCloze, readsTimes } from '../../model/recipes/derived.ts';
import type { Settings } from '../../model/recipes/settings.ts';
import { SparseInputs } from '../../model/encoders/sparse-inputs.ts';
import type { At, Negatives } from './negatives.ts';
import { TouchedRows } from './touched-rows.ts';

/** What a model reads of its batches besides tokens and targets. */
export interface Needs {
  /** Times of the events. */
  times?: boolean;
  /** Times of the requests for the next events. */
  queryTimes?: boolean;
  /** Room for the masked positions, which alone are predicted; every position is without it. */
  masked?: number;
  /** Side features: rows of their table, and entries that a token has at most. */
  side?: { rows: number; most: number };
  /** Room for the tokens of continuations. */
  continued?: number;
}

/** @param side the side features of the log that the model reads */
export function needsOf(settings: Settings, side: SideFeatures | null = null): Needs {
  const { budget, maskShare, decoder, continuation } = settings;
  return {
    times: readsTimes(settings),
    queryTimes: hasQueryTimes(settings),
    masked: isCloze(settings) ? maxMasked(budget, maskShare) : undefined,
    continued: decoder > 0 ? continuationTokens(budget, continuation) : undefined,
    side: side ? { rows: side.encoder.rows, most: side.maxEntries } : undefined,
  };
}

const u32 = (n: number) => ({ shape: [n], dtype: 'u32' as const });
const f32 = (n: number) => ({ shape: [n], dtype: 'f32' as const });

function inputSpec(budget: number, { times, queryTimes, masked, continued }: Needs) {
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
    ...(queryTimes ? { queryTimes: u32(budget) } : {}),
    ...(masked ? maskedSpec(masked, rowGroupLayout(masked)) : {}),
    ...(continued ? continuedSpec(continued, rowGroupLayout(continued), budget) : {}),
  };
}

const maskedSpec = (most: number, { words }: RowGroupLayout) => ({
  maskedRows: u32(most),
  maskedGroups: u32(words),
  maskedTargets: u32(most),
  maskedWeights: f32(most),
});

const continuedSpec = (room: number, { words }: RowGroupLayout, budget: number) => ({
  nextItems: u32(room),
  nextPositions: u32(room),
  nextTargets: u32(room),
  nextWeights: f32(room),
  nextStart: u32(room),
  nextEnd: u32(room),
  nextItemGroups: u32(words),
  nextPositionGroups: u32(words),
  keyStart: u32(room),
  keyEnd: u32(room),
  queryStart: u32(budget),
  queryEnd: u32(budget),
});

/** A continuation's arrays by the names that they have on the device. */
const named = (c: ContinuationBatch) => ({
  nextItems: c.items,
  nextPositions: c.positions,
  nextTargets: c.targets,
  nextWeights: c.weights,
  nextStart: c.start,
  nextEnd: c.end,
  keyStart: c.keyStart,
  keyEnd: c.keyEnd,
  queryStart: c.queryStart,
  queryEnd: c.queryEnd,
});

export class Feed {
  private readonly inputs: Inputs<ReturnType<typeof inputSpec>>;
  private readonly budget: number;

  private readonly negatives: Negatives | null;
  private readonly side: SparseInputs | null;
  /** Numbers the rows of the item table that a step reads, where its gradient is kept for these alone. */
  private readonly touched: TouchedRows | null;

  /**
   * @param negatives drawn for each batch, for a loss over samples; disposed with the feed
   * @param table the item table, where its gradient is kept by row
   */
  constructor(
    device: Device,
    budget: number,
    needs: Needs = {},
    negatives: Negatives | null = null,
    table: ConstructorParameters<typeof TouchedRows>[0] | null = null,
  ) {
    this.budget = budget;
    this.negatives = negatives;
    this.touched = table && new TouchedRows(table);
    this.side = needs.side ? new SparseInputs(device, budget, needs.side.rows, needs.side.most, true) : null;
    this.inputs = new Inputs(device, inputSpec(budget, needs), 'batch');
  }

  get tensors(): TrainingTokens {
    const { maskedRows, maskedGroups, maskedTargets, maskedWeights, ...plain } = this.inputs.tensors;
    const tokens = { ...plain, side: this.side?.sparse };
    if (this.inputs.tensors.nextItems) return { ...tokens, continuation: this.continuation };
    if (!maskedRows || !maskedGroups || !maskedTargets || !maskedWeights)
      return { ...tokens, negatives: this.negatives?.tensors };
    const masked = { rows: maskedRows, groups: maskedGroups, targets: maskedTargets, weights: maskedWeights };
    return { ...tokens, masked };
  }

  private get continuation(): TrainingTokens['continuation'] {
    const t = this.inputs.tensors as Required<typeof this.inputs.tensors>;
    return {
      items: t.nextItems,
      positions: t.nextPositions,
      targets: t.nextTargets,
      weights: t.nextWeights,
      start: t.nextStart,
      end: t.nextEnd,
      itemGroups: t.nextItemGroups,
      positionGroups: t.nextPositionGroups,
      keys: { start: t.keyStart, end: t.keyEnd, from: t.queryStart, to: t.queryEnd },
    };
  }

  /** Fills the host's mirror; nothing is sent yet, so that this runs while the device works. */
  stage(batch: Batch, at: At = { seed: 0, epoch: 0, batch: 0 }): void {
    const { host } = this.inputs;
    for (const name of ['items', 'positions', 'targets', 'weights', 'start', 'end'] as const)
      host[name].set(batch[name]);
    host.times?.set(batch.times ?? batch.positions);
    host.queryTimes?.set(batch.requestTimes ?? batch.times ?? batch.positions);
    this.touched?.start();
    for (const ids of [host.items, host.targets]) this.touched?.renumber(ids, batch.tokens);
    groupRows(host.items, batch.tokens, this.budget, host.itemGroups);
    groupRows(batch.positions, batch.tokens, this.budget, host.positionGroups);
    this.stageMasked(batch);
    if (this.side && !batch.side) throw new Error('feed: expected side features in the batch');
    if (batch.side) this.side?.stage(batch.side);
    this.stageContinuation(batch);
    this.negatives?.stage(batch, at, host.targets, this.touched);
  }

  private stageContinuation({ continuation }: Batch): void {
    const { nextItemGroups, nextPositionGroups } = this.inputs.host;
    if (!nextItemGroups || !nextPositionGroups) return;
    if (!continuation) throw new Error('feed: expected a batch with continuations, got one without');
    const host = this.inputs.host as Record<string, Uint32Array | Float32Array>;
    for (const [name, array] of Object.entries(named(continuation))) host[name].set(array);
    const { items, positions, tokens } = continuation;
    groupRows(items, tokens, items.length, nextItemGroups);
    groupRows(positions, tokens, items.length, nextPositionGroups);
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
    this.side?.upload();
    this.negatives?.upload();
    this.touched?.upload();
  }

  dispose(): void {
    this.inputs.dispose();
    this.side?.dispose();
    this.negatives?.dispose();
  }
}
