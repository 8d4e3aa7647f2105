/** Histories packed end to end, as an encoder reads them when it recommends. */
import { InputError } from '../../data/errors.ts';
import type { SideFeatureRows } from '../../data/features/side-rows.ts';
import type { Tensor } from '../../engine/index.ts';
import type { PackedTokens } from '../encoders/context.ts';
import { hasQueryTimes, readsTimes } from '../recipes/derived.ts';
import type { SequenceModel } from '../encoders/sequence-model.ts';
import { roundUp } from './batcher.ts';
import type { History } from './query.ts';

interface TokenArrays {
  items: Uint32Array;
  positions: Uint32Array;
  start: Uint32Array;
  end: Uint32Array;
  times?: Uint32Array;
  queryTimes?: Uint32Array;
  sideStarts?: Uint32Array;
  sideColumns?: Uint32Array;
  sideValues?: Float32Array;
}

/**
 * The tokens of a batch, for `Inputs`.
 * @param entries of the side features, as `entriesOf` returns them
 */
export function tokenSpec(maxTokens: number, { settings }: SequenceModel, entries: number) {
  const u32 = (n: number) => ({ shape: [n], dtype: 'u32' as const });
  const tokens = u32(maxTokens);
  return {
    items: tokens,
    positions: tokens,
    start: tokens,
    end: tokens,
    ...(readsTimes(settings) ? { times: tokens } : {}),
    ...(hasQueryTimes(settings) ? { queryTimes: tokens } : {}),
    ...(entries > 0
      ? {
          sideStarts: u32(maxTokens + 1),
          sideColumns: u32(entries),
          sideValues: { shape: [entries], dtype: 'f32' as const },
        }
      : {}),
  };
}

/** Room for the side features of histories: a power of two, 0 where the model reads items alone. */
export function entriesOf({ side }: SequenceModel, histories: readonly History[]): number {
  const entries = histories.reduce((sum, history) => sum + (history.features?.columns.length ?? 0), 0);
  return side > 0 ? roundUp(entries, 64) : 0;
}

/** The tokens of `tokenSpec` as the encoder takes them. */
export function packedTokens({ side }: SequenceModel, tensors: Tokens): PackedTokens {
  const { sideStarts, sideColumns, sideValues, ...tokens } = tensors;
  if (!sideStarts || !sideColumns || !sideValues) return tokens;
  const forward = { starts: sideStarts, columns: sideColumns, values: sideValues };
  return { ...tokens, side: { shape: [tokens.items.size, side], forward } };
}

type Tokens = Omit<PackedTokens, 'side'> & { sideStarts?: Tensor; sideColumns?: Tensor; sideValues?: Tensor };

/** Tokens that a history takes: its last events, and the mask of the event to come where the model fills in masks. */
export function lengthOf({ settings, cloze }: SequenceModel, history: Uint32Array): number {
  if (history.length === 0) throw new Error('expected a history of at least one item');
  return Math.min(settings.window, history.length + (cloze ? 1 : 0));
}

/** Writes the tokens of histories, one after the other, and clears the rest. @returns the end of each */
export function packHistories(model: SequenceModel, histories: readonly History[], to: TokenArrays): number[] {
  let end = 0;
  const ends = histories.map((history) => (end = packHistory(model, history, to, end)));
  to.sideStarts?.fill(end === 0 ? 0 : to.sideStarts[end], end);
  for (const array of [to.items, to.positions, to.start, to.end, to.times, to.queryTimes]) array?.fill(0, end);
  return ends;
}

function packHistory(model: SequenceModel, q: History, to: TokenArrays, at: number): number {
  const { items, positions, start, end, times, queryTimes } = to;
  const length = lengthOf(model, q.history);
  const events = model.cloze ? length - 1 : length;
  const first = q.history.length - events;
  items.set(q.history.subarray(first), at);
  if (model.cloze) items[at + events] = model.items;
  for (let i = 0; i < length; i++) positions[at + i] = i;
  // An event to come of unknown time is assumed to be as late as the last one.
  const timeOf = (i: number): number | undefined => q.times?.[first + i] ?? q.times?.[first + Math.min(i, events - 1)];
  for (let i = 0; i < length; i++) {
    if (times) times[at + i] = timeOf(i) ?? i;
    if (queryTimes) queryTimes[at + i] = timeOf(i + 1) ?? i;
  }
  start.fill(at, at, at + length);
  end.fill(at + length, at, at + length);
  packFeatures(q.features, to, at, length);
  return at + length;
}

/** Tokens that side features are given for, at least `length`. @throws InputError where there are fewer */
export function tokensWith(rows: SideFeatureRows | undefined, length: number): number {
  const tokens = rows ? rows.starts.length - 1 : 0;
  if (tokens >= length) return tokens;
  throw new InputError(
    'invalid-value',
    `this model reads side features: expected those of ${length} events, got those of ${tokens}`,
  );
}

/** Writes the features of the last `length` events from token `at` on; all before it has been written. */
function packFeatures(rows: SideFeatureRows | undefined, to: TokenArrays, at: number, length: number): void {
  const { sideStarts, sideColumns, sideValues } = to;
  if (!sideStarts || !sideColumns || !sideValues) return;
  const tokens = tokensWith(rows, length);
  if (!rows) return;
  let entry = at === 0 ? 0 : sideStarts[at];
  sideStarts[at] = entry;
  for (let i = 0; i < length; i++) {
    const [first, end] = [rows.starts[tokens - length + i], rows.starts[tokens - length + i + 1]];
    sideColumns.set(rows.columns.subarray(first, end), entry);
    sideValues.set(rows.values.subarray(first, end), entry);
    entry += end - first;
    sideStarts[at + i + 1] = entry;
  }
}
