/**
 * Continues packed histories item by item on the device. The histories are read once; their keys and values stay there,
 * and so do those of every generated item, so that a step runs one token per row whatever came before.
 *
 *   encoder alone     the cache of block i holds the histories but for their last items, then a row for each (step, row)
 *   encoder–decoder   what the decoder's blocks read of the encoder's states is computed once; the cache of block i of
 *                     the decoder holds a row for each (step, row)
 *
 * Rows that continue the same history share its keys. Which cached rows an item follows is a list, given at each step:
 * a beam that continues another takes over its list, and no key moves.
 */
import { type SideFeatureRows, SideFeatureWriter } from '../../data/features/side-rows.ts';
import {
  cachedAttention,
  Inputs,
  logBlend,
  maskSeen,
  mul,
  type Program,
  rankOf,
  rowMoments,
  softmax,
  storeRows,
  type Tensor,
  topk,
} from '../../engine/index.ts';
import type { KeyValueCache } from '../encoders/context.ts';
import type { Successors } from './decoding.ts';
import type { DeviceTransitions } from '../transitions/transitions.ts';
import { tokensWith } from './packing.ts';
import { nonFinite } from './ranks.ts';
import type { ScorerOptions } from './scored.ts';
import type { SequenceModel } from '../encoders/sequence-model.ts';
import { SparseInputs } from '../encoders/sparse-inputs.ts';

export interface StepperSize {
  /** Tokens of all histories. */
  maxTokens: number;
  /** Rows R that are continued at once. */
  rows: number;
  /** Items that each row is continued by at most. */
  steps: number;
  /** Excluded items, of all rows together. */
  excluded: number;
  /** Items that a step returns for each row, 1 to 128. */
  k: number;
  /** Entries of the side features of a token at most; 0 where the model reads items alone. */
  entries: number;
}

/** One token: the newest item of a row, from which the next one is predicted. */
export interface StepRow {
  item: number;
  /** Index of the history that it continues. */
  history: number;
  /** Cached rows of the items before it, as `slotOf` gives them. */
  before: readonly number[];
  exclude: Uint32Array;
  /** The history's items and the generated ones, the latest last: what the item transitions look up. */
  recent: Uint32Array;
  /** Side features of the item, one token of the rows; for models that read them. */
  features?: { rows: SideFeatureRows; token: number };
}

/** A history to be read: its items and their side features. */
export interface ReadHistory {
  items: Uint32Array;
  features?: SideFeatureRows;
}

const u32 = (...shape: number[]) => ({ shape, dtype: 'u32' as const });

const historySpec = (maxTokens: number) => ({
  items: u32(maxTokens),
  positions: u32(maxTokens),
  start: u32(maxTokens),
  end: u32(maxTokens),
  /** Rows of the caches that each token's keys and values go to. */
  slots: u32(maxTokens),
});

const stepSpec = ({ rows, steps, excluded }: StepperSize, last: number) => ({
  items: u32(rows),
  positions: u32(rows),
  slots: u32(rows),
  /** Keys that are read from the history, and of the row's own items. */
  start: u32(rows),
  end: u32(rows),
  own: u32(rows, steps),
  count: u32(rows),
  none: u32(rows),
  excludedOffsets: u32(rows + 1),
  excludedItems: u32(excluded),
  inverseTemperature: { shape: [1], dtype: 'f32' as const },
  /** What the item transitions look up: each row's last items and their weights. */
  recentOffsets: u32(rows + 1),
  recentItems: u32(rows * last),
  recentWeights: { shape: [rows * last], dtype: 'f32' as const },
});

export class Stepper {
  readonly size: StepperSize;
  private readonly model: SequenceModel;
  private readonly history: Inputs<ReturnType<typeof historySpec>>;
  private readonly inputs: Inputs<ReturnType<typeof stepSpec>>;
  /** Keys and values [_, 2D] of each block that the added items pass through. */
  private readonly caches: Tensor[];
  /** What each block of the decoder reads of the histories, [maxTokens, 2D]. */
  private readonly crossed: Tensor[];
  private readonly reading: Program<Record<string, never>>;
  private readonly stepping: Program<{ items: Tensor; probabilities: Tensor; ranks: Tensor }>;
  /** Side features of the tokens of the histories, and of a step. */
  private readonly side: { history: SparseInputs; step: SparseInputs } | null;
  private readonly blend: { transitions: DeviceTransitions; weights: Tensor } | null;
  /** Where the keys of each history start and end. */
  private bounds: { start: number; end: number; length: number }[] = [];

