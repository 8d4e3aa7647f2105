/** The library in Node: as in the browser, and models are loaded by their path, too. */
import type { Files } from '../model/storage/files.ts';
import { nodeTuning } from './sources/tuning.node.ts';
import { RatingPredictor as RatingBase } from './rating-predictor.ts';
import type { LoadOptions } from './load-options.ts';
import { Recommender as Base } from './recommender.ts';
import type { ModelSource } from './sources/sources.ts';
import { openModelInNode } from './sources/sources.node.ts';

export * from './exports.ts';
export type { Session } from './session.ts';
export { openModelInNode as openModel } from './sources/sources.node.ts';
export { NodeFiles } from './sources/files.node.ts';

interface Loader<T> {
  /** Opens a model: the path of a folder or of a packed model, an address, bytes, or any `Files`. */
  load(source: ModelSource, options?: LoadOptions): Promise<T>;
}

const inNode = <T>(base: { load(files: Files, options?: LoadOptions): Promise<T> }): Loader<T> => ({
  async load(source, options) {
    const tuning = options?.tuning === undefined ? (nodeTuning() ?? null) : options.tuning;
    return base.load(await openModelInNode(source), { ...options, tuning });
  },
});

export type Recommender = Base;
export const Recommender: Loader<Base> = inNode(Base);

export type RatingPredictor = RatingBase;
/** Of models of ratings. */
export const RatingPredictor: Loader<RatingBase> = inNode(RatingBase);
