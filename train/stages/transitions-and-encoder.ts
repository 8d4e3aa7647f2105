/**
 * A whole training: the sequence memory first (closed form, so that what it costs is known before the clock is shared
 * out), then the transformer, then the blend of both, fitted on the validation users. Early stopping sees the
 * transformer alone.
 */
import { ColdSplit } from '../../data/splits/cold.ts';
import { loadConfig, loadModel, saveAttributeModel, saveBlend } from '../../model/storage/folder.ts';
import {
  DeviceTransitions,
  loadTransitions,
  type Memory,
  saveTransitions,
} from '../../model/transitions/transitions.ts';
import { loadSegmentPrior, saveSegmentPrior } from '../../model/transitions/segment-prior.ts';
import { SequenceModel } from '../../model/encoders/sequence-model.ts';
import { recordTraining } from '../../model/storage/training-record.ts';
import { fitBlend } from './blend.ts';
import { fitAttributes } from './cold-items.ts';
import { learnTransitions } from './learn-transitions.ts';
import { fitSegmentPrior } from './segment-prior.ts';
import { train, type TrainOptions, type TrainProgress, type TrainResult, validationUsers } from '../loop/trainer.ts';

/** Scores (users × items) that a blend is fitted on at most: every trial ranks them all. Fewer on the CPU device. */
const FITTED_SCORES = 2 ** 26;
const FITTED_SCORES_CPU = 2 ** 22;
/** Users whose ranking is timed to learn what fitting the blend will take; at most an eighth of those. */
const TIMED_USERS = 64;
/** Milliseconds; see `shareOut`. */
const SHORT = 30_000;
/** Milliseconds set aside for the attribute memory; half of the time where that is less. */
const ATTRIBUTES = 90_000;
/** Milliseconds set aside for what groups of users like; a tenth of the time where that is less. */
const GROUPS = 15_000;

/** As `train`, with the memory unless `settings.memory` is off, and with what groups of users like where they are known. */
export async function trainEncoderAndTransitions(options: TrainOptions): Promise<TrainResult> {
  const { parts } = options;
  await recordTraining(options.files, parts, options.seed, options.resume);
  if (parts instanceof ColdSplit) return trainCold(options, parts);
  const { side } = parts;
  if (!side?.encoder.schema.users) return trainAndBlend(options);
  const left = options.deadline === undefined ? 0 : options.deadline - performance.now();
  const deadline = options.deadline === undefined ? undefined : options.deadline - Math.min(GROUPS, left / 10);
  const result = await trainAndBlend({ ...options, deadline });
  if (result.reason === 'interrupted') return result;
  if (result.reason === 'finished before' && (await loadSegmentPrior(options.files, side.encoder.rows))) return result;
  await learnGroups(options, result);
  return result;
}

/** What groups of users like, beside the model as it will be served. */
async function learnGroups(options: TrainOptions, result: TrainResult): Promise<void> {
  const { device, files, parts, settings, seed } = options;
  report(options, 'blending', result);
  const loaded = await loadModel(files);
  const model = SequenceModel.load(device, settings, parts.items, loaded.tensors, options.features);
  const memory = loaded.remembering && new DeviceTransitions(device, loaded.remembering.memory);
  try {
    const users = validationUsers(parts, settings, seed);
    const blend = loaded.remembering && memory ? { transitions: memory, weights: loaded.remembering.blend } : null;
    await saveSegmentPrior(files, await fitSegmentPrior(model, parts, users, blend, options.includeSeen));
  } finally {
    model.dispose();
    memory?.dispose();
  }
}

