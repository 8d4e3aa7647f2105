/** Looking inside a model: a map of its items, its attention, and the time of a training step by kernel. */
import { batches } from '../../data/batching/batches.ts';
import { prepare } from '../../data/dataset.ts';
import { encodeItems, type ItemFeatures } from '../../data/features/encoder.ts';
import { InputError } from '../../data/errors.ts';
import { seeded } from '../../data/random.ts';
import { splitDataset, type Split } from '../../data/splits/split.ts';
import { AdamW, type Device, type KernelTime, matmul } from '../../engine/index.ts';
import { requireFinite } from '../../model/inference/ranks.ts';
import { readsTimes, windowsOf } from '../../model/recipes/derived.ts';
import type { Settings } from '../../model/recipes/settings.ts';
import { SequenceModel } from '../../model/encoders/sequence-model.ts';
import { LOSSES } from '../../model/heads/losses/index.ts';
import { settingsOf } from '../../model/inference/ranking-model.ts';
import { countItems } from '../../train/baselines/baselines.ts';
import { Feed, needsOf } from '../../train/loop/feed.ts';
import { Negatives } from '../../train/loop/negatives.ts';
import { trim } from './device.ts';
import { recommender } from './recommending.ts';

export interface ItemMap {
  /** [V, 2], both axes scaled by the same factor into −1 to 1. */
  positions: Float32Array;
  /** Share of the vectors' variance that the two axes explain. */
  share: number;
  ms: number;
}

/**
 * The item vectors' directions on their two principal axes (PCA): the covariance and the projection are computed on the
 * device, the axes of the small matrix between them here.
 */
export async function itemMap(): Promise<ItemMap> {
  const started = performance.now();
  const { device, loaded, itemVectors: table } = recommender();
  if (!table) throw new InputError('unsupported', 'this model holds no item vectors');
  const V = loaded.items.length;
  const D = table.shape[1];
  const vectors = centered(table.data, V, D);
  const x = device.tensor(vectors, [V, D], { label: 'item vectors' });
  const covariance = device.noGrad(() => matmul(x, x, { transA: true }));
  const matrix = Float64Array.from(await covariance.data());
  const total = Array.from({ length: D }, (_, i) => matrix[i * D + i]).reduce((a, b) => a + b, 0);
  const [first, second] = principalAxes(matrix, D);
  const axes = new Float32Array(D * 4); // widths of products are multiples of 4
  for (let i = 0; i < D; i++) axes.set([first.axis[i], second.axis[i]], i * 4);
  const w = device.tensor(axes, [D, 4], { label: 'principal axes' });
  const projected = device.noGrad(() => matmul(x, w));
  const rows = await projected.data();
  for (const t of [x, covariance, w, projected]) t.dispose();
  const positions = new Float32Array(2 * V);
  let most = 1e-9;
  for (let i = 0; i < V; i++) {
    for (const axis of [0, 1]) {
      positions[2 * i + axis] = rows[4 * i + axis];
      most = Math.max(most, Math.abs(rows[4 * i + axis]));
    }
  }
  trim(device);
  requireFinite(positions, 'item vectors');
  return {
    positions: positions.map((value) => value / most),
    share: total > 0 ? (first.value + second.value) / total : 0,
    ms: performance.now() - started,
  };
}

/** Rows normalized to length 1, minus their mean, [V, D]. */
function centered(data: ArrayLike<number>, V: number, D: number): Float32Array {
  const out = new Float32Array(V * D);
  const mean = new Float64Array(D);
  for (let i = 0; i < V; i++) {
    let sum = 0;
    for (let j = 0; j < D; j++) sum += data[i * D + j] ** 2;
    const length = Math.sqrt(sum) || 1;
    for (let j = 0; j < D; j++) mean[j] += (out[i * D + j] = data[i * D + j] / length) / V;
  }
  for (let i = 0; i < V; i++) for (let j = 0; j < D; j++) out[i * D + j] -= mean[j];
  return out;
}

const ROUNDS = 300;

