/**
 * The segment prior: what a cold-start user likes, of whom columns are known but few events or none, from the users who share
 * these columns (their segments).
 *
 *   prior(v | user) = log p(v) + strength · Σ_r weight_r · log((n[r, v] + κ p(v)) / ((n[r] + κ) p(v)))
 *
 * r runs over the rows of the user's columns (data/features/side-features.ts), n[r, v] counts the training events on item v of the users who
 * have the row, n[r] all of theirs: naive Bayes, each segment shrunk toward popularity p as if it had κ events more. What a
 * row adds to all items alike is left out.
 *
 * With n events known, a model's scores and weight(n) · prior are added up; weight falls with n (train/stages/segment-prior.ts).
 */
import { InputError } from '../../data/errors.ts';
import type { Bag } from '../../data/features/encoder.ts';
import type { SparseHost } from '../../engine/index.ts';
import type { Files } from '../storage/files.ts';
import { requireFinite } from '../inference/ranks.ts';
import { encodePieces } from '../storage/safetensors.ts';
import { commit, type Source } from '../storage/manifest.ts';
import { checkNames, checkRows, metadataOf, readMetadata, readTensors, tensorOf, vector } from '../storage/tensors.ts';

/** Training events by segment: row r of the users' columns has `values` events on the items `columns`. */
export interface GroupCounts extends SparseHost {
  /** [V] */
  items: Float32Array;
}

export interface PriorSettings {
  /** κ, events. */
  shrinkage: number;
  strength: number;
  /** Its weight for users with n known events, by rising n; log-linear between them, 0 from twice the last n on. */
  weights: [events: number, weight: number][];
  /** NDCG@10 of users' first events, by popularity and by their segments; the users' own events do not count. */
  fitted: { users: number; popularity: number; groups: number };
  /** Steps of the encoder that the weights were fitted to; absent in folders of earlier versions. */
  step?: number;
}

export interface SegmentPrior {
  counts: GroupCounts;
  settings: PriorSettings;
}

export const USERS = 'users.safetensors';

/** log p(v), [V] */
export function logPopularity(items: ArrayLike<number>): Float32Array {
  let total = items.length;
  for (let v = 0; v < items.length; v++) total += items[v];
  return Float32Array.from(items, (count) => Math.log((count + 1) / total));
}

/**
 * Σ_r weight_r · log(1 + n[r, v] / (κ p(v))), [V]: what segments add to popularity.
 * @param without the user's own events, which do not count: how many of each item row
 */
export function groupScores(
  { items, starts, columns, values }: GroupCounts,
  logP: Float32Array,
  bag: Bag,
  shrinkage: number,
  without: ReadonlyMap<number, number> = new Map(),
): Float32Array {
  const out = new Float32Array(items.length);
  for (const [row, weight] of bag) {
    for (let e = starts[row] ?? 0; e < (starts[row + 1] ?? 0); e++) {
      const v = columns[e];
      const count = Math.max(0, values[e] - weight * (without.get(v) ?? 0));
      out[v] += weight * Math.log1p(count / (shrinkage * Math.exp(logP[v])));
    }
  }
  return out;
}

/** prior(v | user), [V]. @param size V, where items were added since, which have no events */
export function segmentPriorScores(
  { counts, settings }: SegmentPrior,
  bag: Bag,
  size = counts.items.length,
): Float32Array {
  const items = new Float32Array(size);
  items.set(counts.items);
  const out = logPopularity(items);
  const groups = groupScores(counts, out, bag, settings.shrinkage);
  for (let v = 0; v < groups.length; v++) out[v] += settings.strength * groups[v];
  return out;
}

/** The weight of the prior for a user with `events` known events. */
export function priorWeight(weights: PriorSettings['weights'], events: number): number {
  if (events === 0) return 1;
  const last = weights[weights.length - 1];
  const known = last ? [...weights, [2 * last[0], 0] as [number, number]] : [];
  const after = known.findIndex(([n]) => n >= events);
  if (after < 0) return 0;
  if (after === 0) return known[0][1];
  const [[n, a], [m, b]] = [known[after - 1], known[after]];
  const t = Math.log(events / n) / Math.log(m / n);
  return a + t * (b - a);
}

/**
 * What is added to the model's scores for a user with `events` known events: weight(events) · prior, [V]; null where that is
 * nothing.
 * @param bag the user's columns
 */
export function weightedPrior(prior: SegmentPrior, bag: Bag, events: number, size: number): Float32Array | null {
  const weight = priorWeight(prior.settings.weights, events);
  if (weight === 0) return null;
  return requireFinite(
    segmentPriorScores(prior, bag, size).map((score) => weight * score),
    'scores of user segments',
  );
}

export async function saveSegmentPrior(files: Files, { counts, settings }: SegmentPrior): Promise<void> {
  const tensors = new Map(Object.entries(counts).map(([name, data]) => [name, vector(data)]));
  await commit(files, { [USERS]: encodePieces(tensors, metadataOf('prior', JSON.stringify(settings))) });
}

/**
 * @param rows of the users' columns
 * @returns null when the folder has none
 * @throws InputError, one line, when the file is damaged
 */
export async function loadSegmentPrior(source: Source, rows: number): Promise<SegmentPrior | null> {
  const stored = await readTensors(source, USERS);
  if (!stored) return null;
  const { tensors, metadata, path } = stored;
  const settings = readMetadata<PriorSettings>(metadata, 'prior');
  if (!settings || !isSound(settings))
    throw new InputError('not-a-model', `${path}: not the segment prior of an Attune model`);
  checkNames(tensors, ['items', 'starts', 'columns', 'values'], path);
  const items = tensorOf(stored, 'items', 'F32', [null]);
  const starts = tensorOf(stored, 'starts', 'U32', [rows + 1]);
  const columns = tensorOf(stored, 'columns', 'U32', [null]);
  const values = tensorOf(stored, 'values', 'F32', [columns.length]);
  checkRows(starts, columns, items.length, path);
  return { counts: { items, starts, columns, values }, settings };
}

function isSound({ weights, shrinkage, strength }: PriorSettings): boolean {
  const pairs = Array.isArray(weights) && weights.every((pair) => pair?.[0] > 0 && Number.isFinite(pair[1]));
  return pairs && shrinkage > 0 && Number.isFinite(shrinkage) && Number.isFinite(strength);
}
