/** Ranking of held-out items over the catalog, on the device. */
import type { Protocol, RequestTime } from '../../data/splits/protocol.ts';
import type { Split } from '../../data/splits/split.ts';
import { splitQuery } from '../../model/inference/query.ts';
import { Scorer } from '../../model/inference/scorer.ts';
import type { Scored, ScorerOptions, ScoreQuery } from '../../model/inference/scored.ts';
import type { SequenceModel } from '../../model/encoders/sequence-model.ts';
import { type ListScorer, listScorer, type SecondStage, TwoStages } from '../../model/ranker/two-stages.ts';
import { exclusions } from './candidates.ts';
import { Collector, type TargetMetrics, type TrainingFacts } from './collector.ts';
import type { Distance } from './list-metrics.ts';
import { type Metrics, MISS, RankMetrics } from './metrics.ts';
import { distinct } from './ranking.ts';

export interface Evaluation extends TargetMetrics {
  protocol: Protocol;
  split: 'valid' | 'test';
  seen: 'excluded' | 'kept';
  /** Whether the times of the targets were known. */
  requestTime: RequestTime;
  items: number;
  /**
   * Metrics of each component alone: `transformer` and `memory` (the item transitions) of a blend, `retrieval` and `ranker`
   * with a second stage, all without the segment prior. If the prior joined the scores of any user, `withoutPrior` has the
   * whole model without it.
   */
  parts: Record<string, Metrics>;
  /** How many users have few events, so that the segment prior joined their scores; absent if none has. */
  withPrior?: number;
  /** With two stages: mean milliseconds per user in each. */
  cost?: Record<'retrieval' | 'ranker', number>;
}

export interface EvaluateOptions {
  split: 'valid' | 'test';
  /** Keep items of the history among the candidates; excluded by default. */
  includeSeen?: boolean;
  /** Whether the times of the targets are known; `unknown` by default. */
  requestTime?: RequestTime;
  /** Items that are no candidates for a user besides those; not under `sampled-100` or `cold-items`. */
  outside?(user: number): Uint32Array;
  /** Length of the lists, >= 10. */
  k?: number;
  /** Users to evaluate; all with a target by default. */
  users?: Uint32Array;
  /** The item transitions that the model is blended with, if any. */
  blend?: ScorerOptions['blend'];
  /** The segment prior of a user, [V], added to the scores (model/transitions/segment-prior.ts); null for users with enough events. */
  prior?: ((user: number) => Float32Array | null) | null;
  /** [V] added to every user's scores; see the scorer's options. */
  bias?: Float32Array;
  /** Also rank by each component alone; true by default. */
  components?: boolean;
  /** Evaluate with this scorer instead of a new one; its k is at least `listLength(split)`. */
  scorer?: Scorer;
  /** The second stage, if any. */
  second?: SecondStage | null;
  /** Item counts of the training part, if the caller has them already. */
  facts?: TrainingFacts;
  /** The distance of two items, for the diversity of lists. */
  distance?: Distance | null;
  /** Keep each user's list. */
  keepLists?: boolean;
  /** Awaited after each batch; it may throw to stop. */
  onProgress?(done: number, total: number): void | Promise<void>;
  /** `ranks` are in the order of `targets`. */
  onUser?(user: number, targets: Uint32Array, ranks: Uint32Array, scored: Scored): void;
}

/** Users with a target in this part. */
export function usersWithTarget(split: Split, part: 'valid' | 'test'): Uint32Array {
  const users: number[] = [];
  for (let u = 0; u < split.users; u++) if (split.targets(u, part).length > 0) users.push(u);
  return Uint32Array.from(users);
}

const CHUNK = 1024;
/** Most item rows that one chunk excludes under `sampled-100`. */
const MOST_EXCLUDED = 2 ** 24;
/** Most elements of segment priors held at once. */
const MOST_BIASES = 2 ** 24;
/** Longest list of a device. */
const LONGEST = 128;

/** Required length of the lists: the rank of a single target is counted, several targets are looked up in the list. */
export function listLength(split: Split): number {
  return split.manyTargets ? LONGEST : 10;
}

/**
 * Ranks each user's targets under the split's protocol. Ties rank pessimistically; a NaN score throws. With several targets
 * per user, ranks are known to a depth of 128, and anything beyond is a miss.
 */
