/** Training from a program, anywhere JavaScript runs: `attune/train`. */
export { InputError } from '../data/errors.ts';
export { demoShop } from './demo-shop.ts';
export {
  type TrainedModel,
  type TrainingEvent,
  type TrainingItem,
  trainModel,
  type TrainModelOptions,
} from './train-model.ts';
export type { TrainProgress, TrainResult } from './trainer.ts';
