/**
 * Learning on the visitor's own device: one vector Δ [D] for the visitor, added to what the encoder makes of the history,
 *
 *   score of item v = (h + Δ) · E[v]
 *
 * with h and E as states are compared with items (model/heads/). The model's weights stay as they are. Δ starts at 0 and
 * takes a few steps of Adam down the loss of the visitor's own last events, each predicted from those before it,
 *
 *   L(Δ) = Σ_t w_t · −log softmax((h_t + Δ) · Eᵀ)[item_t+1],   w_t ∝ recency^(events since t),
 *
 * over the candidates at that position (without seen items, where the model excludes them). Few steps and the weight of
 * recent events keep Δ small: a penalty on its length did not help. h_t does not depend
 * on Δ, so that the encoder runs once; the gradient in closed form is Σ_t w_t · (softmax − one-hot)_t · E, a few
 * dispatches a step.
 */
import { InputError } from '../../data/errors.ts';
import {
  add,
  type Device,
  gather,
  Inputs,
  log,
  matmul,
  maskSeen,
  scale,
  softmax,
  sub,
  sum,
} from '../../engine/index.ts';
import { roundUp } from './batcher.ts';
import { entriesOf, lengthOf, packedTokens, packHistories, tokenSpec } from './packing.ts';
import type { History } from './query.ts';
import { Scorer } from './scorer.ts';
import type { SequenceModel } from '../encoders/sequence-model.ts';

export interface PersonalizeSettings {
  /** Steps of Adam. */
  steps: number;
  learningRate: number;
  /** Weight of an event relative to that of the next one, above 0, at most 1. */
  recency: number;
}

/** Chosen on validation targets of users that the model never saw: see bench/personalize.mjs. */
export const PERSONALIZE: PersonalizeSettings = { steps: 10, learningRate: 0.05, recency: 0.9 };

/** What was learned of a visitor. Plain data: it can be stored and given to `Recommender.adopt`. */
export interface Adaptation {
  /** Δ [D] */
  vector: Float32Array;
  /** Events of the history that were predicted. */
  events: number;
  /** L before and after. */
  loss: { before: number; after: number };
}

/** Events that are predicted, the last ones; 0.9^48 is less than a hundredth. */
const MOST_EVENTS = 48;
/** A bidirectional model encodes the history once for each of them. */
const MOST_MASKED = 16;
const ADAM = { beta1: 0.9, beta2: 0.98, eps: 1e-8 };

/**
 * Adapts to a history of at least two events.
 * @param seen whether items of the history may be recommended again
 * @throws InputError where the model has no vectors to compare, or the history is too short
 */
export async function personalize(
  model: SequenceModel,
  visitor: History,
  seen: 'excluded' | 'kept',
  { steps, learningRate, recency }: PersonalizeSettings = PERSONALIZE,
): Promise<Adaptation> {
  if (!model.comparesVectors) {
    throw new InputError(
      'unsupported',
      'personalize: a model with head=mol scores by no single vector of the user; it cannot adapt',
    );
  }
  if (visitor.history.length < 2) {
    throw new InputError(
      'too-little-data',
      'personalize: at least two events that the model knows are required, one to predict the other',
    );
  }
  await model.refresh();
  const states = await (model.cloze ? maskedStates(model, visitor) : causalStates(model, visitor));
  const fit = new Fit(model, visitor.history, states, seen, recency);
  try {
    const { d } = model.settings;
    const [vector, m, v] = [new Float32Array(d), new Float64Array(d), new Float64Array(d)];
    const before = await fit.run(vector);
    let last = before;
    for (let step = 1; step <= steps; step++) {
      const rates = { m: 1 - ADAM.beta1 ** step, v: 1 - ADAM.beta2 ** step };
      for (let i = 0; i < d; i++) {
        const g = last.gradient[i];
        m[i] = ADAM.beta1 * m[i] + (1 - ADAM.beta1) * g;
        v[i] = ADAM.beta2 * v[i] + (1 - ADAM.beta2) * g * g;
        vector[i] -= (learningRate * (m[i] / rates.m)) / (Math.sqrt(v[i] / rates.v) + ADAM.eps);
      }
      last = await fit.run(vector);
    }
    if (!vector.every(Number.isFinite)) throw new Error(`personalize: not finite after ${steps} steps`);
    return { vector, events: fit.events, loss: { before: before.loss, after: last.loss } };
  } finally {
    fit.dispose();
  }
}

/** How many of the last events of a history of n are predicted; fewer where the catalog is very large. */
function predicted({ device, items, settings, cloze }: SequenceModel, n: number): number {
  const room = Math.max(1, Math.floor(device.maxBindingBytes / 4 / items));
  return Math.min(n - 1, cloze ? MOST_MASKED : MOST_EVENTS, settings.window - 1, room);
}