async function trainAndBlend(options: TrainOptions): Promise<TrainResult> {
  const { files, parts, settings, seed } = options;
  if (settings.memory === 'off') return train(options);
  const memory = (await loadTransitions(files, parts.items)) ?? (await learn(options));
  const users = usersToFit(options, validationUsers(parts, settings, seed));
  const deadline =
    options.deadline === undefined ? undefined : await shareOut(options, options.deadline, memory, users);
  const result = await train({ ...options, deadline });
  if (result.reason === 'interrupted') return result;
  if (result.reason === 'finished before' && (await loadConfig(files)).blend) return result;
  report(options, 'blending', result);
  const { tensors, weights } = await loadModel(files);
  if (weights.from === 'checkpoint' && weights.step === 0) return result;
  const model = SequenceModel.load(options.device, settings, parts.items, tensors, options.features);
  const on = new DeviceTransitions(options.device, memory);
  try {
    await saveBlend(files, await fitBlend(model, on, parts, { users, includeSeen: options.includeSeen }));
  } finally {
    on.dispose();
    model.dispose();
  }
  return result;
}

/** The tower first, then the attribute memory beside it, fitted on the cold items of the validation. */
async function trainCold(options: TrainOptions, parts: ColdSplit): Promise<TrainResult> {
  const { device, files, settings, similar, features, seed } = options;
  if (!similar) throw new Error('cold items: the similarity of the items is missing');
  const left = options.deadline === undefined ? 0 : options.deadline - performance.now();
  const deadline = options.deadline === undefined ? undefined : options.deadline - Math.min(ATTRIBUTES, left / 2);
  const result = await train({ ...options, deadline });
  if (result.reason === 'interrupted') return result;
  if (result.reason === 'finished before' && (await loadConfig(files)).attributeMemory) return result;
  report(options, 'blending', result);
  const { tensors } = await loadModel(files);
  const model = SequenceModel.load(device, settings, parts.items, tensors, features);
  try {
    const users = validationUsers(parts, settings, seed);
    await saveAttributeModel(files, await fitAttributes(model, parts, similar, users));
  } finally {
    model.dispose();
  }
  return result;
}

/** As many of the validation users, evenly spread, as the size of the catalogue allows; 16 at least. */
function usersToFit({ device, parts }: TrainOptions, users: Uint32Array): Uint32Array {
  const most = Math.max(16, Math.floor((device.gpu ? FITTED_SCORES : FITTED_SCORES_CPU) / parts.items));
  if (users.length <= most) return users;
  return Uint32Array.from({ length: most }, (_, i) => users[Math.floor((i * users.length) / most)]);
}

async function learn(options: TrainOptions): Promise<Memory> {
  report(options, 'remembering', null);
  const memory = await learnTransitions(options.device, options.parts);
  await saveTransitions(options.files, memory);
  return memory;
}

/**
 * The transformer's deadline: what fitting will take, timed with untrained weights, is set aside; at most half of what
 * is left. Where little is left, a third is set aside and nothing timed.
 */
async function shareOut(
  { device, parts, settings, features, includeSeen }: TrainOptions,
  deadline: number,
  memory: Memory,
  users: Uint32Array,
): Promise<number> {
  const left = deadline - performance.now();
  if (left < SHORT) return deadline - Math.max(0, left) / 3;
  const model = SequenceModel.create(device, settings, parts.items, null, {
    features,
    side: parts.side?.encoder.rows,
  });
  const on = new DeviceTransitions(device, memory);
  try {
    const some = users.slice(0, Math.max(1, Math.min(TIMED_USERS, Math.floor(users.length / 8))));
    // The first run compiles, the second is timed.
    await fitBlend(model, on, parts, { users: some, includeSeen });
    const begun = performance.now();
    await fitBlend(model, on, parts, { users: some, includeSeen });
    const now = performance.now();
    const needed = 1.3 * (((now - begun) * users.length) / Math.max(1, some.length)) + 2 * (now - begun) + 1000;
    return deadline - Math.min(needed, Math.max(0, deadline - now) / 2);
  } finally {
    on.dispose();
    model.dispose();
  }
}

function report({ onProgress }: TrainOptions, phase: TrainProgress['phase'], result: TrainResult | null): void {
  onProgress?.({
    phase,
    step: result?.step ?? 0,
    epoch: result?.epoch ?? 0,
    steps: 0,
    fraction: result ? 1 : 0,
    loss: null,
    tokensPerSecond: 0,
    secondsLeft: null,
    bestNdcg: result?.bestNdcg ?? null,
  });
}
