/** Ranking of held-out items over the catalogue, on the device. */
import type { Protocol } from '../../data/splits/protocol.ts';
import type { Split } from '../../data/splits/split.ts';
import { Scorer, type Scored, type ScorerOptions, type ScoreQuery } from '../../model/inference/scorer.ts';
import type { SequenceModel } from '../../model/encoders/sequence-model.ts';
import { type Ranking, rankingOf, type SecondStage, TwoStages } from '../../model/ranker/two-stages.ts';
import { exclusions } from './candidates.ts';
import { Collector, type TargetMetrics, type TrainingFacts } from './collector.ts';
import type { Distance } from './list-metrics.ts';
import { type Metrics, MISS, RankMetrics } from './metrics.ts';
import { distinct } from './ranking.ts';

export interface Evaluation extends TargetMetrics {
  protocol: Protocol;
  split: 'valid' | 'test';
  seen: 'excluded' | 'kept';
  items: number;
  /**
   * TargetMetrics of what the model blends, each alone: `transformer` and `memory` where there is a memory; `retrieval` and
   * `ranker`, the two stages, where there is a ranker. They know nothing of the users' groups; where these speak for users
   * with few events, `withoutPrior` is all of the others together.
   */
  parts: Record<string, Metrics>;
  /** How many users have few events, so that what people alike like joined their scores; absent where nobody has. */
  withPrior?: number;
  /** With two stages: milliseconds that a user took in each, on average. */
  cost?: Record<'retrieval' | 'ranker', number>;
}

export interface EvaluateOptions {
  split: 'valid' | 'test';
  /** Keep items of the history among the candidates; excluded by default. */
  includeSeen?: boolean;
  /** Length of the lists, at least 10. */
  k?: number;
  /** Users to evaluate; all with a target by default. */
  users?: Uint32Array;
  /** The memory that the model is blended with, if any. */
  blend?: ScorerOptions['blend'];
  /** What people alike like, [V] to be added to a user's scores (model/transitions/segment-prior.ts); null where the events say it all. */
  prior?: ((user: number) => Float32Array | null) | null;
  /** [V] added to every user's scores; see the scorer's options. */
  bias?: Float32Array;
  /** Rank by what the model blends, each alone, too; true by default. */
  components?: boolean;
  /** Evaluate with this scorer instead of making one; its k is at least `listLength(parts)`. */
  scorer?: Scorer;
  /** The second stage, if any. */
  second?: SecondStage | null;
  /** What the training part says about items, where it is at hand. */
  facts?: TrainingFacts;
  /** How far apart items are, for the diversity of lists. */
  distance?: Distance | null;
  onProgress?(done: number, total: number): void;
  /** `ranks` are those of `targets`, in their order. */
  onUser?(user: number, targets: Uint32Array, ranks: Uint32Array, scored: Scored): void;
}

/** Users with a target in this part. */
export function usersWithTarget(parts: Split, part: 'valid' | 'test'): Uint32Array {
  const users: number[] = [];
  for (let u = 0; u < parts.users; u++) if (parts.targets(u, part).length > 0) users.push(u);
  return Uint32Array.from(users);
}

/** What a model is asked about user u. */
export function queryOf(parts: Split, u: number, part: 'valid' | 'test', { settings }: SequenceModel): ScoreQuery {
  return {
    history: parts.history(u, part),
    times: parts.times(u, part),
    side: parts.sideFeatures(u, part, settings.window),
  };
}

const CHUNK = 1024;
/** Item rows that one chunk excludes at most, by `sampled-100`. */
const MOST_EXCLUDED = 2 ** 24;
/** Elements of the priors that are held at once. */
const MOST_BIASES = 2 ** 24;
/** Of a device's list, the longest. */
const LONGEST = 128;

/** How long the lists of an evaluation must be: one target's rank is counted, several are looked up in the list. */
export function listLength(parts: Split): number {
  return parts.manyTargets ? LONGEST : 10;
}

/**
 * Ranks each user's targets under the split's protocol. Ties rank pessimistically; a NaN score throws. Where users have
 * several targets, their ranks are known to a depth of 128: what lies beyond counts as a miss.
 */
