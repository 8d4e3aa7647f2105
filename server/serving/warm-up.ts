/** What a model does once before it answers, so that no request waits for a shader to be compiled. */
import type { Recommender } from '../../recommend/node.ts';
import { RERANKED } from '../../recommend/reranking/post-processing.ts';

/** Lists at once that a model is prepared for. */
const AT_ONCE = 16;
const K = 10;

/** Plain lists and those that are re-ranked, of which the model names more; both without conditions and with. */
export async function warmUp(recommender: Recommender): Promise<void> {
  if (!recommender.device.gpu) return;
  const history = recommender.items.slice(0, 1).map(({ id }) => id);
  for (const k of [K, RERANKED]) {
    await recommender.warmUp(k, AT_ONCE);
    await recommender.recommend({ history, k, includeSeen: true, deny: [] });
  }
}
