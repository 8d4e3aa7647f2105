/** The library: recommendations from a trained model, anywhere JavaScript runs. */
export { InputError } from '../data/errors.ts';
export { type Files, MemoryFiles } from '../model/storage/files.ts';
export { copyModel, packModel, type PackOptions } from '../model/storage/pack.ts';
export { Session, type SessionEvent, type SessionOptions } from './session.ts';
export { type ModelSource, openModel } from './sources/sources.ts';
export { DirectoryFiles } from './sources/files.browser.ts';
export type { Adaptation } from '../model/inference/personalize.ts';
export type { PostProcessingOptions } from './reranking/post-processing.ts';
export type { LoadOptions } from './load-options.ts';
export { Recommender } from './recommender.ts';
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
export type { Exploration } from './reranking/explore.ts';
export type { UserContext } from '../model/inference/query.ts';
export type { AttributeShare, EventContribution, ExplainMethod, Explanation } from './explanations/explain.ts';
export { attentionHeatmap, type HeatmapOptions } from './explanations/heatmap.ts';
export { type PredictedRating, type Predictions, RatingPredictor } from './rating-predictor.ts';
export type { PredictQuery, RatedItem } from './rating-query.ts';