export async function evaluate(model: SequenceModel, parts: Split, options: EvaluateOptions): Promise<Evaluation> {
  const { split, includeSeen = false } = options;
  const seen = includeSeen ? 'kept' : 'excluded';
  const users = (options.users ?? usersWithTarget(parts, split)).filter((u) => parts.targets(u, split).length > 0);
  const length = Math.min(parts.items, Math.max(listLength(parts), options.k ?? 10));
  const { blend, bias, components: apart = true } = options;
  const scoring = { k: length, blend, bias, components: apart && !parts.manyTargets };
  const scorer = options.scorer ?? rankingOf(model, options.second, scoring);
  // The device counts ranks of one target by each component; for several a list of the transformer's own is needed.
  const alike = !blend || !apart || options.scorer || !parts.manyTargets;
  const second = alike ? null : new Scorer(model, { k: length, bias });
  const aiding = options.prior && rankingOf(model, options.second, { k: length, blend, bias, queryBias: true });
  const depth = parts.manyTargets && length < parts.items ? length : Number.POSITIVE_INFINITY;
  const collector = new Collector(parts, { split, depth, facts: options.facts, distance: options.distance });
  const alone = { transformer: new RankMetrics(depth), memory: new RankMetrics(depth) };
  const unaided = { withoutPrior: new RankMetrics(depth) };
  let helped = 0;
  const stages = { retrieval: new RankMetrics(depth), ranker: new RankMetrics(depth) };
  const excludedOf = exclusions(parts, split, seen);
  const sampled = parts.protocol.name === 'sampled-100';
  /** Where a user's excluded items are most of the catalogue. */
  const dense = sampled || parts.protocol.name === 'cold-items';
  const chunkSize = dense ? Math.max(1, Math.min(CHUNK, Math.floor(MOST_EXCLUDED / parts.items))) : CHUNK;
  try {
    for (let from = 0; from < users.length; from += chunkSize) {
      const chunk = users.subarray(from, from + chunkSize);
      const targets = Array.from(chunk, (u) => distinct(parts.targets(u, split)));
      const queries = Array.from(chunk, (u, i): ScoreQuery => {
        const exclude = excludedOf(u) ?? undefined;
        return {
          ...queryOf(parts, u, split, model),
          exclude,
          target: parts.manyTargets ? undefined : targets[i][0],
        };
      });
      const scored = await scorer.score(queries, (done) => options.onProgress?.(from + done, users.length));
      const others = second && (await second.score(queries));
      const aided = aiding ? await withPrior(aiding, queries, chunk, options.prior) : new Map<number, Scored>();
      scored.forEach((s, i) => {
        // The sampled candidates hold the target even where it was seen.
        const missed = sampled && !includeSeen && queries[i].history.includes(targets[i][0]);
        const ranksBy = ({ items, rank }: Scored): Uint32Array =>
          parts.manyTargets ? ranksIn(items, targets[i]) : Uint32Array.of(missed ? MISS : rank);
        const served = aided.get(i) ?? s;
        helped += Number(aided.has(i));
        const ranks = ranksBy(served);
        if (aiding && apart) unaided.withoutPrior.addUser(ranksBy(s));
        if (s.components) {
          alone.transformer.add([missed ? MISS : s.components.transformer]);
          alone.memory.add([missed ? MISS : s.components.transitions]);
        }
        if (s.stages && apart) {
          for (const [name, { rank, items }] of Object.entries(s.stages) as [
            keyof typeof stages,
            { rank: number; items: Uint32Array },
          ][]) {
            if (parts.manyTargets) stages[name].addUser(ranksIn(items, targets[i]));
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
    aiding?.dispose();
  }
  const cost = scorer instanceof TwoStages ? scorer.costs() : undefined;
  const components: Record<string, Metrics> = {};
  for (const [name, ranks] of Object.entries({ ...(helped > 0 ? unaided : {}), ...alone, ...stages }))
    if (ranks.users > 0) components[name] = ranks.result();
  return {
    protocol: parts.protocol,
    split,
    seen,
    items: parts.items,
    parts: components,
    ...(helped > 0 ? { withPrior: helped } : {}),
    ...(cost ? { cost } : {}),
    ...collector.result(),
  };
}

/** 1-based places of the targets in a list; a miss where they are not in it. */
function ranksIn(list: Uint32Array, targets: Uint32Array): Uint32Array {
  return targets.map((target) => {
    const at = list.indexOf(target);
    return at < 0 ? MISS : at + 1;
  });
}

/** What a list is with the prior, by place among the queries, of those users who have one. */
async function withPrior(
  ranking: Ranking,
  queries: readonly ScoreQuery[],
  users: Uint32Array,
  prior: EvaluateOptions['prior'],
): Promise<Map<number, Scored>> {
  const found = new Map<number, Scored>();
  let asked: [place: number, query: ScoreQuery][] = [];
  const flush = async (): Promise<void> => {
    const scored = await ranking.score(asked.map(([, query]) => query));
    scored.forEach((one, i) => {
      found.set(asked[i][0], one);
    });
    asked = [];
  };
  for (const [i, query] of queries.entries()) {
    const bias = prior?.(users[i]);
    if (!bias) continue;
    asked.push([i, { ...query, bias }]);
    if (asked.length * bias.length >= MOST_BIASES) await flush();
  }
  await flush();
  return found;
}
