/** The weights of a model folder: the last checkpoint, from which a training continues, and the best by validation. */
import { damaged, InputError } from '../../data/errors.ts';
import { ROW_RING, type RowProgress } from '../../engine/index.ts';
import { trainedOf } from './coded-tensor.ts';
import type { Files } from './files.ts';
import { commit, type Source } from './manifest.ts';
import { encodePieces, type StoredTensor } from './safetensors.ts';
import { metadataOf, readMetadata, readTensors, tensorOf, vector } from './tensors.ts';

export const MODEL = 'model.safetensors';
export const CHECKPOINT = 'checkpoint.safetensors';

export type Tensors = ReadonlyMap<string, StoredTensor>;

/** Everything that changes during training besides weights and moments. */
export interface Counters {
  step: number;
  epoch: number;
  /** Batches of this epoch already done. */
  batch: number;
  seed: number;
  /** Best validation NDCG@10 so far and the step it was reached at; null before the first validation. */
  bestNdcg: number | null;
  bestStep: number | null;
  /** Validations since the best one. */
  patience: number;
  /** Training time so far, over all resumptions. */
  elapsedSeconds: number;
  finished: boolean;
  /** Kernel → variant in use. */
  variants: Record<string, string[]>;
  /** Anything else the trainer must find again; JSON. */
  extra?: Record<string, unknown>;
}

/** Of a training before its first step. */
export const newCounters = (seed: number): Counters => ({
  step: 0,
  epoch: 0,
  batch: 0,
  seed,
  bestNdcg: null,
  bestStep: null,
  patience: 0,
  elapsedSeconds: 0,
  finished: false,
  variants: {},
});

/** Weights, both moments of the optimizer (the same names and shapes), counters. */
export interface Checkpoint {
  params: Tensors;
  m: Tensors;
  v: Tensors;
  /** The moving average of the weights, where the training has one. */
  average?: Tensors;
  /** Of a table whose gradients are kept by row: how far each row is. */
  rows?: RowProgress;
  counters: Counters;
}

/** The step of the training at which weights were saved, and their validation metrics (`NDCG@10` …). */
export interface Standing {
  step: number;
  epoch: number;
  /** Of the validation; null where nothing was held out. */
  metrics: Record<string, number> | null;
}

/** Replaces the checkpoint. The tensors are not copied: leave them alone until it is written. */
export async function saveCheckpoint(
  files: Files,
  { params, m, v, average, rows, counters }: Checkpoint,
): Promise<void> {
  const tensors = new Map<string, StoredTensor>();
  for (const [prefix, group] of [
    ['p', params],
    ['m', m],
    ['v', v],
    ['a', average ?? new Map()],
  ] as const) {
    for (const [name, tensor] of group) tensors.set(`${prefix}/${name}`, tensor);
  }
  if (rows) {
    tensors.set('r/last', vector(rows.last));
    tensors.set('r/history', { shape: [ROW_RING, 4], data: rows.history });
    if (rows.sums) tensors.set('r/sums', vector(rows.sums));
  }
  await commit(files, { [CHECKPOINT]: encodePieces(tensors, stamp('counters', counters)) });
}

/**
 * @returns null when there is no checkpoint
 * @throws InputError, one line, when the file is cut short or damaged
 */
export async function loadCheckpoint(source: Source): Promise<Checkpoint | null> {
  const stored = await readTensors(source, CHECKPOINT);
  if (!stored) return null;
  const { tensors, metadata, path: file } = stored;
  const fail = damaged(file);
  const [p, m, v, a, r] = Array.from({ length: 5 }, () => new Map<string, StoredTensor>());
  const groups: Record<string, Map<string, StoredTensor>> = { p, m, v, a, r };
  for (const [name, tensor] of tensors) {
    const group = name[1] === '/' && 'pmvar'.includes(name[0]) ? groups[name[0]] : null;
    if (!group) return fail(`not a checkpoint of Attune (tensor ${name})`);
    group.set(name.slice(2), tensor);
  }
  // A table that row-wise Adagrad trains has sums by row instead of moments.
  const summed = ({ shape }: StoredTensor): boolean => r.get('sums')?.data.length === shape[0];
  for (const [name, tensor] of Array.from(p, ([name, stored]) => [name, trainedOf(stored)] as const))
    for (const moment of a.size > 0 ? [m, v, a] : [m, v])
      if (
        trainedOf(moment.get(name) ?? NONE).data.length !== tensor.data.length &&
        !(moment !== a && !moment.has(name) && summed(tensor))
      )
        fail(`damaged: the optimizer's moments or the average of ${name} are missing or of another size`);
  const counters = readStamp<Counters>(metadata, 'counters', file);
  const rows = r.size > 0 ? rowsOf(r, file, counters.step) : undefined;
  return { params: p, m, v, average: a.size > 0 ? a : undefined, rows, counters };
}

const NONE: StoredTensor = { shape: [0], data: new Float32Array(0) };

function rowsOf(tensors: Tensors, path: string, step: number): RowProgress {
  const last = tensorOf({ tensors, path }, 'last', 'U32', [null]);
  const ahead = last.findIndex((of) => of > step);
  if (ahead >= 0) damaged(path)(`damaged: row ${ahead} is at step ${last[ahead]}, expected at most ${step}`);
  const history = tensorOf({ tensors, path }, 'history', 'F32', [ROW_RING, 4]);
  return {
    last,
    history,
    ...(tensors.has('sums') && { sums: tensorOf({ tensors, path }, 'sums', 'F32', [last.length]) }),
  };
}

/** Replaces the best weights. The tensors are not copied: leave them alone until they are written. */
export async function saveModel(files: Files, tensors: Tensors, standing: Standing): Promise<void> {
  await commit(files, { [MODEL]: encodePieces(tensors, stamp('standing', standing)) });
}

function stamp(key: string, value: object): Map<string, string> {
  const json = JSON.stringify(value, (name, inner) => {
    if (typeof inner === 'number' && !Number.isFinite(inner)) throw new Error(`folder: ${key}.${name} is ${inner}`);
    return inner;
  });
  return metadataOf(key, json);
}

export function readStamp<T extends { step: number }>(metadata: Map<string, string>, key: string, file: string): T {
  const value = readMetadata<T>(metadata, key);
  if (Number.isInteger(value?.step)) return value as T;
  throw new InputError('not-a-model', `${file}: not written by Attune (its header lacks "${key}")`);
}
