/** How well a continuation of n items meets what users did next. */
import type { Split } from '../../data/splits/split.ts';
import { InputError, option } from '../../data/errors.ts';
import { describeProtocol } from '../../data/splits/protocol.ts';
import type { GenerateOptions } from '../../model/inference/decoding.ts';
import { Generator } from '../../model/inference/generator.ts';
import type { ScorerOptions } from '../../model/inference/scorer.ts';
import type { SequenceModel } from '../../model/encoders/sequence-model.ts';

/** TargetMetrics of one list of n items against the next n events of its user, by their names without `@n`. */
export interface NextMetrics {
  /** Share of the n events that are in the list. */
  Recall: number;
  /** With the list's order, against the ideal of n hits. */
  NDCG: number;
  /** 1 if any is in it. */
  HR: number;
  /** 1 if the list's first item is the very next event. */
  First: number;
  /** Share of the places at which list and events agree. */
  Order: number;
}

export const NEXT_METRICS = ['Recall', 'NDCG', 'HR', 'First', 'Order'] as const;

export function nextMetrics(list: readonly number[], events: readonly number[]): NextMetrics {
  const relevant = new Set(events);
  const distinct = relevant.size;
  let [hits, gain, ideal, places] = [0, 0, 0, 0];
  events.forEach((event, i) => {
    const worth = 1 / Math.log2(i + 2);
    if (i < distinct) ideal += worth;
    if (list[i] === event) places++;
    // An item that is listed again is no further hit.
    if (!relevant.delete(list[i])) return;
    hits++;
    gain += worth;
  });
  return {
    Recall: hits / distinct,
    NDCG: gain / ideal,
    HR: Math.min(1, hits),
    First: list[0] === events[0] ? 1 : 0,
    Order: places / events.length,
  };
}

/** A user's figures by name, each over the users in order. */
export type PerUser = Record<keyof NextMetrics, Float64Array>;

export interface NextEvaluation {
  users: Uint32Array;
  /** Of the items generated one after another, and of the n best of one ranking. */
  generated: PerUser;
  ranked: PerUser;
}

export interface NextOptions extends Partial<Omit<GenerateOptions, 'steps' | 'named'>> {
  /** How many events are to be met; each user needs as many in the part. */
  n: number;
  split: 'valid' | 'test';
  includeSeen?: boolean;
  /** The memory that the model is blended with, if any. */
  blend?: ScorerOptions['blend'];
  onProgress?(done: number, total: number): void;
}

/** Users with n targets and more in the part. @throws InputError where there is none */
export function usersWithNext(parts: Split, split: 'valid' | 'test', n: number): Uint32Array {
  const users: number[] = [];
  for (let u = 0; u < parts.users; u++) if (parts.targets(u, split).length >= n) users.push(u);
  if (users.length === 0)
    throw new InputError(
      'too-little-data',
      `no user has ${n} ${split} targets under ${describeProtocol(parts.protocol)}`,
      { setting: 'next', value: n, hint: `train and evaluate with ${option('protocol', `last-n:n=${n}`)}` },
    );
  return Uint32Array.from(users);
}

/** Continues each user's history by n items and compares them with the first n targets. */
export async function evaluateNext(model: SequenceModel, parts: Split, options: NextOptions): Promise<NextEvaluation> {
  const { n, split, includeSeen, blend, onProgress, ...rest } = options;
  const users = usersWithNext(parts, split, n);
  const generator = new Generator(model, { ...rest, steps: n, named: Math.min(n, 128) }, blend);
  try {
    const queries = Array.from(users, (u) => {
      const history = parts.history(u, split);
      const exclude = includeSeen ? undefined : Uint32Array.from(new Set(history));
      const side = parts.sideFeatures(u, split, model.settings.window);
      return { history, exclude, side, next: parts.side?.next(u) };
    });
    const answers = await generator.generate(queries, (done) => onProgress?.(done, users.length));
    const lists = { generated: answers.map((a) => a.items), ranked: answers.map((a) => [...a.first].slice(0, n)) };
    const figures = (of: readonly number[][]): PerUser => {
      const all = of.map((list, i) => nextMetrics(list, [...parts.targets(users[i], split).subarray(0, n)]));
      const column = (name: keyof NextMetrics) => Float64Array.from(all, (f) => f[name]);
      return Object.fromEntries(NEXT_METRICS.map((name) => [name, column(name)])) as PerUser;
    };
    return { users, generated: figures(lists.generated), ranked: figures(lists.ranked) };
  } finally {
    generator.dispose();
  }
}
