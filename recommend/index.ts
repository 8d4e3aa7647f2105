/** The library: recommendations from a trained model, anywhere JavaScript runs. */
export { InputError } from '../data/errors.ts';
export { type Files, MemoryFiles } from '../model/storage/files.ts';
export { copyModel, packModel, type PackOptions } from '../model/storage/pack.ts';
export { Session, type SessionEvent, type SessionOptions } from './session.ts';
export { type ModelSource, openModel } from './sources/sources.ts';
export { DirectoryFiles } from './sources/files.browser.ts';
export type { Adaptation } from '../model/inference/personalize.ts';
export type { PostProcessingOptions } from './reranking/post-processing.ts';
export {
  type Answer,
  type Continuation,
  type GenerateAnswer,
  type GeneratedItem,
  type GenerateOptions,
  type LoadOptions,
  type PersonalizeOptions,
  type Recommendation,
  Recommender,
  type RecommendQuery,
} from './recommender.ts';
export type { Exploration } from './reranking/explore.ts';
export type { UserContext } from './cold-start.ts';
export type { AttributeShare, EventContribution, ExplainMethod, Explanation } from './explanations/explain.ts';
export { attentionHeatmap, type HeatmapOptions } from './explanations/heatmap.ts';
export {
  type PredictedRating,
  type Predictions,
  type PredictQuery,
  type RatedItem,
  RatingPredictor,
} from './rating-predictor.ts';
