/** What filters, penalties, and re-ranking cost and gain: the same users and targets, ranked again. */
import type { Split } from '../../data/splits/split.ts';
import { Collector, type TargetMetrics, type TrainingFacts } from './collector.ts';
import type { EvaluateOptions, Evaluation } from './evaluate.ts';
import type { Distance } from './list-metrics.ts';
import { MISS } from './metrics.ts';

/** One post-processing step. */
export interface RerankingVariant {
  name: string;
  /** [V] added to the scores; variants with the same array are ranked in one pass. */
  bias: Float32Array | null;
  /** Chooses k of the best item rows, best first, for a history; null if the order does not change. */
  rerank: ((items: Uint32Array, scores: Float32Array, k: number, history: Uint32Array) => Uint32Array) | null;
}

/** Length of re-ranked lists: larger cutoffs, and MRR, are left out of their metrics. */
const DEPTH = 20;
/** Items that re-ranking chooses from, best first. */
const CHOSEN_FROM = 128;

export interface RerankingContext {
  split: Split;
  part: 'valid' | 'test';
  facts: TrainingFacts;
  distance?: Distance | null;
  keepLists?: boolean;
  /** `evaluate` of one model, with the options that change from pass to pass. */
  rank(options: Pick<EvaluateOptions, 'bias' | 'k' | 'onUser' | 'components'>): Promise<Evaluation>;
}

/**
 * Ranks the targets by the unmodified model and by each variant, in one pass per bias. A target that a bias excludes, or
 * that is not in the re-ranked list, is a miss.
 *
 * @param plain length of the lists and a callback per user, for the unmodified model
 */
export async function evaluatePostProcessing(
  variants: readonly RerankingVariant[],
  plain: Pick<EvaluateOptions, 'k' | 'onUser'>,
  context: RerankingContext,
): Promise<{ plain: Evaluation; after: Record<string, TargetMetrics> }> {
  const passes = new Map<Float32Array | null, RerankingVariant[]>([[null, []]]);
  for (const variant of variants) passes.set(variant.bias, [...(passes.get(variant.bias) ?? []), variant]);
  const resultOf = new Map<string, TargetMetrics>();
  let first: Evaluation | null = null;
  for (const [bias, group] of passes) {
    const reranked = group.flatMap(({ name, rerank }) =>
      rerank ? [{ name, rerank, collector: collectorOf(context) }] : [],
    );
    const result = await context.rank({
      bias: bias ?? undefined,
      components: bias === null,
      k: Math.max(bias === null ? (plain.k ?? 10) : 10, reranked.length > 0 ? CHOSEN_FROM : 0),
      onUser: (user, targets, ranks, scored) => {
        if (bias === null) plain.onUser?.(user, targets, ranks, scored);
        for (const { rerank, collector } of reranked) {
          const list = rerank(scored.items, scored.scores, DEPTH, context.split.history(user, context.part));
          // A miss (a seen target among sampled candidates, say) remains a miss.
          const after = ranks.map((rank, i) => (rank === MISS ? MISS : rankIn(targets[i], list)));
          collector.add(user, targets, after, list);
        }
      },
    });
    first ??= result;
    for (const { name, rerank } of group) if (!rerank) resultOf.set(name, result);
    for (const { name, collector } of reranked) {
      const { metrics: all, ...rest } = collector.result();
      const { MRR: _unknown, ...metrics } = all;
      resultOf.set(name, { ...rest, metrics });
    }
  }
  const after = Object.fromEntries(variants.map(({ name }) => [name, resultOf.get(name) as TargetMetrics]));
  return { plain: first as Evaluation, after };
}

function collectorOf({ split, part, rank: _, ...options }: RerankingContext): Collector {
  return new Collector(split, { ...options, split: part, depth: DEPTH });
}

function rankIn(target: number, list: Uint32Array): number {
  const at = list.indexOf(target);
  return at < 0 ? MISS : at + 1;
}