/** h before each of the last events, [T, D], from one pass over the history. */
async function causalStates(model: SequenceModel, visitor: History): Promise<Float32Array> {
  const { device } = model;
  const { history } = visitor;
  const length = lengthOf(model, history);
  const count = predicted(model, history.length);
  const spec = {
    ...tokenSpec(roundUp(length, 64), model, entriesOf(model, [visitor])),
    rows: { shape: [count], dtype: 'u32' as const },
  };
  const inputs = new Inputs(device, spec, 'visitor');
  const program = device.program('states of a visitor', () =>
    device.noGrad(() => ({
      states: model.comparedStates(gather(model.encode(packedTokens(model, inputs.tensors)), inputs.tensors.rows)),
    })),
  );
  try {
    packHistories(model, [visitor], inputs.host);
    // The state after the last event predicts what is not known yet.
    for (let t = 0; t < count; t++) inputs.host.rows[t] = length - 1 - count + t;
    inputs.upload();
    return (await program.run().states.data()) as Float32Array;
  } finally {
    program.dispose();
    inputs.dispose();
  }
}

/** The same where a mask takes the position of the event to come: one pass for each of them. */
async function maskedStates(model: SequenceModel, { history, times }: History): Promise<Float32Array> {
  const count = predicted(model, history.length);
  const scorer = new Scorer(model, { k: 1, userVectors: true });
  try {
    const prefixes = Array.from({ length: count }, (_, t) => history.length - count + t);
    const scored = await scorer.score(
      prefixes.map((end) => ({ history: history.subarray(0, end), times: times?.subarray(0, end + 1) })),
    );
    const states = new Float32Array(count * model.settings.d);
    for (const [t, { userVector }] of scored.entries()) states.set(userVector as Float32Array, t * model.settings.d);
    return states;
  } finally {
    scorer.dispose();
  }
}

/** L and its gradient for a Δ, recorded once for a visitor. */
class Fit {
  readonly events: number;
  private readonly device: Device;
  private readonly inputs;
  private readonly delta;
  private readonly program;

  constructor(
    model: SequenceModel,
    history: Uint32Array,
    states: Float32Array,
    seen: 'excluded' | 'kept',
    recency: number,
  ) {
    const { device, items } = model;
    const { d } = model.settings;
    const count = states.length / d;
    this.device = device;
    this.events = count;
    const masks = seen === 'excluded' ? seenLists(history, count) : { offsets: new Uint32Array(count + 1), items: [] };
    const capacity = roundUp(masks.items.length, 64);
    const u32 = (n: number) => ({ shape: [n], dtype: 'u32' as const });
    this.inputs = new Inputs(
      device,
      {
        states: { shape: [count, d], dtype: 'f32' },
        weights: { shape: [1, count], dtype: 'f32' },
        /** Σ_t w_t · one-hot of the item that followed. */
        wanted: { shape: [1, items], dtype: 'f32' },
        /** Index of its probability. */
        targets: u32(count),
        offsets: u32(count + 1),
        items: u32(capacity),
      },
      "visitor's events",
    );
    const { host, tensors: t } = this.inputs;
    host.states.set(states);
    host.offsets.set(masks.offsets);
    host.items.set(masks.items);
    const first = history.length - count;
    const total = Array.from({ length: count }, (_, i) => recency ** i).reduce((a, b) => a + b);
    for (let i = 0; i < count; i++) {
      const weight = recency ** (count - 1 - i) / total;
      host.weights[i] = weight;
      host.wanted[history[first + i]] += weight;
      host.targets[i] = i * items + history[first + i];
    }
    this.inputs.upload();
    this.delta = device.zeros([d], 'delta').keep();
    this.program = device.program('adaptation to a visitor', () =>
      device.noGrad(() => {
        const scores = model.scoresOfVectors(add(t.states, this.delta));
        maskSeen(scores, t);
        const likely = softmax(scores);
        const hit = gather(likely.reshape([count * items, 1]), t.targets);
        const gradient = model.weighedItems(sub(matmul(t.weights, likely), t.wanted));
        return { gradient, loss: scale(sum(matmul(t.weights, log(hit))), -1) };
      }),
    );
  }

  async run(delta: Float32Array): Promise<{ gradient: Float32Array; loss: number }> {
    this.device.write(this.delta, delta);
    const { gradient, loss } = this.program.run();
    return { gradient: (await gradient.data()) as Float32Array, loss: await loss.item() };
  }

  dispose(): void {
    this.program.dispose();
    this.inputs.dispose();
    this.delta.dispose();
  }
}

/** What had been seen before each of the last `count` events; the event's own item stays a candidate. */
function seenLists(history: Uint32Array, count: number): { offsets: Uint32Array; items: number[] } {
  const offsets = new Uint32Array(count + 1);
  const items: number[] = [];
  const first = history.length - count;
  const before = new Set(history.subarray(0, first));
  for (let i = 0; i < count; i++) {
    for (const item of before) if (item !== history[first + i]) items.push(item);
    offsets[i + 1] = items.length;
    before.add(history[first + i]);
  }
  return { offsets, items };
}