  /** @param blend the item transitions that join each step's scores, if any; the stepper does not own them */
  constructor(model: SequenceModel, size: StepperSize, blend: ScorerOptions['blend'] = null) {
    this.model = model;
    this.size = size;
    const { device, settings } = model;
    const { maxTokens, rows, steps } = size;
    this.history = new Inputs(device, historySpec(maxTokens), 'histories');
    this.inputs = new Inputs(device, stepSpec(size, blend?.transitions.settings.last ?? 0), 'step');
    const features = (tokens: number) => new SparseInputs(device, tokens, model.side, size.entries, false);
    this.side = model.side > 0 ? { history: features(maxTokens), step: features(rows) } : null;
    const weights = blend && [blend.weights.memory, blend.weights.epsilon];
    this.blend = blend && {
      transitions: blend.transitions,
      weights: device.tensor(weights as number[], [2], { label: 'blend weights' }).keep(),
    };
    const kept = (n: number, label: string): Tensor => device.zeros([n, 2 * settings.d], label).keep();
    const all = this.decodes ? rows * steps : maxTokens + rows * steps;
    const blocks = settings.decoder || settings.blocks;
    this.caches = Array.from({ length: blocks }, (_, i) => kept(all, `keys and values ${i}`));
    this.crossed = Array.from({ length: settings.decoder }, (_, i) =>
      kept(maxTokens, `keys and values of histories ${i}`),
    );
    this.reading = device.program(`read ${maxTokens} tokens`, () => device.noGrad(() => this.readHistories()));
    this.stepping = device.program(`continue ${rows} rows`, () => device.noGrad(() => this.nextItems()));
  }

  private get decodes(): boolean {
    return this.model.settings.decoder > 0;
  }

  /** Most items of a history that can be read before so many steps. @returns 0 where the steps are too many */
  static longest({ settings: { window, decoder, continuation } }: SequenceModel, steps: number): number {
    if (decoder > 0) return steps <= continuation ? window : 0;
    return Math.max(0, window - steps + 1);
  }

  private readHistories(): Record<string, never> {
    const { history, model, caches, crossed } = this;
    const t = { ...history.tensors, side: this.side?.history.sparse };
    const { d } = model.settings;
    if (this.decodes) {
      const h = model.encode(t);
      crossed.forEach((kept, i) => storeRows(model.crossKeys(i, h), t.slots, kept));
      return {};
    }
    model.encode(t, undefined, (i, qkv) => storeRows(qkv, t.slots, caches[i], d));
    return {};
  }

  private nextItems(): { items: Tensor; probabilities: Tensor; ranks: Tensor } {
    const { model, inputs, caches, crossed } = this;
    const t = inputs.tensors;
    const { d, heads } = model.settings;
    const cache: KeyValueCache = {
      attend(i, qkv) {
        storeRows(qkv, t.slots, caches[i], d);
        const shared = crossed.length > 0 ? { start: t.none, end: t.none } : { start: t.start, end: t.end };
        return cachedAttention(qkv, caches[i], { ...shared, own: t.own, count: t.count }, heads);
      },
    };
    // The tokens are alone in their sequences; what they attend to is in the cache.
    const tokens = { items: t.items, positions: t.positions, start: t.none, end: t.none, side: this.side?.step.sparse };
    const keys = { start: t.start, end: t.end, own: t.own, count: t.none };
    const states = this.decodes
      ? model.decode(tokens, (i, query) => cachedAttention(query, crossed[i], keys, heads), undefined, cache)
      : model.encodeNext(tokens, cache);
    const scores = mul(this.blended(model.scores(states)), t.inverseTemperature);
    maskSeen(scores, { offsets: t.excludedOffsets, items: t.excludedItems });
    const ranks = rankOf(scores, t.none); // of no use but that 0 marks rows that are not finite
    const { values, indices } = topk(softmax(scores), this.size.k);
    return { items: indices, probabilities: values, ranks };
  }

  /** Scores [R, V] blended with the item transitions, on the transformer's scale, of which the softmax makes probabilities. */
  private blended(scores: Tensor): Tensor {
    const { blend } = this;
    if (!blend) return scores;
    const { recentOffsets: offsets, recentItems: items, recentWeights: weights } = this.inputs.tensors;
    const more = blend.transitions.scores({ offsets, items, weights }, 0, this.model.items);
    logBlend(scores, more, rowMoments(scores), blend.weights, true);
    return scores;
  }

