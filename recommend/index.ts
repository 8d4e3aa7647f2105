/** The library: recommendations from a trained model, anywhere JavaScript runs. */
export * from './exports.ts';
export { Session } from './session.ts';
export { openModel } from './sources/sources.ts';
export { DirectoryFiles } from './sources/files.browser.ts';
export { Recommender } from './recommender.ts';
export { RatingPredictor } from './rating-predictor.ts';
