/** What the library exports in Node and in the browser alike. */
export { InputError } from '../data/errors.ts';
export { type Files, MemoryFiles } from '../model/storage/files.ts';
export { copyModel, packModel, type PackOptions } from '../model/storage/pack.ts';
export type { Adaptation } from '../model/inference/personalize.ts';
export type { UserContext } from '../model/inference/query.ts';
export type { ModelSource } from './sources/sources.ts';
export type { PostProcessingOptions } from './reranking/post-processing.ts';
export type { Exploration } from './reranking/explore.ts';
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
export type { SessionEvent, SessionOptions } from './session.ts';
export type { PredictedRating, Predictions } from './rating-predictor.ts';
export type { PredictQuery, RatedItem } from './rating-query.ts';