  /**
   * Reads histories, each of 1 to `longest` items and all together within `maxTokens`.
   * @throws InputError where the model reads side features and there are none
   */
  read(histories: readonly ReadHistory[]): void {
    const { items, positions, start, end, slots } = this.history.host;
    for (const array of [items, positions, start, end]) array.fill(0);
    slots.fill(0xffffffff);
    let at = 0;
    const writer = new SideFeatureWriter();
    this.bounds = histories.map(({ items: history, features }) => {
      // The encoder alone reads the last item in the first step.
      const kept = this.decodes ? history.length : history.length - 1;
      items.set(history.subarray(0, kept), at);
      if (this.side) writeFeatures(writer, features, history.length, kept);
      for (let i = 0; i < kept; i++) {
        positions[at + i] = i;
        slots[at + i] = at + i;
      }
      start.fill(at, at, at + kept);
      end.fill(at + kept, at, at + kept);
      at += kept;
      return { start: at - kept, end: at, length: history.length };
    });
    this.side?.history.stage(writer.finish());
    this.side?.history.upload();
    this.history.upload();
    if (at > 0) this.reading.run();
  }

  /** Cache row of a row's token in a step (from 0). */
  slotOf(step: number, row: number): number {
    return (this.decodes ? 0 : this.size.maxTokens) + step * this.size.rows + row;
  }

  /** Runs a step: the likeliest items after each of the rows. */
  async step(step: number, rows: readonly StepRow[], temperature: number): Promise<Successors[]> {
    const h = this.inputs.host;
    const { steps, k } = this.size;
    for (const array of [h.items, h.positions, h.start, h.end, h.count, h.none]) array.fill(0);
    h.slots.fill(0xffffffff);
    h.inverseTemperature[0] = 1 / temperature;
    let [excluded, recentEnd] = [0, 0];
    const writer = new SideFeatureWriter();
    rows.forEach(({ item, history, before, exclude, recent, features }, r) => {
      const { start, end, length } = this.bounds[history];
      h.items[r] = item;
      h.positions[r] = this.decodes ? step : length - 1 + step;
      h.slots[r] = this.slotOf(step, r);
      h.start[r] = start;
      h.end[r] = end;
      h.own.set([...before, h.slots[r]], r * steps);
      h.count[r] = before.length + 1;
      h.excludedOffsets[r] = excluded;
      h.excludedItems.set(exclude, excluded);
      excluded += exclude.length;
      h.recentOffsets[r] = recentEnd;
      if (this.blend) recentEnd = this.blend.transitions.listOf(recent, recentEnd, h.recentItems, h.recentWeights);
      if (features) writer.addRow(features.rows, features.token);
      writer.endToken();
    });
    h.excludedOffsets.fill(excluded, rows.length);
    h.recentOffsets.fill(recentEnd, rows.length);
    this.side?.step.stage(writer.finish());
    this.side?.step.upload();
    this.inputs.upload();
    const { items, probabilities, ranks } = await this.stepping.values();
    return rows.map((_, r) => {
      if (ranks[r] === 0) throw nonFinite('scores', Number.NaN);
      let n = 0;
      while (n < k && probabilities[r * k + n] > 0) n++;
      const logs = Float64Array.from(probabilities.subarray(r * k, r * k + n), Math.log);
      return { items: items.slice(r * k, r * k + n) as Uint32Array, logs };
    });
  }

  dispose(): void {
    for (const part of [this.reading, this.stepping, this.history, this.inputs]) part.dispose();
    this.side?.history.dispose();
    this.side?.step.dispose();
    this.blend?.weights.dispose();
    for (const tensor of [...this.caches, ...this.crossed]) tensor.dispose();
  }
}

/** Writes the features of the first `kept` of a history's `length` items; the rows hold the features of at least as many. */
function writeFeatures(
  writer: SideFeatureWriter,
  rows: SideFeatureRows | undefined,
  length: number,
  kept: number,
): void {
  const tokens = tokensWith(rows, length);
  for (let i = 0; rows && i < kept; i++) {
    writer.addRow(rows, tokens - length + i);
    writer.endToken();
  }
}
