/** Training from a program, anywhere JavaScript runs: `attune/train`. */
export { InputError } from '../data/errors.ts';
export type { Log } from '../data/log.ts';
export { type AddedItems, addItems } from '../model/storage/add-items.ts';
export { demoShop } from './demo-shop.ts';
export { logOf, type TrainingEvent, type TrainingItem, type TrainingOptions, type TrainingUser } from './events.ts';
export { trainModel, type TrainModelOptions } from './train-model.ts';
export { type PlanOptions, planTraining, type RankingPlan, type TrainingSource } from './plan.ts';
export { finalPlan } from './final-plan.ts';
export { resumePlan, type ResumeOptions } from './resume-plan.ts';
export { type RunOptions, runPlan, type TrainedModel } from './run-plan.ts';
export { trainRatingModel, type TrainRatingModelOptions } from './ratings/train-rating-model.ts';
export { planRatings, type RatingPlan, type RatingPlanOptions, resumeRatings } from './ratings/plan.ts';
export { type RatingRunOptions, runRatingPlan, type TrainedRatingModel } from './ratings/run-plan.ts';
export { AdamW, type AdamWOptions } from './loop/optimizer.ts';
export type { TrainProgress, TrainResult } from './loop/options.ts';
export type { RatingReport } from './ratings/report.ts';
