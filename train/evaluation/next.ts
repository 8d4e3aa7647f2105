/** How well a continuation of n items matches the user's next n events. */
import type { Split } from '../../data/splits/split.ts';
import { InputError, option } from '../../data/errors.ts';
import { describeProtocol } from '../../data/splits/protocol.ts';
import type { DecodingOptions } from '../../model/inference/decoding.ts';
import { splitQuery } from '../../model/inference/query.ts';
import { Generator } from '../../model/inference/generator.ts';
import type { ScorerOptions } from '../../model/inference/scored.ts';
import type { SequenceModel } from '../../model/encoders/sequence-model.ts';

/** Metrics of a list of n items against the user's next n events, by their names without `@n`. */
export interface NextMetrics {
  /** Fraction of the n events that are in the list. */
  Recall: number;
  /** Discounted by position, relative to n hits. */
  NDCG: number;
  /** 1 if any is in it. */
  HR: number;
  /** 1 if the list's first item is the next event. */
  First: number;
  /** Fraction of the positions at which list and events agree. */
  Order: number;
}

export const NEXT_METRICS = ['Recall', 'NDCG', 'HR', 'First', 'Order'] as const;

export function nextMetrics(list: readonly number[], events: readonly number[]): NextMetrics {
  const relevant = new Set(events);
  const distinct = relevant.size;
  let [hits, gain, ideal, matches] = [0, 0, 0, 0];
  events.forEach((event, i) => {
    const discount = 1 / Math.log2(i + 2);
    if (i < distinct) ideal += discount;
    if (list[i] === event) matches++;
    // A repeated item is not another hit.
    if (!relevant.delete(list[i])) return;
    hits++;
    gain += discount;
  });
  return {
    Recall: hits / distinct,
    NDCG: gain / ideal,
    HR: Math.min(1, hits),
    First: list[0] === events[0] ? 1 : 0,
    Order: matches / events.length,
  };
}

/** Metric → its value for each user, in order. */
export type NextPerUser = Record<keyof NextMetrics, Float64Array>;

export interface NextEvaluation {
  users: Uint32Array;
  /** Of items generated one after another, and of the top n of a single ranking. */
  generated: NextPerUser;
  ranked: NextPerUser;
}

export interface NextOptions extends Partial<Omit<DecodingOptions, 'steps' | 'named'>> {
  /** How many events to predict; users with fewer targets in the part are left out. */
  n: number;
  split: 'valid' | 'test';
  includeSeen?: boolean;
  /** The item transitions that the model is blended with, if any. */
  blend?: ScorerOptions['blend'];
  onProgress?(done: number, total: number): void;
}

/** Users with at least n targets in the part. @throws InputError if there are none */
export function usersWithNext(split: Split, part: 'valid' | 'test', n: number): Uint32Array {
  const users: number[] = [];
  for (let u = 0; u < split.users; u++) if (split.targets(u, part).length >= n) users.push(u);
  if (users.length === 0)
    throw new InputError(
      'too-little-data',
      `no user has ${n} ${part} targets under ${describeProtocol(split.protocol)}`,
      { setting: 'next', value: n, hint: `train and evaluate with ${option('protocol', `last-n:n=${n}`)}` },
    );
  return Uint32Array.from(users);
}

/** Continues each user's history by n items and compares them with the first n targets. */
export async function evaluateNext(model: SequenceModel, split: Split, options: NextOptions): Promise<NextEvaluation> {
  const { n, split: part, includeSeen, blend, onProgress, ...rest } = options;
  const users = usersWithNext(split, part, n);
  const generator = new Generator(model, { ...rest, steps: n, named: Math.min(n, 128) }, blend);
  try {
    const queries = Array.from(users, (u) => {
      const { history, features } = splitQuery(split, u, part, model.settings.window);
      const exclude = includeSeen ? undefined : Uint32Array.from(new Set(history));
      return { history, exclude, features, next: split.side?.next(u) };
    });
    const answers = await generator.generate(queries, (done) => onProgress?.(done, users.length));
    const lists = { generated: answers.map((a) => a.items), ranked: answers.map((a) => [...a.first].slice(0, n)) };
    const metricsOf = (of: readonly number[][]): NextPerUser => {
      const all = of.map((list, i) => nextMetrics(list, [...split.targets(users[i], part).subarray(0, n)]));
      const column = (name: keyof NextMetrics) => Float64Array.from(all, (f) => f[name]);
      return Object.fromEntries(NEXT_METRICS.map((name) => [name, column(name)])) as NextPerUser;
    };
    return { users, generated: metricsOf(lists.generated), ranked: metricsOf(lists.ranked) };
  } finally {
    generator.dispose();
  }
}
