/** Training from a program, anywhere JavaScript runs: `attune/train`. */
export { InputError } from '../data/errors.ts';
export { type AddedItems, addItems } from '../model/storage/add-items.ts';
export { demoShop } from './demo-shop.ts';
export type { TrainingEvent, TrainingItem, TrainingOptions, TrainingUser } from './events.ts';
export { type TrainedModel, trainModel, type TrainModelOptions } from './train-model.ts';
export {
  type TrainedRatingModel,
  trainRatingModel,
  type TrainRatingModelOptions,
} from './ratings/train-rating-model.ts';
export { AdamW, type AdamWOptions } from './loop/optimizer.ts';
export type { TrainProgress, TrainResult } from './loop/options.ts';
export type { RatingReport } from './ratings/report.ts';
