/** What filters, penalties and re-ranking after the score cost and gain: the same users and targets, ranked again. */
import type { Split } from '../../data/splits/split.ts';
import { Collector, type TrainingFacts } from './collector.ts';
import type { EvaluateOptions, Evaluation } from './evaluate.ts';
import type { Distance } from './list-metrics.ts';
import { type Metrics, MISS } from './metrics.ts';

/** One way to go on after the score. */
export interface Variant {
  name: string;
  /** [V] added to the scores; variants with the same array are ranked in one pass. */
  bias: Float32Array | null;
  /** The k item rows that stay of the best ones, best first; null where the order stays. */
  rerank: ((items: Uint32Array, scores: Float32Array, k: number) => Uint32Array) | null;
}

/** Re-ranked lists have this length: cutoffs beyond it, and MRR, are left out of their figures. */
const DEPTH = 20;
/** Items that re-ranking chooses from. */
const CHOSEN_FROM = 128;

export interface RerankingContext {
  parts: Split;
  split: 'valid' | 'test';
  facts: TrainingFacts;
  distance?: Distance | null;
  /** As `evaluate` of one model, for the options that change from pass to pass. */
  rank(options: Pick<EvaluateOptions, 'bias' | 'k' | 'onUser' | 'components'>): Promise<Evaluation>;
}

/**
 * Ranks the targets by the model as it is and by each variant, in as few passes as there are biases. A target that a
 * bias leaves out, or that falls out of a re-ranked list, is a miss.
 *
 * @param plain length of the lists and what to do with each user, for the model as it is
 */
export async function evaluatePostProcessing(
  variants: readonly Variant[],
  plain: Pick<EvaluateOptions, 'k' | 'onUser'>,
  context: RerankingContext,
): Promise<{ plain: Evaluation; after: Record<string, Metrics> }> {
  const passes = new Map<Float32Array | null, Variant[]>([[null, []]]);
  for (const variant of variants) passes.set(variant.bias, [...(passes.get(variant.bias) ?? []), variant]);
  const figures = new Map<string, Metrics>();
  let first: Evaluation | null = null;
  for (const [bias, group] of passes) {
    const moved = group.flatMap(({ name, rerank }) =>
      rerank ? [{ name, rerank, collector: collectorOf(context) }] : [],
    );
    const result = await context.rank({
      bias: bias ?? undefined,
      components: bias === null,
      k: Math.max(bias === null ? (plain.k ?? 10) : 10, moved.length > 0 ? CHOSEN_FROM : 0),
      onUser: (user, targets, ranks, scored) => {
        if (bias === null) plain.onUser?.(user, targets, ranks, scored);
        for (const { rerank, collector } of moved) {
          const list = rerank(scored.items, scored.scores, DEPTH);
          // What was a miss before (a seen target among sampled candidates, say) stays one.
          const after = ranks.map((rank, i) => (rank === MISS ? MISS : placeOf(targets[i], list)));
          collector.add(user, targets, after, list);
        }
      },
    });
    first ??= result;
    for (const { name, rerank } of group) if (!rerank) figures.set(name, result.metrics);
    for (const { name, collector } of moved) {
      const { MRR: _unknown, ...metrics } = collector.result().metrics;
      figures.set(name, metrics);
    }
  }
  const after = Object.fromEntries(variants.map(({ name }) => [name, figures.get(name) as Metrics]));
  return { plain: first as Evaluation, after };
}

function collectorOf({ parts, split, facts, distance }: RerankingContext): Collector {
  return new Collector(parts, { split, depth: DEPTH, facts, distance });
}

function placeOf(target: number, list: Uint32Array): number {
  const at = list.indexOf(target);
  return at < 0 ? MISS : at + 1;
}