/** The two largest eigenvectors of a symmetric [D, D] matrix, by power iteration; the second kept orthogonal to the first. */
export function principalAxes(matrix: Float64Array, D: number): { axis: Float64Array; value: number }[] {
  const found: { axis: Float64Array; value: number }[] = [];
  for (let k = 0; k < 2; k++) {
    let axis = Float64Array.from({ length: D }, (_, i) => Math.sin((i + 1) * (k + 1)));
    let value = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const next = new Float64Array(D);
      for (let i = 0; i < D; i++) for (let j = 0; j < D; j++) next[i] += matrix[i * D + j] * axis[j];
      for (const { axis: other } of found) {
        const along = other.reduce((sum, x, i) => sum + x * next[i], 0);
        for (let i = 0; i < D; i++) next[i] -= along * other[i];
      }
      value = Math.sqrt(next.reduce((sum, x) => sum + x * x, 0));
      if (value < 1e-12) break;
      axis = next.map((x) => x / value);
    }
    found.push({ axis, value });
  }
  return found;
}

export interface StepProfile {
  kernels: KernelTime[];
  /** GPU milliseconds and tokens of a step. */
  ms: number;
  tokens: number;
}

/** GPU time by kernel of one training step of the open model, on random histories of full windows. */
export async function profileStep(): Promise<StepProfile> {
  const { device, loaded } = recommender();
  if (!device.gpu) throw new InputError('unsupported', 'the CPU device has no kernels to time');
  if (!device.caps?.timestamps) {
    throw new InputError(
      'unsupported',
      'this browser gives no times of kernels (timestamp-query); Chrome does on most graphics cards',
    );
  }
  const settings = settingsOf(loaded);
  const parts = randomHistories(loaded.items.length, settings);
  const schema = settings.items === 'tower' ? loaded.config.schema.items : undefined;
  const step = trainingStep(device, parts, settings, schema ? encodeItems(schema, loaded.items) : null);
  try {
    const batch = step.stage();
    step.program.run();
    await step.program.settle();
    const kernels = await step.program.profile({ runs: 3 });
    return { kernels, ms: kernels.reduce((sum, { ms }) => sum + ms, 0), tokens: batch.tokens };
  } finally {
    step.dispose();
    trim(device);
  }
}

/** The step as the trainer records it, with fresh weights. */
function trainingStep(device: Device, parts: Split, settings: Settings, features: ItemFeatures | null) {
  const model = SequenceModel.create(device, settings, parts.items, 1, { features });
  const { weightDecay, embeddingDecay, clip } = settings;
  const optimizer = new AdamW(model.parameters, {
    beta1: 0.9,
    beta2: 0.98,
    eps: 1e-8,
    weightDecay,
    embeddingDecay,
    averageDecay: 0,
    clip,
  });
  const negatives = LOSSES[settings.loss].sampled ? new Negatives(device, settings, countItems(parts)) : null;
  const feed = new Feed(device, settings.budget, needsOf(settings), negatives);
  const program = device.program('training step', () => {
    const loss = model.loss(feed.tensors);
    loss.backward();
    optimizer.step(loss);
    return {};
  });
  const stage = () => {
    const batch = batches(parts, { ...windowsOf(settings), seed: 1, epoch: 0 }).next().value;
    if (!batch) throw new Error('profile: there is no batch');
    feed.stage(batch, { seed: 1, epoch: 0, batch: 0 });
    feed.upload();
    optimizer.prepare({ seed: 1, step: 1, learningRate: settings.learningRate, dropout: true });
    return batch;
  };
  const dispose = () => {
    for (const part of [program, feed, optimizer, model]) part.dispose();
  };
  return { program, stage, dispose };
}

/** Enough users for a batch and for every item to occur. */
function randomHistories(items: number, settings: Settings): Split {
  const length = settings.window + 3;
  const users = Math.max(Math.ceil(settings.budget / settings.window) + 1, Math.ceil(items / length));
  const random = seeded(1, 0);
  const size = users * length;
  const log = {
    userIds: Array.from({ length: users }, (_, u) => `u${u}`),
    itemIds: Array.from({ length: items }, (_, i) => `i${i}`),
    user: Uint32Array.from({ length: size }, (_, i) => Math.floor(i / length)),
    item: Uint32Array.from({ length: size }, (_, i) => (i < items ? i : random.below(items))),
    rating: null,
    time: readsTimes(settings) ? Float64Array.from({ length: size }, (_, i) => i * 3600) : null,
    size,
    source: 'random histories',
    notes: [],
  };
  return splitDataset(prepare(log, { minInteractions: 1 }));
}
