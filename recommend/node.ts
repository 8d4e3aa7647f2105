/** The library in Node: as in the browser, and models are loaded by their path, too. */
import { nodeTuning } from './sources/tuning.node.ts';
import { RatingPredictor as RatingBase } from './rating-predictor.ts';
import type { LoadOptions } from './load-options.ts';
import { Recommender as Base } from './recommender.ts';
import type { ModelSource } from './sources/sources.ts';
import { openModelInNode } from './sources/sources.node.ts';

export { InputError } from '../data/errors.ts';
export { type Files, MemoryFiles } from '../model/storage/files.ts';
export type { Adaptation } from '../model/inference/personalize.ts';
export type { PostProcessingOptions } from './reranking/post-processing.ts';
export type { LoadOptions } from './load-options.ts';
export type {
  Answer,
  Continuation,
  GenerateAnswer,
  GeneratedItem,
  GenerateOptions,
  PersonalizeOptions,
  Recommendation,
  RecommendQuery,
} from './types.ts';
export type { AttributeShare, EventContribution, ExplainMethod, Explanation } from './explanations/explain.ts';
export { attentionHeatmap, type HeatmapOptions } from './explanations/heatmap.ts';
export { copyModel, packModel, type PackOptions } from '../model/storage/pack.ts';
export type { Session, SessionEvent, SessionOptions } from './session.ts';
export type { ModelSource } from './sources/sources.ts';
export { openModelInNode as openModel } from './sources/sources.node.ts';
export type { PredictedRating, Predictions } from './rating-predictor.ts';
export type { PredictQuery, RatedItem } from './rating-query.ts';
export { NodeFiles } from './sources/files.node.ts';

export type Recommender = Base;
export const Recommender: { load(source: ModelSource, options?: LoadOptions): Promise<Base> } = {
  /** Opens a model: the path of a folder or of a packed model, an address, bytes, or any `Files`. */
  async load(source, options) {
    const tuning = options?.tuning === undefined ? (nodeTuning() ?? null) : options.tuning;
    return Base.load(await openModelInNode(source), { ...options, tuning });
  },
};

export type RatingPredictor = RatingBase;
export const RatingPredictor: { load(source: ModelSource, options?: LoadOptions): Promise<RatingBase> } = {
  /** Opens a model of ratings: the path of a folder or of a packed model, an address, bytes, or any `Files`. */
  async load(source, options) {
    const tuning = options?.tuning === undefined ? (nodeTuning() ?? null) : options.tuning;
    return RatingBase.load(await openModelInNode(source), { ...options, tuning });
  },
};