export async function evaluate(model: SequenceModel, split: Split, options: EvaluateOptions): Promise<Evaluation> {
  const { split: part, includeSeen = false, requestTime = 'unknown' } = options;
  const seen = includeSeen ? 'kept' : 'excluded';
  const users = (options.users ?? usersWithTarget(split, part)).filter((u) => split.targets(u, part).length > 0);
  const length = Math.min(split.items, Math.max(listLength(split), options.k ?? 10));
  const { blend, bias, components: byComponent = true } = options;
  const scoring = { k: length, blend, bias, components: byComponent && !split.manyTargets };
  const scorer = options.scorer ?? listScorer(model, options.second, scoring);
  // The device counts the rank of one target by each component; several targets need a list of the transformer's own.
  const oneScorer = !blend || !byComponent || options.scorer || !split.manyTargets;
  const second = oneScorer ? null : new Scorer(model, { k: length, bias });
  const priorRanking = options.prior && listScorer(model, options.second, { k: length, blend, bias, queryBias: true });
  const depth = split.manyTargets && length < split.items ? length : Number.POSITIVE_INFINITY;
  const { facts, distance, keepLists } = options;
  const collector = new Collector(split, { split: part, depth, facts, distance, keepLists });
  const alone = { transformer: new RankMetrics(depth), memory: new RankMetrics(depth) };
  const whole = { withoutPrior: new RankMetrics(depth) };
  let priorUsers = 0;
  const stages = { retrieval: new RankMetrics(depth), ranker: new RankMetrics(depth) };
  const excludedOf = exclusions(split, part, seen);
  const sampled = split.protocol.name === 'sampled-100';
  /** Whether most of the catalog is excluded for a user. */
  const dense = sampled || split.protocol.name === 'cold-items' || options.outside !== undefined;
  const chunkSize = dense ? Math.max(1, Math.min(CHUNK, Math.floor(MOST_EXCLUDED / split.items))) : CHUNK;
  try {
    for (let from = 0; from < users.length; from += chunkSize) {
      const chunk = users.subarray(from, from + chunkSize);
      const targets = Array.from(chunk, (u) => distinct(split.targets(u, part)));
      const queries = Array.from(chunk, (u, i): ScoreQuery => {
        const exclude = join(excludedOf(u), options.outside?.(u) ?? null);
        return {
          ...splitQuery(split, u, part, model.settings.window, requestTime),
          exclude,
          target: split.manyTargets ? undefined : targets[i][0],
        };
      });
      const scored = await scorer.score(queries, (done) => options.onProgress?.(from + done, users.length));
      const others = second && (await second.score(queries));
      const byPrior = priorRanking
        ? await withPrior(priorRanking, queries, chunk, options.prior)
        : new Map<number, Scored>();
      scored.forEach((s, i) => {
        // The sampled candidates contain the target even if it was seen.
        const missed = sampled && !includeSeen && queries[i].history.includes(targets[i][0]);
        const ranksBy = ({ items, rank }: Scored): Uint32Array =>
          split.manyTargets ? ranksIn(items, targets[i]) : Uint32Array.of(missed ? MISS : rank);
        const served = byPrior.get(i) ?? s;
        priorUsers += Number(byPrior.has(i));
        const ranks = ranksBy(served);
        if (priorRanking && byComponent) whole.withoutPrior.addUser(ranksBy(s));
        if (s.components) {
          alone.transformer.add([missed ? MISS : s.components.transformer]);
          alone.memory.add([missed ? MISS : s.components.transitions]);
        }
        if (s.stages && byComponent) {
          for (const [name, { rank, items }] of Object.entries(s.stages) as [
            keyof typeof stages,
            { rank: number; items: Uint32Array },
          ][]) {
            if (split.manyTargets) stages[name].addUser(ranksIn(items, targets[i]));
            else stages[name].add([missed ? MISS : rank]);
          }
        }
        if (others) alone.transformer.addUser(ranksIn(others[i].items, targets[i]));
        collector.add(chunk[i], targets[i], ranks, served.items);
        options.onUser?.(chunk[i], targets[i], ranks, served);
      });
    }
  } finally {
    if (!options.scorer) scorer.dispose();
    second?.dispose();
    priorRanking?.dispose();
  }
  const cost = scorer instanceof TwoStages ? scorer.costs() : undefined;
  const components: Record<string, Metrics> = {};
  for (const [name, ranks] of Object.entries({ ...(priorUsers > 0 ? whole : {}), ...alone, ...stages }))
    if (ranks.users > 0) components[name] = ranks.result();
  return {
    protocol: split.protocol,
    split: part,
    seen,
    requestTime,
    items: split.items,
    parts: components,
    ...(priorUsers > 0 ? { withPrior: priorUsers } : {}),
    ...(cost ? { cost } : {}),
    ...collector.result(),
  };
}

function join(a: Uint32Array | null, b: Uint32Array | null): Uint32Array | undefined {
  if (!a || !b) return a ?? b ?? undefined;
  const both = new Uint32Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

/** 1-based positions of the targets in a list; MISS for those not in it. */
function ranksIn(list: Uint32Array, targets: Uint32Array): Uint32Array {
  return targets.map((target) => {
    const at = list.indexOf(target);
    return at < 0 ? MISS : at + 1;
  });
}

/** The results with the segment prior, by index of the query, for users who have one. */
async function withPrior(
  ranking: ListScorer,
  queries: readonly ScoreQuery[],
  users: Uint32Array,
  prior: EvaluateOptions['prior'],
): Promise<Map<number, Scored>> {
  const found = new Map<number, Scored>();
  let batch: [index: number, query: ScoreQuery][] = [];
  const flush = async (): Promise<void> => {
    const scored = await ranking.score(batch.map(([, query]) => query));
    scored.forEach((one, i) => {
      found.set(batch[i][0], one);
    });
    batch = [];
  };
  for (const [i, query] of queries.entries()) {
    const bias = prior?.(users[i]);
    if (!bias) continue;
    batch.push([i, { ...query, bias }]);
    if (batch.length * bias.length >= MOST_BIASES) await flush();
  }
  await flush();
  return found;
}
