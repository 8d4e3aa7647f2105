/** The library in Node: as in the browser, and models are loaded from folders by their path. */
import type { Files } from '../model/files.ts';
import { NodeFiles } from './files.node.ts';
import { nodeTuning } from './tuning.node.ts';
import { type LoadOptions, Recommender as Base } from './recommender.ts';

export { InputError } from '../data/errors.ts';
export { type Files, MemoryFiles } from '../model/files.ts';
export type { AfterOptions } from './after.ts';
export type { Answer, LoadOptions, Recommendation, RecommendQuery } from './recommender.ts';
export type { AttributeShare, EventContribution, ExplainMethod, Explanation } from './explain.ts';
export { attentionHeatmap, type HeatmapOptions } from './heatmap.ts';
export { NodeFiles } from './files.node.ts';

export type Recommender = Base;
export const Recommender: { load(folder: string | Files, options?: LoadOptions): Promise<Base> } = {
  /** Opens the model in a folder: its path, or any `Files`. */
  async load(folder, options) {
    const tuning = options?.tuning === undefined ? (nodeTuning() ?? null) : options.tuning;
    return Base.load(typeof folder === 'string' ? await NodeFiles.open(folder) : folder, { ...options, tuning });
  },
};
