/** The library: recommendations from a trained model, anywhere JavaScript runs. */
export { InputError } from '../data/errors.ts';
export { type Files, MemoryFiles } from '../model/files.ts';
export { copyModel, packModel, type PackOptions } from '../model/pack.ts';
export { Session, type SessionEvent, type SessionOptions } from './session.ts';
export { type ModelSource, openModel } from './sources.ts';
export { DirectoryFiles } from './files.browser.ts';
export type { Adaptation } from '../model/personal.ts';
export type { AfterOptions } from './after.ts';
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
export type { Exploration } from './explore.ts';
export type { Told } from './newcomers.ts';
export type { AttributeShare, EventContribution, ExplainMethod, Explanation } from './explain.ts';
export { attentionHeatmap, type HeatmapOptions } from './heatmap.ts';
export {
  type PredictedRating,
  type Predictions,
  type PredictQuery,
  type RatedItem,
  RatingPredictor,
} from './rating-predictor.ts';
