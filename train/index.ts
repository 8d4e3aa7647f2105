/** Training from a program, anywhere JavaScript runs: `attune/train`. */
export { InputError } from '../data/errors.ts';
export { type AddedItems, addItems } from '../model/add-items.ts';
export { demoShop } from './demo-shop.ts';
export type { TrainingEvent, TrainingItem, TrainingOptions, TrainingUser } from './events.ts';
export { type TrainedModel, trainModel, type TrainModelOptions } from './train-model.ts';
export {
  type TrainedRatingModel,
  trainRatingModel,
  type TrainRatingModelOptions,
} from './train-rating-model.ts';
export { AdamW, type AdamWOptions } from './optimizer.ts';
export type { TrainProgress, TrainResult } from './trainer.ts';
export type { RatingReport } from './rating/report.ts';
